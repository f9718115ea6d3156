"""Orchestrators are deterministic by lint: they are run again from their history, and have to ask for the same things."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from linker.durable import orchestrators

ROOT = Path(__file__).parents[3]
FOLDER = Path(orchestrators.__file__).parent
# What they hold in their hands.
VALUES = [ROOT / "linker" / "core" / "runs" / name for name in ("activity_values.py", "generation_values.py")]
# What an orchestrator may know: no clock, no chance, no environment, no I/O, no log, no activity's body.
ALLOWED = frozenset(
    {
        "__future__",
        "collections.abc",
        "dataclasses",
        "datetime",
        "durabletask.task",
        "linker.core.runs.activity_values",
        "linker.core.runs.generation_values",
        "linker.core.model",
        "linker.core.throttling.pace",
        "linker.core.runs.signals",
        "linker.core.serialization",
        "typing",
    }
)
CLOCKS = frozenset({"now", "utcnow", "today", "fromtimestamp"})  # of datetime; ctx.current_utc_datetime is replayed
UNSTABLE = frozenset({"hash", "id", "open", "print", "input", "set", "frozenset", "eval", "exec", "__import__"})


def faults(source: str) -> list[str]:
    """Return what in a module could make a replay differ."""
    return [fault for node in ast.walk(ast.parse(source)) for fault in _faults_of(node)]


def _faults_of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (name.name for name in names if not _is_allowed(name.name))
        case ast.ImportFrom(module=module) if not _is_allowed(str(module)):
            yield str(module)
        case ast.Attribute(attr=name) if name in CLOCKS:
            yield name
        case ast.Call(func=ast.Name(id=name)) if name in UNSTABLE:
            yield name
        case ast.Set() | ast.SetComp():
            yield "a set"
        case ast.AsyncFunctionDef() | ast.Await():
            yield "async"


def _is_allowed(module: str) -> bool:
    return module in ALLOWED or module.startswith("linker.durable.orchestrators.")


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in [*sorted(FOLDER.glob("*.py")), *VALUES]])
def test_orchestrators_know_only_their_input_and_their_history(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        pytest.param("import time", "time", id="a clock"),
        pytest.param("from random import random", "random", id="chance"),
        pytest.param("from uuid import uuid4", "uuid", id="new ids"),
        pytest.param("import os", "os", id="the environment"),
        pytest.param("import logging", "logging", id="a log, written again in each replay"),
        pytest.param("import httpx", "httpx", id="the network"),
        pytest.param("from linker.deps import Deps", "linker.deps", id="the shell"),
        pytest.param("from . import life", "None", id="a relative import"),
        pytest.param("began = datetime.now(UTC)", "now", id="the time of day"),
        pytest.param("text = open('x').read()", "open", id="a file"),
        pytest.param("for table in {1, 2}: pass", "a set", id="an order that differs"),
        pytest.param("for table in set(tables): pass", "set", id="an order that differs, made"),
        pytest.param("async def run(): pass", "async", id="other people's turns"),
    ],
)
def test_what_could_differ_is_found(source: str, fault: str) -> None:
    assert faults(source) == [fault]
