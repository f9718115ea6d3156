"""How a table ends: its counts, its warnings, and what a full run or a scan leaves for the next one."""

from dataclasses import replace
from typing import Any

import pytest

from linker.adapters.storage import Scan, Stream
from linker.adapters.storage.record_store import MAX_ISSUES
from linker.adapters.storage.staging import STAGING
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.segments import SliceSegments
from linker.core.linking.shards import Claim, ClaimRow
from linker.core.model import Counts, Status, TableRun
from linker.core.runs.activity_values import Ending, Report, TableEnd, Totals
from linker.core.runs.lifecycle import UNFINISHED
from linker.core.serialization import iso
from linker.durable.activities import run_lifecycle
from tests.fakes.client import Starter
from tests.fakes.lives import ALL, CONTACT, GOOD, begun, loaded
from tests.fakes.world import CRM, START, World, key_of


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


async def test_a_table_ends_with_its_counts_and_the_run_with_their_sum(world: World, start: Starter) -> None:
    run = await begun(world, start, ALL, CONTACT, TableRun("lead", "crm", Status.REFRESHING))
    await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", GOOD))
    gone = replace(GOOD, departed=2)
    await run_lifecycle.end_table(world.deps, TableEnd(run, "lead", gone, unlinking=Counts(unlinked=2)))
    ended = await run_lifecycle.end_run(world.deps, Ending(run))
    shown = await loaded(world, run)
    assert ended.status is shown.status is Status.SUCCESSFUL
    assert shown.counts == Counts(rows_read=8, linked=6, unlinked=2)
    assert shown.ended_at == iso(world.clock.now)


async def test_a_report_that_comes_late_leaves_a_table_that_ended_alone(world: World, start: Starter) -> None:
    run = await begun(world, start, ALL, CONTACT)
    news = Report(run, GOOD.counts, 1, 1, tables={"contact": GOOD.counts})
    await run_lifecycle.report(world.deps, news)
    await run_lifecycle.end_table(
        world.deps, TableEnd(run, "contact", replace(GOOD, departed=1), unlinking=Counts(unlinked=1))
    )
    ended = (await loaded(world, run)).tables
    await run_lifecycle.report(world.deps, news)
    await run_lifecycle.report(world.deps, replace(news, pages_done=0))
    shown = await loaded(world, run)
    assert shown.tables == ended
    assert shown.progress is not None
    assert shown.progress.pages_done == 1


async def test_a_ledger_that_does_not_add_up_fails_the_table_and_the_run(world: World, start: Starter) -> None:
    run = await begun(world, start, ALL, CONTACT)
    await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", replace(GOOD, departed=1)))
    assert (await run_lifecycle.end_run(world.deps, Ending(run))).status is Status.FAILED
    assert "4 rows were read, 3 are accounted for" in (await loaded(world, run)).status_detail


async def test_ending_a_table_twice_says_its_warning_once(world: World, start: Starter) -> None:
    """Activities are delivered at least once."""
    run = await begun(world, start, ALL, CONTACT)
    rejected = Totals(Counts(rows_read=1, rejected=1))
    for _ in range(2):
        await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", rejected))
    assert len((await loaded(world, run)).warnings) == 1


@pytest.mark.parametrize(
    ("end", "closed"),
    [
        pytest.param(TableEnd("", "contact", GOOD, epoch="e", scan="s"), True, id="all of it"),
        pytest.param(
            TableEnd("", "contact", replace(GOOD, failed="no"), epoch="e", scan="s"), False, id="a shard failed"
        ),
        pytest.param(TableEnd("", "contact", GOOD, canceled=True, epoch="e", scan="s"), False, id="canceled"),
        pytest.param(TableEnd("", "contact", GOOD, dry_run=True, epoch="e", scan="s"), False, id="dry run"),
        pytest.param(TableEnd("", "contact", GOOD, epoch="other", scan="s"), False, id="another full run's epoch"),
        pytest.param(TableEnd("", "contact", GOOD, epoch="e", scan="r"), False, id="a later run scans the table"),
    ],
)
async def test_a_full_run_is_over_only_when_every_shard_of_it_was(
    world: World, start: Starter, end: TableEnd, closed: bool
) -> None:
    run = await begun(world, start, ALL, CONTACT)
    await world.deps.states.save("contact", TableState(epoch="e"), None)
    await scanned(world, run)
    await run_lifecycle.end_table(world.deps, replace(end, run=run))
    found = await world.deps.states.load("contact")
    assert found is not None
    assert (found[0].linked, found[0].epoch) == ((True, "") if closed else (False, "e"))
    assert (found[0].watermark, found[0].scanned_at) == ((7.0, START) if closed else (0.0, 0.0))


async def scanned(world: World, run: str, **values: Any) -> None:
    """Leave scan `s` of a table, read to its end."""
    scan = Scan("s", run, None, "for a test", START, watermark=7.0, streams=1, sources=(CRM,))
    await world.deps.staging.open("contact", replace(scan, **values), [Stream(CRM, read=3, done=True)])


