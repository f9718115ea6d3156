"""What a process may spend in a window, learned from refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.throttling.allowance import (
    FLOOR,
    WINDOW_S,
    Allowance,
    free_at,
    lanes,
    learn,
    left_s,
    spend,
    sustained,
)

NOW = 1_000_000.0


def burst(seconds: float, *, lanes_at_once: int = 48, at_s: float = NOW) -> tuple[Allowance, float]:
    """Return the allowance after a burst of so many seconds of execution time, and when it ended."""
    allowance = Allowance()
    for _ in range(int(seconds / 2)):
        at_s += 2.0 / lanes_at_once
        allowance = spend(allowance, at_s, 2.0)
    return allowance, at_s


def test_without_a_refusal_nothing_is_limited() -> None:
    allowance, now_s = burst(5_000)
    assert lanes(allowance, now_s) is None
    assert free_at(allowance, now_s) == now_s


def test_a_refusal_shows_budget_and_window() -> None:
    allowance, now_s = burst(1_200)
    allowance = learn(allowance, now_s, 277.0, "time")
    assert allowance.execution_s == pytest.approx(1_200)
    assert allowance.window_s == pytest.approx(WINDOW_S, rel=0.02)
    assert sustained(allowance) == pytest.approx(4.0, rel=0.03)


def test_nothing_is_left_until_the_burst_leaves_the_window_and_then_its_share_is_spent_soon() -> None:
    allowance, now_s = burst(1_200)
    allowance = learn(allowance, now_s, 277.0, "time")
    assert lanes(allowance, now_s + 100) == 0
    ready = free_at(allowance, now_s)
    assert ready == pytest.approx(NOW + 300, abs=5)
    assert (lanes(allowance, ready + 15) or 0) > 20


def test_a_window_that_is_shorter_than_documented_is_recognized_by_retry_after() -> None:
    allowance, now_s = burst(40, lanes_at_once=4)
    assert learn(allowance, now_s, 12.0, "time").window_s == pytest.approx(21, abs=2)


def test_a_budget_of_requests_is_worth_what_they_take() -> None:
    allowance, now_s = burst(400)
    allowance = learn(allowance, now_s, 290.0, "requests")
    assert (allowance.requests, allowance.execution_s) == (max(200, 2 * allowance.window_s), 0)
    assert left_s(allowance, now_s) == pytest.approx((allowance.requests - 200) * 2.0)


def test_a_refusal_that_others_caused_leaves_a_floor() -> None:
    allowance = learn(spend(Allowance(), NOW, 0.1), NOW + 1, 60.0, "time")
    assert sustained(allowance) == pytest.approx(FLOOR)
    assert learn(Allowance(), NOW, 60.0, "time") == Allowance()


@given(st.integers(0, 20), st.floats(1, 300))
def test_the_first_refusal_shows_the_window_and_later_ones_the_budget(writes: int, wait_s: float) -> None:
    """Later refusals may come from what others spent: the time until that leaves says nothing about our own expenses."""
    allowance, now_s = burst(40, lanes_at_once=4)
    allowance = learn(allowance, now_s, 12.0, "time")
    later = now_s + 100
    for _ in range(writes):
        later += 0.5
        allowance = spend(allowance, later, 2.0)
    again = learn(allowance, later, wait_s, "time")
    assert again.window_s == allowance.window_s
    assert again.execution_s == max(2.0 * writes, FLOOR * allowance.window_s)


@given(st.integers(1, 48), st.floats(0.1, 60), st.lists(st.floats(0, 3), max_size=60))
def test_what_is_under_way_fits_into_the_budget(lanes_at_once: int, write_s: float, waits: list[float]) -> None:
    """Service protection counts a write when it ends: writes that were let in must not overdraw the budget together."""
    allowance, now_s = burst(1_200, lanes_at_once=lanes_at_once)
    allowance = learn(allowance, now_s, 200.0, "time")
    under_way: list[float] = []
    for wait_s in waits:
        now_s += 10 * wait_s
        for end_s in sorted(end_s for end_s in under_way if end_s <= now_s):
            allowance = spend(allowance, end_s, write_s)
            assert left_s(allowance, end_s) >= -1e-6
        under_way = [end_s for end_s in under_way if end_s > now_s]
        room = (lanes(allowance, now_s, write_s) or 0) - len(under_way)
        under_way += [now_s + write_s] * max(0, room)


def test_writes_may_begin_again_at_the_moment_that_is_named() -> None:
    allowance, now_s = burst(1_200)
    allowance = learn(allowance, now_s, 277.0, "time")
    ready = free_at(allowance, now_s, 2.0)
    assert (lanes(allowance, ready - 1, 2.0), (lanes(allowance, ready, 2.0) or 0) > 0) == (0, True)


def test_after_quiet_windows_the_budget_is_tried_higher_and_each_refusal_makes_that_rarer() -> None:
    allowance, now_s = burst(40, lanes_at_once=4)
    allowance = learn(allowance, now_s, 12.0, "time")
    before = allowance.execution_s
    waited = allowance.raise_at - now_s
    allowance = spend(allowance, allowance.raise_at + 1, 1.0)
    assert allowance.execution_s > before
    again = learn(allowance, allowance.raise_at, 12.0, "time")
    assert again.raise_at - allowance.raise_at > 1.5 * waited


@pytest.mark.parametrize(("most", "rises"), [(3, False), (4, False), (8, True)])
def test_a_budget_that_sustains_every_write_at_once_is_not_tried_higher(most: int, *, rises: bool) -> None:
    """More could not be spent: there would be nothing to gain but the next refusal."""
    allowance, now_s = burst(1_200, lanes_at_once=4)
    allowance = learn(allowance, now_s, 30.0, "time")
    later = spend(allowance, allowance.raise_at + 1, 1.0, most=most)
    assert (later.execution_s > allowance.execution_s) is rises


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 100), st.integers(1, 50)), max_size=200))
def test_expenses_are_neither_lost_nor_doubled(felt: list[tuple[float, float, int]]) -> None:
    allowance, now_s, spent = Allowance(), NOW, []
    for wait_s, seconds, requests in felt:
        now_s += wait_s
        allowance = spend(allowance, now_s, seconds, requests)
        spent.append((now_s, seconds, requests))
    kept = sum(requests for *_, requests in allowance.spent)
    surely = sum(requests for at_s, _, requests in spent if at_s > now_s - WINDOW_S + 0.01)
    assert surely <= kept <= sum(requests for *_, requests in spent)
    assert [e[0] for e in allowance.spent] == sorted(e[0] for e in allowance.spent)
