"""What the Status page shows of the task and its tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linker.core.model import Counts, Status
from linker.entrypoints.portal.views.status_view import TableSort, TaskLine, list_lines, status_of
from tests.entrypoints.portal.views.stored_runs import CONTACT, LEAD, run_of

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
    assert [line.name for line in list_lines(TABLES, status, find, sort)] == ["Task", *names]
