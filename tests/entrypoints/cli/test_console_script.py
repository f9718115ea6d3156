"""The command `linker`: what the package metadata promises exists, and one place states the version."""

import re
import tomllib
from importlib import import_module
from pathlib import Path

from linker import VERSION
from linker.entrypoints.api import OPERATIONS
from linker.entrypoints.api.openapi import document

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def resolved(reference: str, separator: str) -> object:
    module, _, name = reference.rpartition(separator)
    return getattr(import_module(module), name)


def test_the_console_script_starts_a_function_that_exists() -> None:
    assert list(PROJECT["project"]["scripts"]) == ["linker"]
    assert callable(resolved(PROJECT["project"]["scripts"]["linker"], ":"))


def test_the_package_and_the_api_state_the_same_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert "version" in PROJECT["project"]["dynamic"]
    assert resolved(PROJECT["tool"]["setuptools"]["dynamic"]["version"]["attr"], ".") == VERSION
    assert document(OPERATIONS)["info"]["version"] == VERSION


def test_make_setup_installs_the_command() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^setup: .*\$\(COMMAND\)", makefile, re.MULTILINE)
    assert re.search(r"^COMMAND := \.venv/bin/linker$", makefile, re.MULTILINE)
