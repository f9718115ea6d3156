"""The model of scanning holds with all its rules, and breaks without any of those that it needs."""

import pytest

from tests.model_checking.scan_model import RULES, Model, State
from tests.model_checking.schedules import SCAN_BREAKING, SCAN_CHANGES, search_scan


@pytest.mark.parametrize(("changes", "crashes", "states"), [(2, 0, 10_000), (1, 1, 2_000)])
def test_the_promise_holds_with_all_rules(changes: int, crashes: int, states: int) -> None:
    """Larger bounds take minutes: `python -m tests.model_checking.scan_model`."""
    found, schedule, broken = Model(changes=changes, crashes=crashes, runs=1).search()
    assert (schedule, broken) == ([], "")
    assert found > states


@pytest.mark.parametrize("rule", SCAN_CHANGES)
def test_the_promise_breaks_without(rule: str) -> None:
    schedule, broken = search_scan(rule)
    assert broken
    assert schedule


def test_one_rule_is_there_for_economy() -> None:
    """Absence is read again in any case: without the rule a delta scan would only look at every row in vain."""
    assert RULES.keys() - SCAN_CHANGES.keys() - SCAN_BREAKING.keys() == {"full-removes"}
    assert Model("full-removes", changes=1, runs=1).search()[2] == ""


@pytest.mark.parametrize("rule", SCAN_BREAKING)
def test_a_schedule_of_two_runs_breaks_the_model_without(rule: str) -> None:
    model, states = Model(rule), [State()]
    for line in SCAN_BREAKING[rule]:
        states = [after for state in states for name, after in model.moves(state) if name == line]
        assert states, line
    assert any(model.wrong(state) for state in states)
