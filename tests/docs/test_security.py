"""docs/security.md names tests that exist."""

import re
from pathlib import Path

from tests.mutations.proofs import exists

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| .+? \| (.*`(?:security|shell|unit|system|badinput)/.+) \|$", PAGE, re.MULTILINE)


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 30
    assert [test for test in named if not exists(test)] == []


def test_every_threat_names_a_test() -> None:
    table = PAGE.partition("## What is done")[2].partition("\n## ")[0]
    threats = re.findall(r"^\| (?!Threat|---)(.+?) \|", table, re.MULTILINE)
    assert threats == [threat for threat, _ in ROWS]
