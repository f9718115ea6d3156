"""The pictures of docs/dev/architecture.md show the code as it is, and its recipes name files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from linker.durable.activities import ACTIVITIES
from linker.durable.orchestrators import ORCHESTRATORS
from scripts.architecture import PAGE, ROOT, drawn, run

HOW_TO = ROOT / "docs" / "dev" / "how-to.md"


def test_the_pictures_show_the_code_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert drawn(page) == page, "run 'make architecture'"


def test_the_picture_of_a_run_names_each_orchestrator_and_each_activity_that_is_still_called() -> None:
    named = {*re.findall(r"\w+", run())}
    assert ORCHESTRATORS.keys() <= named
    assert ACTIVITIES.keys() - named == {"renew", "link_page", "split_pages"}  # between all others; of earlier versions


def paths(page: Path) -> list[str]:
    return re.findall(r"`((?:linker|sandbox|tests|infra|docs|scripts)/[\w./-]+)`", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [PAGE, HOW_TO, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_each_path_in_the_guides_exists(page: Path) -> None:
    named = paths(page)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_of_the_tests_names_each_folder() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    text = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    assert {name for name in folders if f"`{name}`" not in text} == set()
