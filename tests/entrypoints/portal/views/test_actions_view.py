"""What waits for an operator's decision and what a run would come to, derived from stored runs alone."""

from __future__ import annotations

import pytest

from linker.core.model import Counts, Mode, Run, RunRequest, Status, TableRun, Ticket
from linker.core.permissions.preflight_report import Entitlement
from linker.core.runs.lock_state import LockState
from linker.entrypoints.portal.views.status_view import (
    Expected,
    HeldBack,
    Work,
    at_most,
    expect_tables,
    find_held_back,
    find_held_first_links,
    newest_by_table,
    work_of,
)

OVER = "2026-11-24T03:00:00Z"


def table(name: str = "contact", status: Status = Status.WARNINGS, **values: object) -> TableRun:
    return TableRun(name, "crm", status, **values)  # type: ignore[arg-type]


def run(name: str, *tables: TableRun, ended: bool = True, dry_run: bool = False) -> Run:
    return Run(
        name,
        Mode.FULL,
        Status.WARNINGS,
        ended_at=OVER if ended else None,
        tables=tables,
        dry_run=dry_run,
        trigger="api",
    )


HELD = table(counts=Counts(rows_read=20, deferred=5), held_back=5)
FINE = table(status=Status.SUCCESSFUL, counts=Counts(rows_read=20, linked=3, unlinked=1, unchanged=16))


@pytest.mark.parametrize(
    ("newer", "tells"),
    [
        pytest.param(run("r2", FINE), "r2", id="the newest run tells"),
        pytest.param(run("r2", FINE, dry_run=True), "r1", id="a dry run changes nothing"),
        pytest.param(run("r2", FINE, ended=False), "r1", id="a run on its way has not come to its end"),
        pytest.param(run("r2", table("lead")), "r1", id="a run over another table says nothing"),
        pytest.param(run("r2", table(status=Status.FAILED)), "r1", id="a table that failed was not judged"),
        pytest.param(run("r2", table(status=Status.CANCELED)), "r1", id="nor one that was canceled"),
        pytest.param(run("r2", table(status=Status.SKIPPED)), "r2", id="a skipped table was judged"),
    ],
)
def test_the_newest_run_that_judged_a_table_shows_how_it_is(newer: Run, tells: str) -> None:
    assert newest_by_table([newer, run("r1", HELD)])["contact"].run.id == tells


def test_held_back_rows_wait_with_their_number_of_all_that_are_known() -> None:
    (found,) = find_held_back(newest_by_table([run("r1", HELD, table("lead", Status.SUCCESSFUL))]))
    assert found == HeldBack("contact", 5, 20, "r1", OVER)
    assert (found.share, found.is_whole, found.allowance) == (25.0, False, "contact=5")


def test_a_table_that_left_the_mapping_as_a_whole_needs_a_second_word() -> None:
    found = HeldBack("contact", 20, 20, "r1", OVER)
    assert (found.share, found.is_whole, found.allowance) == (100.0, True, "contact=20,empty")


def test_a_newer_run_that_holds_nothing_back_ends_the_wait() -> None:
    assert find_held_back(newest_by_table([run("r2", FINE), run("r1", HELD)])) == ()


def test_first_links_wait_that_were_held_and_not_those_that_are_blocked() -> None:
    skipped = [table(name, Status.SKIPPED, refusal=why) for name, why in (("a", "held"), ("b", "blocked"), ("c", ""))]
    assert find_held_first_links(newest_by_table([run("r1", *skipped)])) == ("a",)


def test_a_run_is_expected_to_see_what_the_newest_one_saw() -> None:
    newest = newest_by_table([run("r1", FINE, table("lead", Status.SKIPPED))])
    seen, unseen = Expected("contact", 20, 4), Expected("lead", None, None)
    assert expect_tables(newest, ()) == (seen, unseen)
    assert expect_tables(newest, ("new",)) == (Expected("new", None, None),)
    assert at_most((seen, unseen), touches=True) == Entitlement(20, 20)
    assert at_most((seen, unseen), touches=False) == Entitlement(20, 0)


def test_who_runs_comes_before_who_waits() -> None:
    holder, real, dry = (Ticket(name, RunRequest()) for name in ("a", "b", "c"))
    state = LockState(holder=holder, pending=real, pending_dry=dry)
    assert work_of(state) == (Work(holder, is_running=True), Work(real, is_running=False), Work(dry, is_running=False))
    assert work_of(LockState()) == ()
