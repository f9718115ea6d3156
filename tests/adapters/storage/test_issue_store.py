"""Row errors over the runs: since when a row is not in order, how often it was tried, and where that is forgotten."""

from dataclasses import replace

import pytest

from linker.adapters.storage import Documents, Issues
from linker.adapters.storage.record_store import MAX_ISSUES
from linker.core.ports import Tables
from linker.core.records import RowIssue, RowRecord, issue
from tests.fakes.memory_tables import MemoryTables
from tests.fakes.world import contact_id

ROW, OTHER = contact_id(1), contact_id(2)


class Days:
    """A clock that a test turns on."""

    def __init__(self) -> None:
        self.day = 1

    def __call__(self) -> str:
        return f"2026-11-{self.day:02}T00:00:00Z"


@pytest.fixture
def now() -> Days:
    return Days()


@pytest.fixture
def issues(tables: Tables, now: Days, request: pytest.FixtureRequest) -> Issues:
    """Row errors of an environment of their own."""
    return Issues(tables, Documents(tables, f"env-{abs(hash(request.node.name))}"), now)


async def fails(issues: Issues, now: Days, run: str, *rows: str, dry_run: bool = False, whole: bool = True) -> None:
    """Let a run meet these rows, on the next day; a whole run has looked at every row."""
    now.day += 1
    await issues.save(run, [issue("contact", row, "Refused") for row in rows], dry_run=dry_run)
    if whole and not dry_run:
        now.day += 1
        await issues.note_look("contact", run)


async def shown(issues: Issues, run: str, row: str = ROW) -> tuple[str, int]:
    """Return since when a row is not in order, as day of the month, and how often it was tried."""
    (found,) = [found async for _, found in issues.of_run(run) if found.row == row]
    return found.first_seen[8:10], found.attempts


async def test_a_row_that_fails_in_run_after_run_keeps_its_first_day_and_counts_attempts(
    issues: Issues, now: Days
) -> None:
    for run in ("r1", "r2", "r3"):
        await fails(issues, now, run, ROW)
    assert [await shown(issues, run) for run in ("r1", "r2", "r3")] == [("02", 1), ("02", 2), ("02", 3)]


async def test_a_page_that_runs_twice_in_one_run_is_one_attempt(issues: Issues, now: Days) -> None:
    await fails(issues, now, "r1", ROW, whole=False)
    await fails(issues, now, "r1", ROW)
    assert await shown(issues, "r1") == ("02", 1)


async def test_a_row_that_was_in_order_meanwhile_begins_again(issues: Issues, now: Days) -> None:
    await fails(issues, now, "r1", ROW, OTHER)
    await fails(issues, now, "r2", OTHER)
    await fails(issues, now, "r3", ROW, OTHER)
    assert await shown(issues, "r3") == ("06", 1)
    assert await shown(issues, "r3", OTHER) == ("02", 3)


async def test_a_run_that_broke_off_proves_no_row_to_be_in_order(issues: Issues, now: Days) -> None:
    await fails(issues, now, "r1", ROW)
    await fails(issues, now, "r2", whole=False)
    await fails(issues, now, "r3", ROW)
    assert await shown(issues, "r3") == ("02", 2)


async def test_a_dry_run_does_not_count_as_an_attempt_and_shows_those_there_were(issues: Issues, now: Days) -> None:
    await fails(issues, now, "r1", ROW)
    await fails(issues, now, "dry", ROW, OTHER, dry_run=True)
    assert (await shown(issues, "dry"), await shown(issues, "dry", OTHER)) == (("02", 1), ("04", 0))
    await fails(issues, now, "r2", ROW)
    assert await shown(issues, "r2") == ("02", 2)
    assert await issues.last_of("contact", OTHER) is None


async def test_the_last_error_of_a_row_names_its_run(issues: Issues, now: Days) -> None:
    assert await issues.last_of("contact", ROW) is None
    await fails(issues, now, "r1", ROW)
    await fails(issues, now, "r2", ROW)
    expected = replace(issue("contact", ROW, "Refused"), first_seen="2026-11-02T00:00:00Z", attempts=2)
    assert await issues.last_of("contact", ROW) == RowRecord(expected, "r2", "2026-11-04T00:00:00Z")


async def test_what_is_not_a_key_is_kept_by_its_beginning_and_told_apart(issues: Issues, now: Days) -> None:
    strange = ["a/b", "a/bc", "", "x" * 600, "x" * 599 + "y", "#?\\", "ä" * 300]
    await fails(issues, now, "odd", *strange)
    found = [found.row async for _, found in issues.of_run("odd")]
    assert sorted(row.partition("...")[0] for row in found) == sorted(row[:3] for row in strange)
    assert len(set(found)) == len(strange)


async def test_a_run_is_read_on_from_any_row(issues: Issues, now: Days) -> None:
    await fails(issues, now, "paged", *(contact_id(n) for n in range(5)))
    keys = [key async for key, _ in issues.of_run("paged")]
    assert [[key async for key, _ in issues.of_run("paged", after)] for after in keys] == [
        keys[n + 1 :] for n in range(5)
    ]


async def test_of_one_page_so_many_are_kept_and_one_query_asks_for_what_is_known(now: Days) -> None:
    store = MemoryTables()
    issues = Issues(store, Documents(store, "env"), now)
    many: list[RowIssue] = [issue("contact", contact_id(n), "Refused") for n in range(MAX_ISSUES + 1)]
    await issues.save("r1", many)
    assert len([key async for key, _ in issues.of_run("r1")]) == MAX_ISSUES
    assert store.calls == 1 + 1 + 2 * MAX_ISSUES + 1  # looked, known, two writes a row; and the listing here
