"""Setting up an environment for an identity that is not a user there yet: then a run passes, and no privilege is too many."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from linker import bootstrap, settings
from linker.core.serialization import to_json
from linker.services import preflight_checks
from sandbox.demo.children import app_settings
from sandbox.identity.accounts import NEWCOMER

from .administrator import administrator, linker
from .conftest import MakeWorld
from .world import SAMPLE, World

ROLE = "Least privilege"


def told(picture: dict[str, Any]) -> str:
    """Return everything that a preflight says about privileges."""
    missing = [*picture["missing"], *(missing for table in picture["tables"] for missing in table["missing"])]
    return " ".join([picture["detail"], *picture["warnings"], *(one["privilege"] for one in missing)])


@contextmanager
def looking(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict[str, Any]]]:
    """Give a preflight of now, as the app's identity. The app itself serves one look to every caller for some seconds."""
    for name, value in (app_settings(world.sandbox.ready) | {"LINKER_CLIENT_ID": NEWCOMER.client_id}).items():
        monkeypatch.setenv(name, value)
    with asyncio.Runner() as runner:
        deps = bootstrap.build(settings.load())
        yield lambda: to_json(runner.run(preflight_checks.look(deps)))
        runner.run(deps.close())


@pytest.fixture
def stranger(make: MakeWorld) -> World:
    """The sample, and an app whose identity is not a user of its environment."""
    return make("--load", str(SAMPLE), LINKER_CLIENT_ID=NEWCOMER.client_id)


def test_before_the_set_up_nothing_starts_and_the_status_says_what_to_do(stranger: World) -> None:
    run = stranger.publish()
    assert run["status"] == "Not started"
    assert "is not a user of" in run["statusDetail"]
    assert "python -m linker setup" in run["statusDetail"]


def test_with_the_role_of_the_set_up_a_run_passes_and_each_privilege_that_is_taken_away_is_named(
    stranger: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("setup", "--client-id", NEWCOMER.client_id, "--role", ROLE)
    shown = linker(stranger, *asked, "--dry-run")
    assert (shown.returncode, "Nothing was written." in shown.stdout) == (0, True), shown.stderr
    assert "Tables     contact, lead" in shown.stdout
    done = linker(stranger, *asked, "--yes")
    assert (done.returncode, "Done." in done.stdout) == (0, True), done.stderr
    assert "Nothing to do" in linker(stranger, *asked, "--yes").stdout

    with administrator(stranger) as api, looking(stranger, monkeypatch) as looked:
        (role,) = api.get("roles", params={"$filter": f"name eq '{ROLE}'"}).json()["value"]
        url = f"roles({role['roleid']})/Microsoft.Dynamics.CRM."
        held = api.get(f"RetrieveRolePrivilegesRole(RoleId={role['roleid']})").json()["RolePrivileges"]
        assert told(looked()) == ""
        silent = []
        for privilege in held:
            api.post(f"{url}RemovePrivilegeRole", json={"PrivilegeId": privilege["PrivilegeId"]}).raise_for_status()
            if privilege["PrivilegeName"] not in told(looked()):
                silent.append(privilege["PrivilegeName"])
            again = {"Privileges": [{"PrivilegeId": privilege["PrivilegeId"], "Depth": "3"}]}
            api.post(f"{url}AddPrivilegesRole", json=again).raise_for_status()
        assert (len(held) > 20, silent) == (True, [])

    run = stranger.publish()
    assert (run["status"], run["serviceAccount"], run["warnings"]) == ("Successful", NEWCOMER.full_name, [])
    assert run["counts"]["linked"] == 90
    assert stranger.sandbox.check("contact").wrong == 0

    assert linker(stranger, *asked, "--undo", "--yes").returncode == 0
    after = stranger.ended(stranger.app.request(mode="incremental"))
    assert after["status"] == "Failed (permanent)"
    assert "is not a user of" in after["statusDetail"]
