"""The model of the page algorithm holds with all its rules, and breaks without any of those that one attempt needs."""

import pytest

from tests.model_checking.page_model import RULES, Model, State
from tests.model_checking.schedules import BREAKING, CHANGES, search


def test_the_promise_holds_with_all_rules() -> None:
    states, schedule, broken = Model(max_changes=3, attempts=1).search()
    assert (schedule, broken) == ([], "")
    assert states > 15_000


@pytest.mark.parametrize("rule", CHANGES)
def test_the_promise_breaks_without(rule: str) -> None:
    schedule, broken = search(rule)
    assert broken
    assert schedule


@pytest.mark.parametrize("rule", sorted(RULES.keys() - CHANGES.keys()))
def test_one_attempt_alone_does_not_need(rule: str) -> None:
    """`live` saves equal writes; the others are about two attempts at a time."""
    assert Model(rule, max_changes=1, attempts=1).search()[2] == ""


@pytest.mark.parametrize("rule", BREAKING)
def test_a_schedule_of_two_attempts_breaks_the_model_without(rule: str) -> None:
    """Found by `page_model.py --without RULE --attempts 2 --frozen`, which takes minutes."""
    model = Model(rule, attempts=2, frozen=True)
    states = [State()]
    for line in BREAKING[rule]:
        states = [after for state in states for name, after in model.moves(state) if name == line]
        assert states, line
    assert any(model.wrong(state) for state in states)
