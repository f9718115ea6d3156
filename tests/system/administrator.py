"""What an administrator of the environment does: over the Web API, and with the linker's command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from linker.settings import PREFIX
from sandbox.demo.children import app_settings
from sandbox.identity.accounts import ADMIN

from .world import ROOT, World


def linker(world: World, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the linker with the app settings of a world, away from any local.settings.json."""
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith((PREFIX, "IDENTITY_"))}
    given = app_settings(world.sandbox.ready) | {"AZURE_CLIENT_ID": ADMIN.client_id} | settings
    environment = own | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | given
    command = [sys.executable, "-m", "linker", *arguments]
    return subprocess.run(command, cwd=world.logs, env=environment, capture_output=True, text=True, check=False)


@contextmanager
def administrator(world: World) -> Iterator[httpx.Client]:
    """Give a client of the Web API as an administrator."""
    ready = world.sandbox.ready
    query = {"api-version": "2019-08-01", "resource": ready["dataverse"], "client_id": ADMIN.client_id}
    answer = httpx.get(
        ready["identityEndpoint"], params=query, headers={"X-IDENTITY-HEADER": ready["identityHeader"]}, timeout=120
    )
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    with httpx.Client(base_url=f"{ready['dataverse']}/api/data/v9.2/", headers=headers, timeout=120) as client:
        yield client
