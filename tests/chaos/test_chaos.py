"""A few scenarios of the chaos suite, and that its oracle sees what it is there for. `make chaos` plays 200 of them."""

from __future__ import annotations

import pytest

from linker.core.model import Counts
from tests.faults.scene import port_of

from .life import Links, _miscounted, live
from .results import BEGIN, END, PAGE, load, written
from .scenario import draw

SHORT = 6
ROW, OTHER = ("contact", "1"), ("contact", "2")


@pytest.mark.parametrize("seed", range(1, SHORT + 1))
def test_two_further_runs_set_everything_right(azurite: str, seed: int) -> None:
    assert live(draw(seed), port_of(azurite)).harm == ()


def test_a_seed_always_gives_the_same_scenario() -> None:
    assert [draw(seed) for seed in range(50)] == [draw(seed) for seed in range(50)]


@pytest.mark.parametrize(
    ("counts", "before", "after", "told"),
    [
        pytest.param(Counts(linked=1), {ROW: None}, {ROW: "a"}, "", id="as it was"),
        pytest.param(Counts(unlinked=1), {ROW: "a"}, {ROW: None}, "", id="cleared"),
        pytest.param(Counts(linked=1), {ROW: "a"}, {ROW: "a"}, "that were right", id="a write that was not needed"),
        pytest.param(Counts(linked=2), {ROW: None}, {ROW: "a"}, "linked 2 rows, and wrote 1", id="too many linked"),
        pytest.param(Counts(), {ROW: None}, {ROW: "a"}, "linked 0 rows, and wrote 1", id="too few linked"),
        pytest.param(Counts(), {ROW: "a"}, {ROW: None}, "unlinked 0 rows, and cleared 1", id="too few unlinked"),
    ],
)
def test_figures_are_held_against_the_rows(counts: Counts, before: Links, after: Links, told: str) -> None:
    found = _miscounted(counts, before, after, [ROW])
    assert told in "; ".join(found)
    assert bool(found) is bool(told)


def test_the_page_is_the_one_that_the_results_give() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert BEGIN in page
    assert END in page
    assert written(page, load()) == page
