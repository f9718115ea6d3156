"""The search for the width that brings the most rows a second."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.throttling.pace import (
    after_throttle,
    after_write,
    first_control,
    report,
    rows_of_write,
    shards_in_flight,
    share_control,
    with_hint,
)
from linker.core.throttling.width import FIRST_BATCH, MAX_WIDTH, SMALLEST, UNHINTED, Control, Write
from tests.core.throttling.writes import NOW, written


def settled(control: Control, capacity: int, *, writes: int = 4_000) -> list[int]:
    """Return the widths in an environment that writes no more above `capacity` lanes, and half as much far above."""
    at_s, widths = NOW, []
    for _ in range(writes):
        crowd = max(0.0, control.width - capacity)
        row_s = 0.01 * (1 + 2 / capacity * crowd)
        seconds = control.batch * row_s
        at_s += seconds / control.width
        control = after_write(control, Write(at_s + seconds, seconds, control.batch, control.width))
        widths.append(control.width)
    return widths


@pytest.mark.parametrize("capacity", [3, 6, 12, 24])
def test_a_hint_that_is_too_high_is_left_for_the_width_that_brings_the_most(capacity: int) -> None:
    widths = settled(first_control(0, 2 * capacity), capacity)
    late = widths[len(widths) // 2 :]
    assert 0.6 * capacity <= sum(late) / len(late) <= 1.35 * capacity


@pytest.mark.parametrize("hint", [4, 16, 48])
def test_an_environment_that_scales_is_used_at_its_hint(hint: int) -> None:
    widths = settled(first_control(0, hint), capacity=10 * hint)
    assert sum(widths) / len(widths) >= 0.9 * hint


def test_rows_that_cost_more_at_any_width_cost_few_writes_at_a_narrower_one() -> None:
    control = written(first_control(0, 16), 0.002, writes=200)
    began = control.width
    widths = []
    for _ in range(20):
        control = written(control, 0.01, writes=20, at_s=control.at_s)  # the next table: five times the cost
        widths.append(control.width)
    assert began == 16
    assert sum(widths) / len(widths) >= 0.85 * 16


def test_trials_that_bring_nothing_become_rare() -> None:
    widths = settled(first_control(0, 48), capacity=20, writes=12_000)
    changes = [number for number, (a, b) in enumerate(pairwise(widths)) if a != b]
    early = sum(1 for number in changes if number < 6_000)
    assert len(changes) - early <= early


def test_a_lack_of_work_says_nothing_about_the_width() -> None:
    control = first_control(0, 16)
    for number in range(200):
        control = after_write(control, Write(NOW + number, 2.0, 200, 3.0))
    assert control.width == 16


HINTS = st.sampled_from([0, 1, 2, 3, 5, 52, 64, 10_000, 999_999_999])


@given(
    most=st.sampled_from([0, 1, 2, 3, 5, 7, 13, 63, 64]),
    hint=HINTS,
    news=st.lists(st.tuples(HINTS, st.sampled_from([1, 2, 3, 50]), st.booleans()), max_size=30),
)
def test_no_hint_moves_the_width_or_the_first_writes_out_of_their_bounds(
    most: int, hint: int, news: list[tuple[int, int, bool]]
) -> None:
    """Hints that change, come late, or not at all, with any LINKER_WIDTH and any number of processes."""
    control = first_control(most, hint)
    for number, (other, processes, is_throttled) in enumerate(news):
        control = share_control(with_hint(control, other), processes)
        if is_throttled:
            control = after_throttle(control, NOW + number, 1.0, "concurrency", control.width)
        assert 1 <= control.width <= max(1, min(most or MAX_WIDTH, control.hint or UNHINTED) // processes)
        assert all(SMALLEST <= rows_of_write(control, write) <= FIRST_BATCH for write in range(2 * MAX_WIDTH))
        assert shards_in_flight(report(control, NOW + number)) >= 1
