"""What the status page shows, told from stored runs alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linker.core.model import Counts, Finding, Mode, Progress, Run, Status, TableRun, Verdict
from linker.core.records import RowIssue
from linker.entrypoints.portal.views.gantt_view import gantt_of
from linker.entrypoints.portal.views.history_view import (
    COLUMNS,
    HEIGHT,
    LEAST,
    RunSort,
    chart_of,
    lines_of,
    modes_of,
    ranges_of,
    sorted_lines,
    took_part,
)
from linker.entrypoints.portal.views.progress_view import bars_of, by_verdict, progress_of, rows_before
from linker.entrypoints.portal.views.rows_view import GroupSort, fitting_issues, groups_of
from linker.entrypoints.portal.views.status_view import TableSort, TaskLine, listed, status_of
from linker.entrypoints.portal.views.words import (
    LOOKS,
    NONE,
    as_data,
    change_as_data,
    duration,
    moment,
    number,
    percentage,
)

NOW = "2026-11-24T03:00:00Z"
CONTACT = TableRun("contact", "crm", Status.SUCCESSFUL, mode=Mode.INCREMENTAL)
LEAD = TableRun("lead", "crm", Status.SKIPPED)


def run_of(name: str, status: Status = Status.SUCCESSFUL, *tables: TableRun, minute: int = 0, **values: object) -> Run:
    """Return a run of November 24 that was over after two minutes, or goes on."""
    over = "2026-11-24T02:{:02}:00Z".format
    goes_on = status in (Status.QUEUED, Status.REFRESHING)
    made = Run(
        name,
        Mode.INCREMENTAL,
        status,
        requested_at=over(minute),
        started_at=None if status is Status.QUEUED else over(minute),
        ended_at=None if goes_on else over(minute + 2),
        last_updated=over(minute + 1),
        tables=tables,
    )
    return replace(made, **values)  # type: ignore[arg-type]


# ---- Status ----


def test_before_the_first_run_the_task_has_not_started() -> None:
    view = status_of(None, [])
    assert [(line.name, line.status, line.run) for line in view.lines] == [
        ("CustomerId Backstamping Hydration", Status.NOT_STARTED, None)
    ]
    assert (view.group, view.last, view.current, view.seconds) == ("Dataverse Hydration", None, None, None)


def test_a_table_stands_there_with_the_newest_run_that_it_took_part_in() -> None:
    shown = run_of("c", Status.SUCCESSFUL, CONTACT, minute=40)
    view = status_of(shown, [shown, run_of("b", Status.FAILED, LEAD, minute=20), run_of("a", Status.SUCCESSFUL, LEAD)])
    assert [(line.name, line.run, line.last_updated) for line in view.lines[1:]] == [
        ("contact", "c", "2026-11-24T02:42:00Z"),
        ("lead", "b", "2026-11-24T02:22:00Z"),
    ]


@pytest.mark.parametrize(
    ("status", "current", "last"),
    [
        pytest.param(Status.REFRESHING, "new", "old", id="continues"),
        pytest.param(Status.QUEUED, "new", "old", id="waits"),
        pytest.param(Status.WARNINGS, None, "new", id="is over"),
    ],
)
def test_the_last_run_is_one_that_is_over(status: Status, current: str | None, last: str) -> None:
    shown = run_of("new", status, minute=40)
    view = status_of(shown, [shown, run_of("old")])
    assert (view.current.id if view.current else None, view.last.id if view.last else None) == (current, last)
    assert view.seconds == 120


def test_a_dry_run_does_not_hide_how_a_table_stands() -> None:
    shown = run_of("c", Status.SUCCESSFUL, CONTACT, replace(LEAD, status=Status.SUCCESSFUL), minute=40, dry_run=True)
    old = run_of("b", Status.SKIPPED, LEAD)
    view = status_of(old, [shown, old], shown)
    assert (view.lines[0].run, view.lines[0].status, view.last, view.dry) == ("b", Status.SKIPPED, old, shown)
    assert [(line.name, line.run, line.status, line.dry_run) for line in view.lines[1:]] == [
        ("contact", "c", Status.SUCCESSFUL, True),
        ("lead", "b", Status.SKIPPED, False),
    ]
    assert view.totals == ((Status.SUCCESSFUL, 1), (Status.SKIPPED, 1))


def test_a_dry_run_alone_leaves_the_task_not_started() -> None:
    dry = run_of("a", Status.SUCCESSFUL, CONTACT, dry_run=True)
    view = status_of(None, [dry], dry)
    assert (view.lines[0].status, view.last, view.current, view.dry) == (Status.NOT_STARTED, None, None, dry)


def test_a_dry_run_under_way_is_shown() -> None:
    old, dry = run_of("a", Status.SUCCESSFUL, CONTACT), run_of("b", Status.REFRESHING, CONTACT, dry_run=True)
    view = status_of(old, [dry, old], dry)
    assert (view.lines[0].run, view.last, view.current, view.dry) == ("a", old, dry, None)


def test_what_waits_for_a_decision_is_reported_until_a_run_has_dealt_with_it() -> None:
    held = run_of("a", Status.WARNINGS, replace(LEAD, refusal="held"), replace(CONTACT, held_back=5))
    later = run_of("b", Status.SUCCESSFUL, CONTACT, minute=20)
    assert [(one.table, one.rows) for one in status_of(held, [held]).held_back] == [("contact", 5)]
    view = status_of(later, [later, held])
    assert (view.first_links, view.held_back) == (("lead",), ())


def test_a_run_that_waits_behind_another_is_not_what_is_shown() -> None:
    shown = run_of("running", Status.REFRESHING, CONTACT)
    view = status_of(shown, [run_of("next", Status.QUEUED, minute=9), shown])
    assert view.lines[0].run == "running"
    assert view.last is None


def test_progress_details_are_closed_to_the_line_that_opened_them() -> None:
    view = status_of(run_of("a", Status.SUCCESSFUL, CONTACT, LEAD), [])
    assert [view.place_of(table) for table in ("", "contact", "lead", "gone")] == [1, 2, 3, 1]


# ---- Progress details ----

STEPS = {"settle": "2026-11-24T02:00:00Z", "check": "2026-11-24T02:10:00Z", "link": "2026-11-24T02:10:30Z"}


def test_a_step_ends_where_the_next_begins_and_the_last_one_continues() -> None:
    gantt = gantt_of(run_of("a", Status.REFRESHING, steps=STEPS), NOW)
    assert gantt is not None
    assert [(step.title, step.seconds, step.is_current, step.start, step.width) for step in gantt.steps] == [
        ("Wait until data settles", 600, False, 0, 16.67),
        ("Check requirements", 30, False, 16.67, 0.83),
        ("Link rows", 2_970, True, 17.5, 82.5),
    ]
    assert gantt.ticks == ("2026-11-24T02:00:00Z", "2026-11-24T02:30:00Z", NOW)


def test_the_last_step_of_a_run_that_is_over_ends_with_it() -> None:
    gantt = gantt_of(run_of("a", steps=STEPS, ended_at="2026-11-24T02:11:00Z"), NOW)
    assert gantt is not None
    assert (gantt.steps[-1].seconds, gantt.steps[-1].is_current) == (30, False)


def test_tables_are_drawn_on_the_scale_of_the_steps() -> None:
    done = replace(CONTACT, started_at="2026-11-24T02:10:15Z", ended_at="2026-11-24T02:15:00Z")
    working = replace(LEAD, status=Status.REFRESHING, started_at="2026-11-24T02:30:00Z")
    gantt = gantt_of(run_of("a", Status.REFRESHING, done, working, replace(LEAD, table="csv"), steps=STEPS), NOW)
    assert gantt is not None
    assert [(bar.title, bar.look, bar.seconds, bar.is_current, bar.start, bar.width) for bar in gantt.tables] == [
        ("contact", "good", 285, False, 17.08, 7.92),
        ("lead", "busy", 1_800, True, 50, 50),
    ]


@pytest.mark.parametrize("began", ["2026-11-24T01:59:00Z", "2026-11-24T03:30:00Z"])
def test_a_bar_never_leaves_the_chart(began: str) -> None:
    run = run_of("a", Status.REFRESHING, replace(CONTACT, started_at=began), steps=STEPS)
    gantt = gantt_of(run, NOW)
    assert gantt is not None
    (bar,) = gantt.tables
    assert 0 <= bar.start <= bar.start + bar.width <= 100


def test_a_run_before_its_first_step_has_nothing_over_time() -> None:
    assert gantt_of(run_of("a", Status.QUEUED), NOW) is None


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        pytest.param({"progress": Progress(9, 1, rows_per_second=12.5)}, 12.5, id="as reported"),
        pytest.param({"steps": STEPS | {"finish": "2026-11-24T02:10:40Z"}}, 30.0, id="over the step that linked"),
        pytest.param({"steps": STEPS, "ended_at": "2026-11-24T02:10:45Z"}, 20.0, id="to its end"),
        pytest.param({"steps": {}}, None, id="nobody knows"),
    ],
)
def test_rows_a_second(values: dict[str, object], rate: float | None) -> None:
    run = run_of("a", Status.REFRESHING, counts=Counts(rows_read=300, linked=300), **values)
    assert progress_of(run, "", NOW).rows_per_second == rate


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
    assert [line.id for line in sorted_lines(lines_of(runs, 9), sort)] == order


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


# ---- filters of tables and row errors ----

TABLES = [
    TaskLine("Task", "", Status.FAILED),
    TaskLine("lead", "lead", Status.FAILED, "2026-11-24T01:00:00Z", counts=Counts(5, rejected=1)),
    TaskLine("Account", "Account", Status.SUCCESSFUL, counts=Counts(9)),
    TaskLine("contact", "contact", Status.WARNINGS, "2026-11-24T02:00:00Z", counts=Counts(7, rejected=1, deferred=1)),
]


@pytest.mark.parametrize(
    ("status", "find", "sort", "names"),
    [
        pytest.param("", "", "", ["lead", "Account", "contact"], id="as they are"),
        pytest.param("", "", "name", ["Account", "contact", "lead"], id="name"),
        pytest.param("", "", "updated", ["contact", "lead", "Account"], id="updated"),
        pytest.param("", "", "rows", ["Account", "contact", "lead"], id="rows"),
        pytest.param("", "", "errors", ["contact", "lead", "Account"], id="errors"),
        pytest.param("", " CO", "", ["Account", "contact"], id="a part of the name"),
        pytest.param("Failed (permanent)", "", "", ["lead"], id="status"),
        pytest.param("Failed (permanent)", "co", "", [], id="none"),
    ],
)
def test_tables_are_found_filtered_and_sorted_below_the_task(
    status: str, find: str, sort: TableSort, names: list[str]
) -> None:
    assert [line.name for line in listed(TABLES, status, find, sort)] == ["Task", *names]


def issue_of(table: str, code: str, *, deferred: bool = False, **values: object) -> RowIssue:
    made = RowIssue(
        table, f"{code}-1", "deferred" if deferred else "rejected", code, "Why", "Do", "2026-11-24T02:00:00Z", 1
    )
    return replace(made, **values)  # type: ignore[arg-type]


ISSUES = [
    *(("", issue_of("contact", "Missing", deferred=True, attempts=9)) for _ in range(3)),
    *(("", issue_of("lead", "Refused", reason="Credit limit")) for _ in range(2)),
    ("", issue_of("contact", "Denied", first_seen="2026-11-01T00:00:00Z")),
]


@pytest.mark.parametrize(
    ("outcome", "find", "sort", "codes"),
    [
        pytest.param("", "", "", ["Refused", "Denied", "Missing"], id="rejected rows first"),
        pytest.param("", "", "rows", ["Missing", "Refused", "Denied"], id="rows"),
        pytest.param("", "", "table", ["Denied", "Missing", "Refused"], id="table"),
        pytest.param("", "", "since", ["Denied", "Refused", "Missing"], id="since"),
        pytest.param("", "", "attempts", ["Missing", "Refused", "Denied"], id="attempts"),
        pytest.param("deferred", "", "", ["Missing"], id="outcome"),
        pytest.param("", "credit", "", ["Refused"], id="reason"),
        pytest.param("", "denied-1", "", ["Denied"], id="row"),
        pytest.param("", "CONTACT", "", ["Denied", "Missing"], id="table name"),
        pytest.param("rejected", "missing", "", [], id="none"),
    ],
)
def test_row_errors_are_found_filtered_and_sorted(outcome: str, find: str, sort: GroupSort, codes: list[str]) -> None:
    fitting = fitting_issues(ISSUES, outcome, find)
    assert [group.code for group in groups_of((issue for _, issue in fitting), sort)] == codes


# ---- words ----


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, NONE), (0.2, "0 s"), (59.6, "1 min"), (192, "3 min 12 s"), (7_260, "2 h 1 min"), (90_061, "1 d 1 h")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, NONE), (0, "0"), (1_234_567, "1,234,567"), (9.94, "9.9"), (99.6, "100")]
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_changes_and_times() -> None:
    assert (percentage(-8.0), percentage(12.34)) == ("\N{MINUS SIGN}8.0 %", "+12.3 %")
    assert moment("2026-11-23T21:27:54Z") == "2026-11-23 21:27:54 UTC"


@pytest.mark.parametrize(
    ("shown", "html"),
    [
        (as_data(None), NONE),
        (as_data(30_000), '<data value="30000">30,000</data>'),
        (as_data(1_834.0), '<data value="1834">1,834</data>'),
        (as_data(9.94), '<data value="9.9">9.9</data>'),
        (change_as_data(None), NONE),
        (change_as_data(-1_234.0), '<data value="-1234.0" data-show="change">\N{MINUS SIGN}1,234.0 %</data>'),
    ],
)
def test_numbers_of_a_page_carry_their_value_for_the_locale_of_the_reader(shown: str, html: str) -> None:
    assert shown == html


def test_every_status_has_a_look_of_its_own() -> None:
    assert set(LOOKS) == set(Status)
    assert len(set(LOOKS.values())) == len(Status)
