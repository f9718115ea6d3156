"""What a process may spend in a window, learned from refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.throttling.allowance import (
    FLOOR,
    WINDOW_S,
    Allowance,
    free_at,
    is_binding,
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
    assert (lanes(allowance, now_s), is_binding(allowance, now_s)) == (None, False)
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


def test_a_refusal_that_the_known_budget_explains_changes_no_window() -> None:
    allowance, now_s = burst(40, lanes_at_once=4)
    allowance = learn(allowance, now_s, 12.0, "time")
    later = now_s + 100
    for _ in range(20):
        later += 0.5
        allowance = spend(allowance, later, 2.0)
    assert learn(allowance, later, 12.0, "time").window_s == allowance.window_s


def test_after_quiet_windows_the_budget_is_tried_higher_and_each_refusal_makes_that_rarer() -> None:
    allowance, now_s = burst(40, lanes_at_once=4)
    allowance = learn(allowance, now_s, 12.0, "time")
    before = allowance.execution_s
    waited = allowance.raise_at - now_s
    allowance = spend(allowance, allowance.raise_at + 1, 1.0)
    assert allowance.execution_s > before
    again = learn(allowance, allowance.raise_at, 12.0, "time")
    assert again.raise_at - allowance.raise_at > 1.5 * waited


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
