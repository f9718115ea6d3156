"""Each alert rule against a quiet year, and against each fault. docs/dev/alerts.md shows the figures."""

from __future__ import annotations

import re

import pytest

from tests.infra.kusto import DAY, HOUR, Rule, compile_query, mails
from tests.infra.templates import ROOT, Deployment
from tests.infra.year import FAULT_S, FAULTS, FORTNIGHT_S, HEALTHY, SOON, YEAR_S, Fault, Log, healthy_year

PAGE = ROOT / "docs" / "dev" / "alerts.md"


@pytest.fixture
def rules(dev: Deployment) -> list[Rule]:
    return [Rule.of(one) for one in dev.of("Microsoft.Insights/scheduledQueryRules")]


@pytest.mark.parametrize("year", HEALTHY, ids=[name for name, *_ in HEALTHY])
def test_no_rule_fires_in_a_healthy_year(year: tuple[str, float, float, float], rules: list[Rule]) -> None:
    """The first day has no run yet, and 'no-run' says so until the first has completed: docs/operations.md."""
    name, hours, jitter, minutes = year
    log = healthy_year(hours, jitter, minutes)
    fired = {rule.name: len(mails(rule, log.rows, 2 * DAY, YEAR_S)) for rule in rules}
    assert fired == dict.fromkeys(fired, 0)
    assert f"| {name} | {sum(fired.values())} |" in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_each_fault_is_reported_by_the_rules_for_it_alone(fault: Fault, rules: list[Rule]) -> None:
    log = Log()
    fault.play(log)
    found = {rule.name: mails(rule, log.rows, 2 * DAY, FORTNIGHT_S) for rule in rules}
    first = {name: one[0].at - FAULT_S for name, one in found.items() if one}
    assert first.keys() == fault.expected.keys()
    assert min(first.values()) > 0
    assert {name: after for name, after in first.items() if after > fault.expected[name]} == {}
    told = ", ".join(f"`{name}` after {_words(after)}" for name, after in sorted(first.items(), key=lambda one: one[1]))
    assert f"| {fault.name} | {told} |" in PAGE.read_text(encoding="utf-8")


def _words(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"


def test_a_fault_that_lasts_is_not_reported_each_hour(rules: list[Rule]) -> None:
    (fault,) = (one for one in FAULTS if "each hour another" in one.name)
    log = Log()
    fault.play(log)
    (rule,) = (one for one in rules if one.name == "permanent-failure")
    assert len(mails(rule, log.rows, 2 * DAY, FORTNIGHT_S)) == 1


def test_the_rule_of_the_review_would_have_cried_wolf() -> None:
    """What this replaces: a day without the end of a run. It shows that the simulation finds such a rule."""
    query = 'AppTraces\n| where Message == "Linking run ended"\n| summarize runs = count()\n| where runs == 0'
    day = Rule("a-day", query, 900.0, DAY, ())
    assert len(mails(day, healthy_year(0, 0, 10).rows, 2 * DAY, YEAR_S)) > 300


@pytest.mark.parametrize("hours", [1, 6, 12, 24])
def test_each_allowed_number_of_hours_can_fire(hours: int, rules: list[Rule]) -> None:
    (rule,) = (one for one in rules if one.name == "run-too-long")
    log = Log()
    log.run(FAULT_S, 0, ends=False)
    query = rule.query.replace("ago(6h)", f"ago({hours}h)")
    (mail,) = mails(Rule("r", query, rule.every_s, rule.range_s, rule.dimensions), log.rows, 0, FORTNIGHT_S)
    assert hours * HOUR < mail.at - FAULT_S <= hours * HOUR + SOON
    main = (ROOT / "infra" / "main.bicep").read_text(encoding="utf-8")
    assert "@maxValue(24)\nparam alertRunHours int = 6" in main


def test_log_alerts_take_literals_only(deployment: Deployment) -> None:
    """'Log search alert rule queries support ago() with timespan literals only' (alerts-create-log-alert-rule)."""
    for one in deployment.of("Microsoft.Insights/scheduledQueryRules"):
        query = Rule.of(one).query
        assert [
            spoken for spoken in re.findall(r"ago\(([^)]*)\)", query) if not re.fullmatch(r"\d+[mhd]", spoken)
        ] == []
        assert "now(" not in query


def test_results_carry_no_time_that_a_window_could_cut(deployment: Deployment) -> None:
    """A result with TimeGenerated is counted by the window of a day, although the query reads two."""
    for one in deployment.of("Microsoft.Insights/scheduledQueryRules"):
        assert not re.search(r"project (.*, )?TimeGenerated\b(?! )", Rule.of(one).query.splitlines()[-1])


def test_the_page_names_every_rule(rules: list[Rule]) -> None:
    told = PAGE.read_text(encoding="utf-8")
    assert [rule.name for rule in rules if f"`{rule.name}`" not in told] == []


@pytest.mark.parametrize(
    ("query", "rows", "expected"),
    [
        ('T\n| where a in ("x") and not(b > 1)', [{"a": "x", "b": 1}, {"a": "x", "b": 2}], [{"a": "x", "b": 1}]),
        ("T\n| where b > 1", [{"b": None}], []),
        ("T\n| summarize n = count()", [], [{"n": 0}]),
        ("T\n| summarize n = count() by a", [{"a": 1}, {"a": 1}, {"a": 2}], [{"a": 1, "n": 2}, {"a": 2, "n": 1}]),
        ("T\n| extend p = prev(a)", [{"a": 1}, {"a": 2}], [{"a": 1, "p": None}, {"a": 2, "p": 1}]),
        ('T\n| project c = strcat("u?r=", a)', [{"a": "x"}], [{"c": "u?r=x"}]),
        ("T\n| summarize arg_max(t, a)", [{"t": 1, "a": "x"}, {"t": 2, "a": "y"}], [{"t": 2, "a": "y"}]),
    ],
)
def test_the_evaluator_does_what_kusto_does(query: str, rows: list[dict[str, object]], expected: list[object]) -> None:
    program = compile_query(query)
    assert program.run(program.select(rows), 0.0) == expected


def test_the_evaluator_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="'join' is not known"):
        compile_query("T\n| join kind=inner U on x")