@pytest.mark.parametrize("end", [{}, {"failed": "no"}, {"canceled": True}, {"dry_run": True}], ids=str)
async def test_what_a_table_staged_goes_with_its_end_however_it_ends_and_however_often(
    world: World, start: Starter, end: dict[str, Any]
) -> None:
    """Staged rows name customers."""
    run = await begun(world, start, ALL, CONTACT)
    await world.deps.states.save("contact", TableState(linked=True), None)
    await scanned(world, run)
    rows = SliceSegments(2)
    for number in range(20):
        rows.add(ClaimRow(key_of(number), Claim(f"c{number}"), "", b""), 1)
    await world.deps.staging.write("contact", (await world.deps.staging.scan("contact")), 0, 0, "a", rows)  # type: ignore[arg-type]
    assert [key for key in world.store.entities if key[0] == STAGING]
    for _ in range(2):
        await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", GOOD, scan="s", **end))
        assert not [key for key in world.store.entities if key[0] == STAGING]


@pytest.mark.parametrize(
    ("since", "totals", "unlinking", "expected"),
    [
        pytest.param(
            None, GOOD, Counts(), TableState(watermark=7.0, scanned_at=START, rows=3, sources=(CRM,)), id="full"
        ),
        pytest.param(5.0, GOOD, Counts(), TableState(watermark=7.0, scanned_at=1.0, rows=9), id="delta"),
        pytest.param(
            5.0,
            replace(GOOD, departed=2),
            Counts(deferred=2),
            TableState(watermark=7.0, scanned_at=1.0, rows=9, due="removed rows waited for the mapping to rest"),
            id="removed rows waited",
        ),
        pytest.param(
            5.0,
            Totals(Counts(rows_read=MAX_ISSUES + 1, deferred=MAX_ISSUES + 1)),
            Counts(),
            TableState(
                watermark=7.0,
                scanned_at=1.0,
                rows=9,
                due="more rows were rejected or deferred than are remembered",
            ),
            id="more open rows than are remembered",
        ),
    ],
)
async def test_the_end_of_a_table_says_how_far_the_mapping_was_seen_and_when_to_read_all_of_it(
    world: World, start: Starter, since: float | None, totals: Totals, unlinking: Counts, expected: TableState
) -> None:
    run = await begun(world, start, ALL, CONTACT)
    before = TableState(linked=True, scanned_at=1.0, rows=9, earlier_bits=(0,) if since is None else ())
    await world.deps.states.save("contact", before, None)
    await scanned(world, run, since=since)
    await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", totals, unlinking, scan="s"))
    found = await world.deps.states.load("contact")
    assert found is not None
    assert found[0] == replace(expected, linked=True)


@pytest.mark.parametrize("status", [None, Status.RETRYING])
async def test_a_run_that_ends_before_a_table_did_says_so(world: World, start: Starter, status: Status | None) -> None:
    run = await begun(world, start, ALL, TableRun("contact", "crm", Status.REFRESHING))
    await run_lifecycle.end_run(world.deps, Ending(run, status))
    ended = await loaded(world, run)
    assert ended.tables[0].detail == UNFINISHED
    assert UNFINISHED in ended.status_detail


# ---- a table that is tried again ----


@pytest.mark.parametrize("status", [None, Status.FAILED, Status.RETRYING, Status.CANCELED])
@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_table_that_failed_shows_the_same_before_and_after_the_end_of_its_run(
    world: World, start: Starter, status: Status | None, dry_run: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """A later run tries a real one again, so it never shows as failed for good. Nothing repeats a dry run."""
    caplog.set_level("INFO")
    run = await begun(world, start, replace(ALL, dry_run=dry_run), CONTACT)
    busy = TableEnd(run, "contact", Totals(), failed="The table is busy.", passing=True, dry_run=dry_run)
    await run_lifecycle.end_table(world.deps, busy)
    at_its_end = (await loaded(world, run)).tables[0]
    world.clock.pass_s(10.0)
    await run_lifecycle.report(world.deps, Report(run, pages_total=2, pages_done=2))
    while_the_run_works = (await loaded(world, run)).tables[0]
    await run_lifecycle.end_run(world.deps, Ending(run, status, dry_run=dry_run))
    ended = await loaded(world, run)
    expected = Status.FAILED if dry_run else Status.RETRYING
    assert at_its_end == while_the_run_works == ended.tables[0]
    assert (at_its_end.status, at_its_end.detail) == (expected, "The table is busy.")
    assert at_its_end.counts == Counts()
    if status in (None, Status.RETRYING):
        assert ended.status is expected
    assert [record.getMessage() for record in caplog.records].count("Table ended") == 1


async def test_a_table_that_ends_with_its_run_is_logged_as_ended(
    world: World, start: Starter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run = await begun(world, start, ALL, TableRun("contact", "crm", Status.REFRESHING))
    await run_lifecycle.end_run(world.deps, Ending(run, Status.RETRYING, "Table Storage answered 503."))
    assert (await loaded(world, run)).tables[0].status is Status.RETRYING
    assert [record.getMessage() for record in caplog.records].count("Table ended") == 1
