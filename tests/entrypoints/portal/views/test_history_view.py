"""Last runs and timeline: lines, the chart, its axis, sorting, and modes side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linker.core.model import Counts, Mode, Run, Status, TableRun
from linker.entrypoints.portal.views.timeline_view import (
    COLUMNS,
    HEIGHT,
    LEAST,
    RunSort,
    chart_of,
    lines_of,
    modes_of,
    ranges_of,
    sort_lines,
    took_part,
)
from tests.entrypoints.portal.views.stored_runs import CONTACT, LEAD, NOW, run_of

# ---- lists ----


def test_the_lines_of_a_table_show_its_own_status_and_counts() -> None:
    table = replace(LEAD, status=Status.FAILED, counts=Counts(3, rejected=3))
    run = run_of("a", Status.FAILED, CONTACT, table, counts=Counts(10, linked=7, rejected=3))
    (line,) = lines_of(took_part([run, run_of("b", Status.SUCCESSFUL, CONTACT)], "lead"), 9, "lead")
    assert (line.id, line.status, line.counts, line.mode) == ("a", Status.FAILED, table.counts, Mode.INCREMENTAL)


def test_the_chart_stacks_runs_by_outcome_where_they_belong_in_time() -> None:
    long = run_of("a", ended_at="2026-11-24T02:20:00Z")
    failed = run_of("b", Status.FAILED, started_at=None)
    old = run_of("c", requested_at="2026-11-17T03:00:00Z")
    chart = chart_of([failed, long, old], 7, NOW)
    assert [(part.look, part.runs, part.seconds, part.x, part.height) for part in chart.parts] == [
        ("good", 1, 120, 0.0, round(120 / 1_200 * HEIGHT, 2)),
        ("good", 1, 1_200, round((COLUMNS - 1) * 100 / COLUMNS, 2), HEIGHT),
        ("bad", 1, 0, round((COLUMNS - 1) * 100 / COLUMNS, 2), LEAST),
    ]
    assert chart.most == 1_200
    assert chart.totals == ((Status.SUCCESSFUL, 2), (Status.FAILED, 1))


@pytest.mark.parametrize(
    ("first", "days", "precision", "labels"),
    [
        ("2026-08-01T03:00:00Z", 3, "day", ["2026-11-21", "2026-11-22", "2026-11-23"]),
        ("2026-08-01T03:00:00Z", 7, "day", ["2026-11-18", "2026-11-20", "2026-11-22"]),
        ("2026-08-01T03:00:00Z", 30, "day", ["2026-10-25", "2026-10-31", "2026-11-06", "2026-11-12", "2026-11-18"]),
        ("2026-11-24T02:00:00Z", 30, "minute", ["2026-11-24T01:57", "2026-11-24T02:18", "2026-11-24T02:39"]),
        ("2026-11-24T02:59:59Z", 3, "clock", ["2026-11-24T02:58:00", "2026-11-24T02:58:40", "2026-11-24T02:59:20"]),
    ],
)
def test_the_axis_covers_the_range_or_what_there_is_of_it(
    first: str, days: int, precision: str, labels: list[str]
) -> None:
    chart = chart_of([run_of("a", requested_at=first)], days, NOW)
    size = {"day": 10, "minute": 16, "clock": 19}[precision]
    assert (chart.precision, [stamp[:size] for _, stamp in chart.labels]) == (precision, labels)
    assert len(set(labels)) == len(labels)  # no two of them read alike
    places = [place for place, _ in chart.labels]
    assert places == sorted(places)
    assert 0 <= places[0] <= places[-1] < 90


@pytest.mark.parametrize(
    ("kept", "ranges"), [(90, (3, 7, 30, 90)), (365, (3, 7, 30, 90, 365)), (10, (3, 7, 10)), (7, (3, 7)), (1, (1,))]
)
def test_a_timeline_reaches_to_the_end_of_the_retention(kept: float, ranges: tuple[int, ...]) -> None:
    assert ranges_of(kept) == ranges


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("", ["d", "c", "b", "a"]),
        ("failures", ["b", "c", "d", "a"]),
        ("duration", ["a", "d", "c", "b"]),
        ("rows", ["b", "d", "c", "a"]),
        ("errors", ["c", "d", "b", "a"]),
    ],
)
def test_runs_are_sorted_and_stay_newest_first_where_they_are_equal(sort: RunSort, order: list[str]) -> None:
    runs = [
        run_of("d", counts=Counts(2, rejected=1)),
        run_of("c", Status.WARNINGS, counts=Counts(1, deferred=2)),
        run_of("b", Status.FAILED, counts=Counts(9)),
        run_of("a", ended_at="2026-11-24T02:20:00Z"),
    ]
    assert [line.id for line in sort_lines(lines_of(runs, 9), sort)] == order


def test_modes_are_compared_over_the_same_tables() -> None:
    def ran(name: str, seconds: int, *tables: TableRun, **values: object) -> Run:
        ended = f"2026-11-24T02:00:{seconds:02}Z"
        return run_of(name, Status.SUCCESSFUL, *tables, ended_at=ended, counts=Counts(100, 97, 0, 0, 1, 2), **values)

    lead = replace(LEAD, status=Status.SUCCESSFUL)
    runs = [
        ran("f", 10, CONTACT),
        ran("e", 20, CONTACT),
        ran("d", 50, CONTACT),
        ran("c", 40, CONTACT, lead),
        ran("b", 50, CONTACT, mode=Mode.FULL),
        ran("a", 40, CONTACT, dry_run=True),
        run_of("failed", Status.FAILED, CONTACT),
    ]
    found = [
        (one.mode, one.tables, one.runs, one.seconds, one.rows_per_second, one.rejected, one.deferred)
        for one in modes_of(runs)
    ]
    assert found == [
        (Mode.INCREMENTAL, ("contact",), 3, 20, 5, 3, 6),
        (Mode.INCREMENTAL, ("contact", "lead"), 1, 40, 2.5, 1, 2),
        (Mode.FULL, ("contact",), 1, 50, 2, 1, 2),
    ]
