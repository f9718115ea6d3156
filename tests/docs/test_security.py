"""docs/security.md names a test for each threat."""

import re
from pathlib import Path

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| .+? \| (.*`(?:security|shell|core|system|malformed_input)/.+) \|$", PAGE, re.MULTILINE)


def test_every_threat_names_a_test() -> None:
    table = PAGE.partition("## What is done")[2].partition("\n## ")[0]
    threats = re.findall(r"^\| (?!Threat|---)(.+?) \|", table, re.MULTILINE)
    assert threats == [threat for threat, _ in ROWS]
