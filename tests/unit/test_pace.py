"""The pace: additive increase, multiplicative decrease, bounds, and the size of write requests."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.pace import FEWEST, LARGEST, SMALLEST, TARGET_S, Load, Pace, first_pace, next_batch, next_pace

CALM = Load()
THROTTLED = Load(throttled=True)


@pytest.mark.parametrize(
    ("pace", "load", "width"),
    [
        pytest.param(Pace(width=8), THROTTLED, 4, id="a throttle halves"),
        pytest.param(Pace(width=1), THROTTLED, 1, id="never below one"),
        pytest.param(Pace(width=4, calm=2), CALM, 4, id="not calm for long enough"),
        pytest.param(Pace(width=4, calm=3), CALM, 5, id="as many calm pages as are in flight add one"),
        pytest.param(Pace(width=16, calm=99), CALM, 16, id="never above the ceiling"),
        pytest.param(Pace(width=16), Load(dop_hint=8), 8, id="the hint lowers the ceiling"),
        pytest.param(Pace(width=16, calm=15), Load(dop_hint=32), 17, id="the hint raises the ceiling"),
        pytest.param(Pace(width=4, calm=3), Load(dop_hint=1), 1, id="a hint of one"),
    ],
)
def test_width(pace: Pace, load: Load, width: int) -> None:
    assert next_pace(pace, load).width == width


@pytest.mark.parametrize(
    ("batch", "load", "expected"),
    [
        pytest.param(500, CALM, 500, id="nothing written, nothing learned"),
        pytest.param(500, Load(slowest_s=TARGET_S, slowest_rows=500), 500, id="on target"),
        pytest.param(500, Load(slowest_s=TARGET_S * 2, slowest_rows=500), 250, id="twice too slow halves"),
        pytest.param(200, Load(slowest_s=TARGET_S / 2, slowest_rows=200), 400, id="twice too fast doubles"),
        pytest.param(200, Load(slowest_s=0.01, slowest_rows=200), 400, id="at most doubles"),
        pytest.param(800, Load(slowest_s=1, slowest_rows=800), LARGEST, id="never above the largest"),
        pytest.param(100, Load(slowest_s=119, slowest_rows=100), SMALLEST, id="never below the smallest"),
        pytest.param(
            500, Load(timed_out=True, slowest_s=1, slowest_rows=500), 250, id="a timeout halves whatever else"
        ),
        pytest.param(60, Load(timed_out=True), SMALLEST, id="a timeout never goes below the smallest"),
    ],
)
def test_batch(batch: int, load: Load, expected: int) -> None:
    assert next_batch(batch, load) == expected


def test_the_width_is_won_back_after_a_throttle() -> None:
    pace = next_pace(Pace(width=16, calm=0), THROTTLED)
    assert pace.width == 8
    pages = 0
    while pace.width < 16:
        pace, pages = next_pace(pace, CALM), pages + 1
    assert pages == sum(range(8, 16))  # one more after as many calm pages as are in flight


def worn(rows_s: Callable[[int], float], pages: int, noise: float = 0.0) -> list[int]:
    """Return the widths that pages find at a Dataverse which writes so many rows a second at a width."""
    chance = random.Random(1)
    pace, widths = Pace(), []
    for _ in range(pages):
        row_s = pace.width / rows_s(pace.width) * chance.uniform(1 - noise, 1 + noise)
        pace = next_pace(pace, Load(slowest_s=500 * row_s, slowest_rows=500))
        widths.append(pace.width)
    return widths


def test_a_dataverse_that_scales_gets_all_lanes_in_the_fewest_pages() -> None:
    assert worn(lambda width: 500 * width, pages=sum(range(4, 16)))[-1] == 16


def test_noise_costs_few_lanes() -> None:
    widths = worn(lambda width: 500 * width, pages=600, noise=0.3)
    assert sum(widths[200:]) / 400 > 0.8 * 16


def test_a_dataverse_that_slows_down_when_crowded_is_not_crowded_for_long() -> None:
    widths = worn(lambda width: 500 * width / (1 + 0.5 * max(0, width - 4)), pages=400)
    assert max(widths) == 5
    assert sum(width > 4 for width in widths) / len(widths) < 0.3


def test_rows_that_suddenly_cost_more_are_no_crowd() -> None:
    pace = Pace(width=15, calm=14, row_s=0.002, narrower_row_s=0.002)
    pace = next_pace(pace, Load(slowest_s=1.0, slowest_rows=500))
    widths = []
    for _ in range(40):
        pace = next_pace(pace, Load(slowest_s=5.0, slowest_rows=500))  # the next table: 10 ms a row
        widths.append(pace.width)
    assert min(widths) >= 14


loads = st.builds(
    Load,
    throttled=st.booleans(),
    timed_out=st.booleans(),
    dop_hint=st.integers(0, 500),
    slowest_s=st.just(0.0) | st.floats(0.001, 200),
    slowest_rows=st.integers(0, 1_000),
)


@given(st.lists(loads, max_size=30))
def test_the_pace_stays_within_its_bounds(felt: list[Load]) -> None:
    pace = Pace()
    for load in felt:
        pace = next_pace(pace, load)
        assert FEWEST <= pace.width <= pace.most
        assert SMALLEST <= pace.batch <= LARGEST
        assert FEWEST <= pace.ceiling <= pace.most
        assert load.throttled or pace.width <= pace.ceiling


@given(st.integers(1, 64), loads)
def test_a_throttle_never_makes_it_faster(width: int, load: Load) -> None:
    assert next_pace(Pace(width=width, ceiling=64), replace(load, throttled=True)).width <= width


def test_a_width_that_was_set_is_never_exceeded_whatever_dataverse_hints() -> None:
    pace = first_pace(2)
    for _ in range(20):
        pace = next_pace(pace, Load(dop_hint=32))
    assert pace.width == 2
    assert first_pace(0) == Pace()
