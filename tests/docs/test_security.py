"""docs/security.md names a test for each threat."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
TESTS = "security|core|adapters|services|durable|entrypoints|whole_runs|system|malformed_input"
ROWS = re.findall(rf"^\| (.+?) \| .+? \| (.*`(?:{TESTS})/.+) \|$", PAGE, re.MULTILINE)


SECTIONS = ("What Table Storage holds", "What is left")
PROOF = re.compile(rf"`((?:linker|sandbox|infra|live|{TESTS})/[\w/.-]*?)(?:::\w+)?`|\]\((dev/live\.md)\)")


def claims(section: str) -> list[str]:
    """Return the points of a section."""
    text = PAGE.partition(f"## {section}")[2].partition("\n## ")[0]
    return [point.replace("\n  ", " ") for point in re.findall(r"^- .+(?:\n  .+)*", text, re.MULTILINE)]


def exists(place: str) -> bool:
    return (ROOT / place).exists() or (ROOT / "tests" / place).exists() or (ROOT / "docs" / place).exists()


def test_every_claim_beside_the_table_names_a_test_or_a_file() -> None:
    for section in SECTIONS:
        found = claims(section)
        assert len(found) > 4
        named = {claim: ["".join(pair) for pair in PROOF.findall(claim)] for claim in found}
        assert [claim for claim, places in named.items() if not places] == []
        assert [place for places in named.values() for place in places if not exists(place)] == []


def test_every_threat_names_a_test() -> None:
    table = PAGE.partition("## What is done")[2].partition("\n## ")[0]
    threats = re.findall(r"^\| (?!Threat|---)(.+?) \|", table, re.MULTILINE)
    assert threats == [threat for threat, _ in ROWS]
