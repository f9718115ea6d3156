"""The pictures of the status page: each one was taken by `make screenshots`, and shows a run of the app on the sandbox."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from linker.core.model import Counts, Run, Status
from linker.core.runs.lifecycle import STEPS, why_ended
from linker.core.serialization import from_json

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "screenshots"
SCRIPT = ROOT / "tests" / "browser" / "screenshots.py"
SHOWN: dict[str, dict[str, Any]] = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
BY_HAND = {"scenes", "stage", "building"}  # modules of tests/browser that store runs which never happened


def run_of(picture: str) -> Run:
    """Return the run that a picture shows, as the API returned it."""
    return from_json(Run, SHOWN[picture]["run"])


def test_the_pictures_are_those_that_the_script_has_taken() -> None:
    pictures = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.png")}
    assert pictures == {name: about["sha256"] for name, about in SHOWN.items()}


def test_every_picture_of_a_page_is_one_of_them() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = {name for page in pages for name in re.findall(r"[\w./-]+\.png", page.read_text(encoding="utf-8"))}
    assert {Path(name).name for name in named} == set(SHOWN)


def test_the_script_stores_no_run() -> None:
    tree = ast.parse(SCRIPT.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = {part for node in imports for part in (node.module or "").split(".")}
    names |= {alias.name for node in imports for alias in node.names}
    assert names & BY_HAND == set()


@pytest.mark.parametrize("picture", SHOWN)
def test_the_run_of_a_picture_is_one_that_the_app_makes(picture: str) -> None:
    run = run_of(picture)
    known = [step for step in STEPS if step in run.steps]
    assert [run.steps[step] for step in known] == sorted(run.steps.values())
    assert set(known) == set(run.steps) > {"check"}
    for table in run.tables:
        assert run.ended_at is None or table.counts.rows_read == table.counts.outcomes
    if run.ended_at is not None:
        assert run.counts == sum((table.counts for table in run.tables), Counts())


@pytest.mark.parametrize("picture", [name for name in SHOWN if run_of(name).status is Status.WARNINGS])
def test_what_a_run_says_in_a_picture_is_what_the_app_says(picture: str) -> None:
    run = run_of(picture)
    assert run.status_detail == why_ended(run, run.status)


def test_pictures_show_a_run_with_warnings_one_under_way_and_a_pause() -> None:
    statuses = {run_of(name).status for name in SHOWN}
    assert statuses >= {Status.SUCCESSFUL, Status.WARNINGS, Status.REFRESHING}
    progress = run_of("progress.png").progress
    assert progress is not None
    assert progress.paused_until
