"""Progress details: rates, pauses, bars, and requirements of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linker.core.model import Counts, Finding, Progress, Run, Status, Verdict
from linker.core.runs.history import history
from linker.entrypoints.portal.views.progress_view import bars_of, by_verdict, progress_of, rows_before
from tests.entrypoints.portal.views.stored_runs import CONTACT, LEAD, NOW, STEPS, run_of


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        pytest.param({"progress": Progress(9, 1, rows_per_second=12.5)}, 12.5, id="so far, as reported"),
        pytest.param({"steps": STEPS | {"finish": "2026-11-24T02:10:40Z"}}, None, id="works, and reported nothing"),
        pytest.param({"steps": STEPS, "ended_at": "2026-11-24T02:10:45Z"}, 300 / 645, id="over the whole duration"),
        pytest.param({"ended_at": "2026-11-24T02:10:45Z", "started_at": None}, None, id="never started"),
    ],
)
def test_rows_a_second(values: dict[str, object], rate: float | None) -> None:
    run = run_of("a", Status.REFRESHING, counts=Counts(rows_read=300, linked=300), **values)
    assert progress_of(run, "", NOW).rows_per_second == rate


def test_a_run_that_is_over_has_the_same_rows_a_second_in_its_details_and_in_lists() -> None:
    counts = Counts(rows_read=900, unchanged=900)
    run = run_of("a", Status.SUCCESSFUL, counts=counts, steps=STEPS, ended_at="2026-11-24T02:13:00Z")
    (line,) = history([run], 1)
    assert line.rows_per_second
    assert progress_of(run, "", NOW).rows_per_second == line.rows_per_second


@pytest.mark.parametrize(
    ("until", "shown"), [(None, False), ("2026-11-24T02:59:59Z", False), ("2026-11-24T03:00:01Z", True)]
)
def test_a_pause_that_is_over_is_none(until: str | None, shown: bool) -> None:
    view = progress_of(run_of("a", Status.REFRESHING, progress=Progress(9, 1, paused_until=until)), "", NOW)
    assert view.paused_until == (until if shown else None)


def test_details_of_a_table_leave_the_others_out() -> None:
    run = run_of("a", Status.SUCCESSFUL, replace(CONTACT, automations=("Step",)), replace(LEAD, automations=("Flow",)))
    assert progress_of(run, "lead", NOW).automations == (("lead", ("Flow",)),)
    assert len(progress_of(run, "", NOW).bars) == len(progress_of(run, "gone", NOW).bars) == 2


def test_the_bar_of_a_table_that_is_complete_is_full() -> None:
    big = replace(CONTACT, counts=Counts(100, linked=25, unchanged=75))
    small = replace(LEAD, status=Status.WARNINGS, counts=Counts(50, rejected=50))
    bars = bars_of([big, small, LEAD], {"contact": 400})
    shown = [[(part.outcome, part.start, part.width) for part in bar.segments] for bar in bars]
    assert shown == [[("linked", 0, 25), ("unchanged", 25, 75)], [("rejected", 0, 100)], []]
    assert [bar.expected for bar in bars] == [0, 0, 0]


@pytest.mark.parametrize(
    ("expected", "width", "told"),
    [
        pytest.param(20, 25, 20, id="as far as the table has come"),
        pytest.param(4, 100, 0, id="more rows than before"),
        pytest.param(0, 0, 0, id="no bar, where neither the scan nor a run has seen the table"),
    ],
)
def test_the_bar_of_a_table_under_way_shows_how_far_it_is(expected: int, width: float, told: int) -> None:
    table = replace(CONTACT, status=Status.REFRESHING, counts=Counts(5, unchanged=5))
    (bar,) = bars_of([table], {"contact": expected} if expected else {})
    assert ([part.width for part in bar.segments], bar.expected) == ([width], told)


def test_rows_are_expected_as_the_last_completed_run_before_saw_them() -> None:
    def saw(name: str, rows: int, status: Status = Status.SUCCESSFUL) -> Run:
        return run_of(name, status, replace(CONTACT, counts=Counts(rows)))

    runs = [saw("e", 5), saw("d", 4), saw("c", 3, Status.FAILED), saw("b", 2), saw("a", 1)]
    assert rows_before(runs[1], runs) == {"contact": 2}
    assert rows_before(runs[-1], runs) == {}


@pytest.mark.parametrize("parts", [0, 2, 8])
def test_bars_follow_rows_and_not_parts(parts: int) -> None:
    table = replace(CONTACT, status=Status.REFRESHING, counts=Counts(6_073, unchanged=6_073), rows_total=20_000)
    run = run_of("a", Status.REFRESHING, table, progress=Progress(8, parts))
    (bar,) = progress_of(run, "", NOW, {"contact": 9_000}).bars
    assert ([part.width for part in bar.segments], bar.expected) == ([30.36], 20_000)


def test_requirements_that_ask_for_something_come_first() -> None:
    met, unknown, violated = (
        Finding("R1", Verdict.MET, ""),
        Finding("R5", Verdict.UNKNOWN, ""),
        Finding("R6", Verdict.VIOLATED, ""),
    )
    assert [asked.finding for asked in by_verdict([("", [met, unknown, violated])])] == [violated, unknown, met]


def test_requirements_name_their_table_and_those_not_met_are_counted() -> None:
    met, violated = Finding("R1", Verdict.MET, ""), Finding("R4", Verdict.VIOLATED, "")
    run = run_of("a", Status.SKIPPED, replace(LEAD, findings=(met, violated)), findings=(met,))
    view = progress_of(run, "", NOW)
    assert [(asked.table, asked.finding) for asked in view.findings] == [("lead", violated), ("", met), ("lead", met)]
    assert view.unmet == 1


@pytest.mark.parametrize("status", [Status.FAILED, Status.RETRYING, Status.CANCELED])
@pytest.mark.parametrize(("expected", "is_drawn"), [({}, False), ({"contact": 400}, True)])
def test_a_table_that_stopped_has_a_bar_only_where_its_rows_are_known(
    status: Status, expected: dict[str, int], is_drawn: bool
) -> None:
    (bar,) = bars_of([replace(CONTACT, status=status, counts=Counts(100, linked=100))], expected)
    assert bar.is_drawn is is_drawn
