"""docs/deploy.md: every command, option, parameter and output that it names exists."""

import json
import os
import re
from pathlib import Path

import pytest
from typer.main import get_command

from linker.__main__ import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
MAIN = (ROOT / "infra" / "main.bicep").read_text(encoding="utf-8")
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]  # a typer app with several commands is a group


def declared(kind: str) -> set[str]:
    """Return the names that main.bicep declares as `kind`: param or output."""
    return set(re.findall(rf"^{kind} (\w+) ", MAIN, re.MULTILINE))


def test_every_output_that_is_asked_for_is_one() -> None:
    asked = set(re.findall(r"\$\(output (\w+)\)", PAGE))
    assert asked
    assert asked <= declared("output")


def test_the_outputs_that_are_shown_are_those_that_there_are() -> None:
    shown = set(re.findall(r'^  "(\w+)": \{ "type": "String"', PAGE, re.MULTILINE))
    assert shown
    assert shown <= declared("output")


def test_every_parameter_that_is_named_is_one() -> None:
    table = PAGE[PAGE.index("| Parameter |") : PAGE.index("**Signing in.**")]
    listed = {
        name for line in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", line)
    }
    assert listed
    assert listed | set(re.findall(r"`param (\w+) = ", PAGE)) <= declared("param")


@pytest.mark.parametrize("line", sorted(set(re.findall(r"python -m linker (\w[^`#\n]*)", PAGE))))
def test_every_command_of_the_linker_exists_with_its_options(line: str) -> None:
    name, *words = line.split()
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options


def test_every_file_and_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [
        name for name in re.findall(r"^make (\w+)|`make (\w+)", PAGE) if f"\n{''.join(name)}:" not in makefile
    ] == []
    scripts = set(re.findall(r"scripts/\w+", PAGE))
    assert "scripts/publish" in scripts
    assert [path for path in scripts if not os.access(ROOT / path, os.X_OK)] == []
    files = set(re.findall(r"(?:infra|\.github)/[\w./-]*\w", PAGE))
    assert [path for path in files if not (ROOT / path).exists()] == []


def test_what_programs_may_ask_for_is_what_the_app_registration_offers() -> None:
    api = json.loads((ROOT / "infra" / "app-api.json").read_text(encoding="utf-8"))["api"]
    clients = json.loads((ROOT / "infra" / "app-clients.json").read_text(encoding="utf-8"))["api"]
    offered = {scope["id"] for scope in api["oauth2PermissionScopes"]}
    assert api["requestedAccessTokenVersion"] == 2, (
        "the issuer of infra/modules/authentication.bicep is that of version 2"
    )
    assert "/v2.0'" in (ROOT / "infra" / "modules" / "authentication.bicep").read_text(encoding="utf-8")
    for client in clients["preAuthorizedApplications"]:
        assert set(client["delegatedPermissionIds"]) == offered
