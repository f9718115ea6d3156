"""The command, as a developer gives it, against a sandbox in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from linker.settings import PREFIX
from sandbox.demo.children import app_settings, sandbox_process
from sandbox.identity.accounts import ADMIN, NEWCOMER
from tests.live.proof import CHECKS

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "data" / "febrl-sample"


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Any]]:
    """A sandbox with a unification, and what it printed when ready."""
    options = ["--no-azurite", "--no-measures", "--load", str(SAMPLE)]
    with sandbox_process(options, tmp_path_factory.mktemp("logs")) as child:
        yield {**child.ready, "tables": ""}


def started(ready: Mapping[str, Any], folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the command as the environment's administrator, away from any local.settings.json."""
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith((PREFIX, "IDENTITY_"))}
    given = app_settings(ready) | {"AZURE_CLIENT_ID": ADMIN.client_id, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-u", "-m", "tests.live", *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=own | given, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def left(ready: Mapping[str, Any]) -> list[str]:
    """Return the unique names of publishers that proofs left."""
    query = {"api-version": "2019-08-01", "resource": ready["dataverse"], "client_id": ADMIN.client_id}
    secret = {"X-IDENTITY-HEADER": ready["identityHeader"]}
    token = httpx.get(ready["identityEndpoint"], params=query, headers=secret, timeout=120).json()["access_token"]
    url = f"{ready['dataverse']}/api/data/v9.2/publishers?$select=uniquename"
    rows = httpx.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=120).json()["value"]
    return [row["uniquename"] for row in rows if row["uniquename"].startswith("linkerlive")]


def test_without_options_it_reads_and_reports(ready: Mapping[str, Any], tmp_path: Path) -> None:
    with started(ready, tmp_path, "--json", "live.json") as running:
        said, _ = running.communicate()
    report = json.loads((tmp_path / "live.json").read_text(encoding="utf-8"))
    assert running.returncode == (0 if report["good"] else 1), said
    assert (report["wrote"], report["checks"], len(report["probes"])) == (False, [], 19)
    page = (tmp_path / "live-report.md").read_text(encoding="utf-8")
    assert "only GET requests were sent" in page
    assert ready["dataverse"] not in page
    assert left(ready) == []


def test_the_sandbox_is_as_expected_in_every_check(ready: Mapping[str, Any], tmp_path: Path) -> None:
    checks = [argument for check in CHECKS for argument in ("--only", check.name)]
    with started(
        ready, tmp_path, "--disposable", "--stranger", NEWCOMER.client_id, "--json", "live.json", *checks
    ) as running:
        said, _ = running.communicate()
    assert running.returncode == 0, said
    report = json.loads((tmp_path / "live.json").read_text(encoding="utf-8"))
    others = {check["check"]: check["observed"] for check in report["checks"] if check["verdict"] != "same"}
    assert set(others) == {"retry-after"}, others  # the sandbox throttles only where a test asks for it
    assert (report["good"], report["wrote"], len(report["checks"])) == (True, True, len(CHECKS))
    page = (tmp_path / "live-report.md").read_text(encoding="utf-8")
    assert "### Differences from the sandbox\nNone." in page
    assert left(ready) == []


def test_ctrl_c_leaves_nothing_behind(ready: Mapping[str, Any], tmp_path: Path) -> None:
    with started(ready, tmp_path, "--disposable", "--rows", "100") as running:
        assert running.stdout is not None
        while "same" not in (line := running.stdout.readline()):
            assert line, "it ended before its first check"
        running.send_signal(signal.SIGINT)
        told = running.stdout.read()
    assert running.returncode != 0
    assert "Removed table" in told
    assert left(ready) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--only", "nonsense"], "There is no probe or check nonsense.", id="unknown check"),
        pytest.param(["--only", "an-old-etag"], "an-old-etag needs --disposable", id="a check that writes"),
        pytest.param(
            ["--disposable", "--confirm-host", "contoso.crm4.dynamics.com"], "leads to '127.0.0.1'", id="host"
        ),
        pytest.param(["--rows", "0"], "Invalid value for '--rows'", id="no rows"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    ready: Mapping[str, Any], tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    with started(ready, tmp_path, *arguments) as running:
        told, _ = running.communicate()
    assert running.returncode == 2
    assert sentence in told
