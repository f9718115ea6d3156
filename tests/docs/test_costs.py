"""docs/deploy.md: each cost is what its arithmetic says."""

import re
from pathlib import Path

import pytest

from bench.simulation import OPERATIONS_UNCHANGED, simulate

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
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
    (idle, total) = re.findall(r"costs about (\d+) dollars idle, `prod` for about (\d+)", PAGE)[0]
    assert round(sum(float(dollars) for _, _, dollars in LINES)) == int(total)
    assert f"about {idle} to {total} US dollars a month" in README


RUNS, PAGE_S, AT_ONCE, WRITE_S = 120, 1.5, 16, 2.5  # as the rows of the table say


def running(rows: int) -> list[str]:
    """Return what a table of `rows` rows costs, as a column of the page's table."""
    table = simulate(rows)
    busy_s = table.shards * PAGE_S / AT_ONCE
    return [
        f"{table.shards:,}",
        f"{busy_s:.0f}",
        f"{busy_s * RUNS * 2 * 0.000016:.2f}",
        f"{table.shards * OPERATIONS_UNCHANGED * RUNS / 10_000 * 0.00036:.2f}",
        f"{table.state_bytes / 1e9 * 0.045:.2f}",
        f"{table.write_requests:,}",
        f"{table.write_requests * WRITE_S / AT_ONCE / 3_600:.2f}",
    ]


def test_what_runs_cost_follows_from_the_simulation_of_their_size() -> None:
    _, _, _, *lines = PAGE[PAGE.index("\n| What runs cost") : PAGE.index("\nRows cost nothing")].splitlines()
    told = [[cell.strip() for cell in line.strip("|").split("|")[1:]] for line in lines if line]
    assert told == [list(row) for row in zip(*map(running, (100_000, 1_000_000, 10_000_000)), strict=True)]
