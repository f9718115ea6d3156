"""The whole picture from outside: `python -m linker preflight` and GET /api/preflight, against a sandbox that counts."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from linker.settings import PREFIX
from sandbox.demo.children import app_settings

from .conftest import MakeWorld
from .world import ROOT, SAMPLE, World


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without local.settings.json."""
    return tmp_path_factory.mktemp("elsewhere")


def run(folder: Path, settings: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as an admin does, with these app settings and no others."""
    own = {name: value for name, value in os.environ.items() if not name.upper().startswith((PREFIX, "IDENTITY_"))}
    environment = own | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | settings
    command = [sys.executable, "-m", "linker", "preflight", *options]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def without_dates(picture: dict[str, Any]) -> dict[str, Any]:
    """Return a preflight without the moments at which capabilities were probed: each look probes for itself."""
    known = picture["capabilities"]
    findings = [{**each, "probedAt": ""} for each in known["findings"]]
    return {**picture, "capabilities": {**known, "findings": findings, "probedAt": ""}}


def test_preflight_shows_the_same_picture_on_the_command_line_and_over_http_and_writes_nothing(
    make: MakeWorld, folder: Path
) -> None:
    world = make("--load", str(SAMPLE))
    world.sandbox.reset_counters()
    settings = app_settings(world.sandbox.ready)
    done = run(folder, settings, "-o", "json")
    picture = json.loads(done.stdout)
    assert (done.returncode, done.stderr, picture["severity"]) == (0, "", "ready")
    assert {table["table"]: (table["outcome"], table["column"], table["rows"]) for table in picture["tables"]} == {
        "contact": ("ready", "would be created", 60),
        "lead": ("ready", "would be created", 30),
    }
    assert without_dates(world.app.preflight()) == without_dates(picture)
    assert world.counted("rowsWritten") == 0
    asked = world.sandbox.counters()["requests"]
    assert not [request for request in asked if request.startswith(("PATCH", "PUT", "DELETE"))]
    assert_for_people(
        run(folder, settings), "contact", "would be created", "Result             ready; nothing was written"
    )

    world.publish()
    again = json.loads(run(folder, settings, "-o", "json").stdout)
    assert {(table["column"], table["mode"]) for table in again["tables"]} == {("exists", "incremental")}
    says_blocked(world, folder, settings)
    nobody = run(folder, settings | {"LINKER_DATAVERSE_URL": "http://127.0.0.1:9"})
    assert_sentence(nobody, "http://127.0.0.1:9 could not be reached")


def says_blocked(world: World, folder: Path, settings: dict[str, str]) -> None:
    world.sandbox.admin("POST", "environment", {"isB2B": True})
    done = run(folder, settings)
    assert done.returncode == 2
    assert "R5: The environment is set up for business accounts (B2B)." in " ".join(done.stdout.split())


def assert_for_people(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 0
    assert [word for word in words if word not in done.stdout] == []


def test_without_settings_one_sentence_says_which_is_missing(folder: Path) -> None:
    assert_sentence(run(folder, {}), "The setting LINKER_DATAVERSE_URL is missing.")


def assert_sentence(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert (done.returncode, done.stdout, len(done.stderr.strip().splitlines())) == (2, "", 1)
    assert words in done.stderr


def test_settings_come_from_local_settings_where_the_environment_has_none(tmp_path: Path) -> None:
    values = {"LINKER_DATAVERSE_URL": "no address", "LINKER_STORAGE": "UseDevelopmentStorage=true"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}), encoding="utf-8")
    assert "LINKER_DATAVERSE_URL is malformed" in run(tmp_path, {}).stderr
    assert (
        "LINKER_DATAVERSE_URL is malformed" not in run(tmp_path, {"LINKER_DATAVERSE_URL": "http://127.0.0.1:9"}).stderr
    )


@pytest.mark.parametrize("text", ["{", '{"Values": {"LINKER_WIDTH": 3}}'])
def test_local_settings_that_cannot_be_read_are_reported(tmp_path: Path, text: str) -> None:
    (tmp_path / "local.settings.json").write_text(text, encoding="utf-8")
    assert_sentence(run(tmp_path, {}), "local.settings.json cannot be read")
