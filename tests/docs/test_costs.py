"""docs/deploy.md: each cost is what its arithmetic says."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "deploy.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\| ([^|]+) \| ([^|]* x [^|]*) \| ([\d.]+) \|$", PAGE, re.MULTILINE)


def computed(arithmetic: str) -> float:
    """Return the value of a product or quotient of numbers, some with units: '2 GB x 1,000 s x 0.5'."""
    text = re.sub(r"[A-Za-z-]+", lambda word: "*" if word[0] == "x" else "", arithmetic.replace(",", ""))
    assert re.fullmatch(r"[\d.()+*/ ]+", text)
    return float(eval(text))  # noqa: S307 - numbers and signs alone, as just asserted


@pytest.mark.parametrize(("what", "arithmetic", "dollars"), LINES, ids=[what for what, _, _ in LINES])
def test_a_cost_is_what_its_arithmetic_says(what: str, arithmetic: str, dollars: str) -> None:
    assert f"{computed(arithmetic):.2f}" == dollars


def test_what_stands_still_in_prod_is_the_sum() -> None:
    (total,) = re.findall(r"`prod` for about (\d+)", PAGE)
    assert round(sum(float(dollars) for _, _, dollars in LINES)) == int(total)
