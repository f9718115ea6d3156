"""docs/dev/how-to.md: each step names files and names that exist, and five changes take at most four files of code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "dev" / "how-to.md").read_text(encoding="utf-8")
RECIPES = {part.split(".")[0]: part for part in PAGE.split("\n## ")[1:]}
PATH = re.compile(r"`([\w.-]+/[\w./-]*|function_app\.py)`")
STEP = re.compile(r"^\d+\. `([^`]+\.(?:py|html|bicep))`.*?: (.*)$", re.MULTILINE)
NAME = re.compile(r"`((?!LINKER_)[A-Za-z_]+)`")


def test_every_path_exists() -> None:
    assert len(RECIPES) == 10
    assert [path for path in PATH.findall(PAGE) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_name_of_a_step_is_in_a_file_that_the_step_names(recipe: str) -> None:
    for first, words in STEP.findall(RECIPES[recipe]):
        files = [path for path in (first, *PATH.findall(words)) if (ROOT / path).is_file()]
        code = "".join((ROOT / path).read_text(encoding="utf-8") for path in files)
        assert [name for name in NAME.findall(words) if not re.search(rf"\b{name}\b", code)] == [], first


@pytest.mark.parametrize("recipe", ["1", "2", "5", "6", "7"])
def test_a_change_takes_at_most_four_files_of_code(recipe: str) -> None:
    assert 2 <= len(re.findall(r"^\d+\. `", RECIPES[recipe], re.MULTILINE)) <= 4
