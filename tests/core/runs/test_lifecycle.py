"""States of a run, walked move by move, and how a run ends whose tables ended so."""

from dataclasses import replace
from itertools import product

import pytest

from linker.core.model import Counts, Mode, Progress, Run, Status, TableRun
from linker.core.runs.activity_values import Ending, TableEnd, Totals
from linker.core.runs.lifecycle import (
    ENDED,
    MOVES,
    TABLE_ENDED,
    advance_run,
    close_table,
    end_early,
    may_move,
    overall,
    table_verdict,
)

LEGAL = {
    "Not started": "Queued Skipped Failed Canceled",
    "Queued": "Not-started Refreshing Retrying Skipped Failed Canceled",
    "Refreshing": "Retrying Not-started Successful Warnings Failed Skipped Canceled",
    "Failed (retrying)": "Refreshing Not-started Successful Warnings Failed Skipped Canceled",
}
SHORT = {
    "Not-started": Status.NOT_STARTED,
    "Queued": Status.QUEUED,
    "Refreshing": Status.REFRESHING,
    "Retrying": Status.RETRYING,
    "Successful": Status.SUCCESSFUL,
    "Warnings": Status.WARNINGS,
    "Failed": Status.FAILED,
    "Skipped": Status.SKIPPED,
    "Canceled": Status.CANCELED,
}


@pytest.mark.parametrize(
    ("now", "then"), [pytest.param(*pair, id=" -> ".join(pair)) for pair in product(Status, Status)]
)
def test_moves(now: Status, then: Status) -> None:
    legal = {SHORT[word] for word in LEGAL.get(now, "").split()}
    assert may_move(now, then) is (then in legal or now is then)


def test_the_table_of_moves_knows_every_status() -> None:
    assert MOVES.keys() == set(Status)


@pytest.mark.parametrize("status", sorted(ENDED))
def test_an_ended_run_stays_ended(status: Status) -> None:
    assert MOVES[status] == frozenset()


@pytest.mark.parametrize("status", sorted(set(Status) - ENDED))
def test_every_other_state_leads_to_an_end(status: Status) -> None:
    assert MOVES[status] & ENDED


def test_the_words_are_those_of_the_product() -> None:
    assert {str(status) for status in Status} == {
        "Not started", "Queued", "Refreshing", "Successful", "Completed with warnings", "Failed (retrying)",
        "Failed (permanent)", "Skipped", "Canceled",
    }  # fmt: skip


def run(status: Status, *, done: int = 0, table: Status = Status.QUEUED, ended: bool = False) -> Run:
    progress = Progress(pages_done=done)
    ended_at = "2026-11-01T00:00:00Z" if ended else None
    return Run("r", Mode.FULL, status, ended_at=ended_at, progress=progress, tables=(TableRun("t", "crm", table),))


@pytest.mark.parametrize(("now", "then"), list(product(Status, Status)))
def test_news_changes_a_run_only_by_a_legal_move(now: Status, then: Status) -> None:
    assert advance_run(run(now), run(then)).status is (then if may_move(now, then) else now)


REFRESHING = run(Status.REFRESHING, done=3, table=Status.REFRESHING)


@pytest.mark.parametrize(
    ("old", "late"),
    [
        pytest.param(run(Status.FAILED, ended=True), run(Status.FAILED, done=1), id="of an ended run"),
        pytest.param(run(Status.NOT_STARTED, ended=True), run(Status.QUEUED), id="of a run that could not start"),
        pytest.param(REFRESHING, run(Status.REFRESHING, done=2, table=Status.REFRESHING), id="fewer pages"),
        pytest.param(REFRESHING, run(Status.QUEUED, done=4), id="it waits"),
        pytest.param(REFRESHING, run(Status.REFRESHING, done=3), id="a table waits"),
    ],
)
def test_late_news_changes_nothing(old: Run, late: Run) -> None:
    assert advance_run(old, late) == old


@pytest.mark.parametrize("status", sorted(TABLE_ENDED))
def test_a_table_that_ended_stays_ended(status: Status) -> None:
    ended = run(Status.REFRESHING, table=status)
    assert advance_run(ended, run(Status.REFRESHING, done=1, table=Status.REFRESHING)).tables == ended.tables


def test_news_in_time_changes_the_run() -> None:
    new = run(Status.RETRYING, done=4, table=Status.WARNINGS)
    assert advance_run(REFRESHING, new) == new


S, W, F, K, C = Status.SUCCESSFUL, Status.WARNINGS, Status.FAILED, Status.SKIPPED, Status.CANCELED


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        pytest.param([], S, id="nothing to do"),
        pytest.param([S, S], S, id="all well"),
        pytest.param([S, W], W, id="a table with warnings"),
        pytest.param([S, K], W, id="a skipped table"),
        pytest.param([K, K], K, id="every table skipped"),
        pytest.param([S, F, W], F, id="a failed table"),
        pytest.param([C, F], F, id="failed is worse than canceled"),
        pytest.param([S, C], C, id="canceled on the way"),
    ],
)
def test_overall(ends: list[Status], expected: Status) -> None:
    assert overall(TableRun(f"t{n}", "crm", end) for n, end in enumerate(ends)) is expected


R, Q, G = Status.RETRYING, Status.QUEUED, Status.REFRESHING
ENDINGS = [Ending("r1"), Ending("r1", F, "interrupted"), Ending("r1", R), Ending("r1", C)]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.status or "its tables decide")
@pytest.mark.parametrize("status", [S, W, F, R, K, C])
def test_a_table_that_ended_shows_the_same_whatever_comes_of_its_run(status: Status, ending: Ending) -> None:
    """A table that is tried again says so from its own end on, and one that failed for good does so as well."""
    table = TableRun("t", "crm", status, passing=status in (R, K))
    old = Run("r1", Mode.FULL, G, tables=(table, TableRun("other", "crm", G)))
    closed = tuple(close_table(each, ending) for each in old.tables)
    ends = [
        replace(old, status=F, ended_at="2026-12-01T00:00:00Z", tables=closed),
        end_early(old, ending.status or F, ending.detail, 0.0),
        replace(old, tables=(replace(table, status=G), old.tables[1])),
    ]
    assert {advance_run(old, end).tables[0] for end in ends} == {table}


@pytest.mark.parametrize(
    ("failed", "passing", "dry_run", "expected"),
    [
        pytest.param("busy", True, False, R, id="a later run tries again"),
        pytest.param("busy", True, True, F, id="nothing repeats a dry run"),
        pytest.param("refused", False, False, F, id="failed for good"),
        pytest.param("", True, False, S, id="an earlier fault passed"),
    ],
)
def test_a_table_that_failed_says_at_once_whether_it_is_tried_again(
    failed: str, passing: bool, dry_run: bool, expected: Status
) -> None:
    end = TableEnd("r1", "t", Totals(), failed=failed, passing=passing, dry_run=dry_run)
    assert table_verdict(end, Counts()) == (expected, failed)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        pytest.param([R, R, S], R, id="all that failed are tried again"),
        pytest.param([R, F, S], F, id="one failed for good"),
        pytest.param([R, C], R, id="tried again, and canceled"),
        pytest.param([R, K], R, id="tried again, and skipped"),
    ],
)
def test_a_run_is_tried_again_when_each_table_that_failed_is(ends: list[Status], expected: Status) -> None:
    assert overall(TableRun(f"t{n}", "crm", end) for n, end in enumerate(ends)) is expected
