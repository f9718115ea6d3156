"""docs/cli.md names every command, option and exit code of the command line, and none else."""

import re
from pathlib import Path

import pytest
import typer

from linker.__main__ import app
from linker.entrypoints.cli.connection import REFUSED
from linker.entrypoints.cli.waiting import EXIT_CODES, INTERRUPTED

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
ROOT_OPTIONS = {"--install-completion", "--show-completion", "--version", "--help"}
LISTED = re.findall(r"^\| `linker (\w+)", PAGE, re.MULTILINE)


def test_every_command_is_listed_once() -> None:
    assert sorted(LISTED) == sorted(COMMANDS)


@pytest.mark.parametrize("line", sorted(set(re.findall(r"(?:^|[`|] )linker (\w[^`#|\n]*)", PAGE, re.MULTILINE))))
def test_every_command_that_is_shown_exists_with_its_options(line: str) -> None:
    name, *words = line.split()
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("-")} <= options


def test_every_option_that_is_named_is_one() -> None:
    known = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z][a-z-]+", PAGE)) <= known | ROOT_OPTIONS


def test_every_exit_code_is_described() -> None:
    described = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}
    assert described == {0, REFUSED, INTERRUPTED, *EXIT_CODES.values()}


def test_every_message_that_troubleshooting_quotes_is_one_of_ours() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    table = page[page.index("## An error message") : page.index("## What to send")]
    quoted = [part.strip() for text in re.findall(r'"([^"]+)"', table) for part in text.split("...")]
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "linker").rglob("*.py"))
    assert len(quoted) > 5
    assert [part for part in quoted if part not in code] == []
