"""The life of a run around its pages: requested, begun, settled, reported, ended."""

from dataclasses import replace
from typing import Any

import pytest

from linker.adapters.storage import Scan, Stream
from linker.adapters.storage.issue_store import MAX_ISSUES
from linker.adapters.storage.staging import STAGING
from linker.core.linking.claims import Claim, ClaimRow
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.segments import SliceSegments
from linker.core.model import Counts, Mode, Run, RunRequest, Status, TableRun, Ticket
from linker.core.runs.activity_values import Beat, Ending, Report, SettleTask, TableEnd, Totals
from linker.core.runs.lifecycle import UNFINISHED, WAITING
from linker.core.runs.signals import CONFIRM_S, Marks, SignalKind
from linker.core.throttling.pace import Pace
from linker.core.times import iso, parse_time
from linker.durable.activities import run_lifecycle
from linker.durable.activities.discover_tables import settle
from linker.services import run_requests
from tests.fakes.client import Starter
from tests.fakes.requests import PROFILE_SET, STAMP, Refusal, Request
from tests.fakes.world import CRM, START, World, key_of

ALL = RunRequest()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


async def queued(world: World, start: Starter, request: RunRequest = ALL) -> str:
    """A run that holds the lock and waits until mapping and profiles rest."""
    run = (await run_requests.request_run(world.deps, request, start)).id
    await run_lifecycle.begin_run(world.deps, start.started[-1])
    return run


async def begun(world: World, start: Starter, request: RunRequest = ALL, *tables: TableRun) -> str:
    """A run that holds the lock and is refreshing."""
    run = await queued(world, start, request)
    await world.deps.runs.advance(run, lambda old: replace(old, status=Status.REFRESHING, tables=tables))
    return run


async def loaded(world: World, run: str) -> Run:
    found = await world.deps.runs.load(run)
    assert found is not None
    return found


# ---- requests ----


async def test_a_request_starts_one_run_and_later_ones_wait_for_the_same_next_run(world: World, start: Starter) -> None:
    first = await run_requests.request_run(world.deps, ALL, start)
    waiting = {(await run_requests.request_run(world.deps, RunRequest(mode=mode), start)).id for mode in Mode}
    assert [ticket.run for ticket in start.started] == [first.id]
    assert len(waiting) == 1
    shown = await loaded(world, waiting.pop())
    assert (shown.status, shown.status_detail) == (Status.QUEUED, WAITING)


async def test_a_unification_that_was_served_leads_to_the_run_that_served_it(world: World, start: Starter) -> None:
    job = RunRequest(jobs=("job",))
    run = await begun(world, start, job)
    await run_lifecycle.end_run(world.deps, Ending(run, Status.SUCCESSFUL))
    assert (await run_requests.request_run(world.deps, job, start)).id == run
    assert len(start.started) == 1


async def test_the_next_run_does_everything_that_was_asked_for_meanwhile(world: World, start: Starter) -> None:
    run = await begun(world, start)
    for request in (RunRequest(tables=("contact",)), RunRequest(Mode.FULL, tables=("lead",), jobs=("j",))):
        await run_requests.request_run(world.deps, request, start)
    following = (await run_lifecycle.end_run(world.deps, Ending(run, Status.SUCCESSFUL))).next
    assert following is not None
    await run_lifecycle.begin_run(world.deps, following)
    shown = await loaded(world, following.run)
    assert (shown.mode, set(shown.requested_tables), shown.jobs) == (Mode.FULL, {"contact", "lead"}, ("j",))
    assert shown.status_detail == ""


# ---- begin and settle ----


async def test_a_run_that_begins_twice_is_begun_once(world: World, start: Starter) -> None:
    await run_requests.request_run(world.deps, ALL, start)
    ticket = start.started[0]
    assert (await run_lifecycle.begin_run(world.deps, ticket)).held
    began = (await loaded(world, ticket.run)).started_at
    world.clock.pass_s(50)
    assert (await run_lifecycle.begin_run(world.deps, ticket)).held
    assert (await loaded(world, ticket.run)).started_at == began


async def test_a_run_that_does_not_hold_the_lock_does_not_begin(world: World, start: Starter) -> None:
    await run_requests.request_run(world.deps, ALL, start)
    assert not (await run_lifecycle.begin_run(world.deps, Ticket("stranger", ALL))).held
    assert await world.deps.runs.load("stranger") is None


MINUTE = 60.0


def waiting_world() -> World:
    """A world whose mapping and profiles have to rest for ten minutes."""
    world = World()
    world.settings = world.settings.model_copy(update={"settle_minutes": 10.0})
    world.deps = world.host()
    return world


@pytest.mark.parametrize(
    ("rested_s", "waited_s", "waits"),
    [
        pytest.param(0.0, 0.0, True, id="changed just now"),
        pytest.param(9 * MINUTE, 0.0, True, id="not for long enough"),
        pytest.param(10 * MINUTE, 0.0, False, id="long enough"),
        pytest.param(0.0, 120 * MINUTE, False, id="waited long enough"),
    ],
)
async def test_settling_waits_until_mapping_and_profiles_rest(
    start: Starter, rested_s: float, waited_s: float, waits: bool
) -> None:
    world = waiting_world()
    run = await queued(world, start)
    world.clock.now = parse_time(STAMP) + rested_s - CONFIRM_S
    await settle(world.deps, SettleTask(run))  # the first look
    world.clock.pass_s(CONFIRM_S)
    settled = await settle(world.deps, SettleTask(run, waited_s))
    assert (settled.wait_s > 0) is waits
    assert settled.wait_s < world.settings.lease_seconds / 2
    assert bool((await loaded(world, run)).status_detail) is waits


async def test_one_look_does_not_settle_and_a_stale_read_is_found_out(start: Starter) -> None:
    world = waiting_world()
    run = await queued(world, start)
    first = await settle(world.deps, SettleTask(run))  # reads what was there before unification wrote
    assert 0 < first.wait_s <= CONFIRM_S
    world.clock.pass_s(first.wait_s)
    world.dataverse.marks["msdynci_alternatekeys"] = iso(world.clock() - 30)
    second = await settle(world.deps, SettleTask(run, first.wait_s))
    assert second.wait_s > 0
    assert "have rested for 10 minutes" in second.detail


async def test_settling_says_when_dataverse_does_not_say_what_changed(start: Starter) -> None:
    world = waiting_world()
    run = await queued(world, start)

    def refuse(asked: Request) -> None:
        if asked.kind == "marks":
            raise Refusal(400, "0x80048d0b", "Sorting is not supported.")

    world.dataverse.hooks.append(refuse)
    settled = await settle(world.deps, SettleTask(run))
    assert (
        settled.detail == "Dataverse does not say when mapping and profiles last changed. Waiting 10 minutes instead."
    )
    last = await settle(world.deps, SettleTask(run, 10 * MINUTE))
    assert (last.wait_s, last.marks) == (0.0, None)
    (signal,) = [one for one in await world.deps.signals.all() if one.kind is SignalKind.WATERMARKS]
    assert "does not say" in signal.note


async def test_settling_stops_when_the_run_is_canceled(world: World, start: Starter) -> None:
    run = await begun(world, start)
    await world.deps.lock.cancel(run)
    assert (await settle(world.deps, SettleTask(run))).stop


async def test_a_run_shows_as_queued_while_it_waits_for_its_unification(start: Starter) -> None:
    world = waiting_world()
    run = await queued(world, start, RunRequest(jobs=("job",)))
    look = SettleTask(run, for_job=True, job_start=parse_time(STAMP) + 1)
    assert (await settle(world.deps, look)).wait_s > 0
    shown = await loaded(world, run)
    assert shown.status is Status.QUEUED
    assert "first changes of the unification" in shown.status_detail
    world.clock.pass_s(30 * MINUTE)
    assert (await settle(world.deps, replace(look, waited_s=30 * MINUTE))).wait_s == 0
    assert (await loaded(world, run)).status is Status.REFRESHING


async def test_a_run_has_started_when_it_works_and_not_while_it_waits(start: Starter) -> None:
    world = waiting_world()
    run = await queued(world, start)
    world.clock.now = parse_time(STAMP) + 9 * MINUTE
    await settle(world.deps, SettleTask(run))
    assert (await loaded(world, run)).started_at is None
    for _ in range(2):  # an activity may be repeated
        world.clock.pass_s(2 * MINUTE)
        await settle(world.deps, SettleTask(run))
    assert (await loaded(world, run)).started_at == iso(parse_time(STAMP) + 11 * MINUTE)


async def test_a_start_that_was_held_up_does_not_bring_an_older_run_back(world: World, start: Starter) -> None:
    first = await begun(world, start)
    second = (await run_requests.request_run(world.deps, ALL, start)).id
    stale = start.started[0]

    async def hold_up(operation: str, partition: str, row: str) -> None:
        if row == "task" and world.store.hooks:
            world.store.hooks.clear()
            following = (await run_lifecycle.end_run(world.deps, Ending(first, Status.SUCCESSFUL))).next
            assert following is not None
            await run_lifecycle.begin_run(world.deps, following)

    world.store.hooks.append(hold_up)
    await run_lifecycle.begin_run(world.deps, stale)
    shown = await world.deps.runs.shown()
    assert shown is not None
    assert shown.id == second


# ---- signs of life ----


async def test_what_is_tried_again_is_shown_until_it_is_over(world: World, start: Starter) -> None:
    run = await begun(world, start)
    shown = []
    for trouble in ("busy", None, ""):
        assert (await run_lifecycle.renew(world.deps, Beat(run, trouble))).held
        shown.append(await loaded(world, run))
    assert [(one.status, one.status_detail) for one in shown] == [(Status.RETRYING, "busy")] * 2 + [
        (Status.REFRESHING, "")
    ]


async def test_trouble_before_the_beginning_leaves_the_run_queued(world: World, start: Starter) -> None:
    run = await queued(world, start)
    await run_lifecycle.renew(world.deps, Beat(run, "busy"))
    shown = await loaded(world, run)
    assert (shown.status, shown.status_detail) == (Status.QUEUED, "busy")


# ---- report ----


async def test_a_report_shows_the_way_so_far_and_what_is_left(world: World, start: Starter) -> None:
    run = await begun(world, start, ALL, replace(CONTACT, rows_total=8_000))
    news = Report(run, Counts(rows_read=2_000, unchanged=2_000), 8, 2, Pace(width=5, batch=200), 40.0, paused_s=60.0)
    assert (await run_lifecycle.report(world.deps, news)).held
    shown = (await loaded(world, run)).progress
    assert shown is not None
    assert (shown.rows_per_second, shown.eta_seconds, shown.width, shown.batch) == (
        50.0,
        180.0,
        5,
        200,
    )
    assert shown.paused_until == iso(world.clock.now + 60)


async def test_a_report_of_a_run_that_lost_the_lock_changes_nothing(world: World, start: Starter) -> None:
    run = await begun(world, start)
    await run_lifecycle.end_run(world.deps, Ending(run, Status.SUCCESSFUL))
    before = await loaded(world, run)
    assert not (await run_lifecycle.report(world.deps, Report(run, Counts(rows_read=1)))).held
    assert await loaded(world, run) == before


# ---- end ----

CONTACT = TableRun("contact", "crm", Status.REFRESHING)
GOOD = Totals(Counts(rows_read=3, linked=3), pages=1)


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


async def test_ending_a_run_twice_gives_the_same_answer(world: World, start: Starter) -> None:
    run = await begun(world, start)
    await run_requests.request_run(world.deps, ALL, start)
    endings = [await run_lifecycle.end_run(world.deps, Ending(run, Status.SUCCESSFUL)) for _ in range(2)]
    assert endings[0] == endings[1]
    assert endings[0].next is not None


@pytest.mark.parametrize(
    ("tables", "detail"),
    [
        pytest.param(("lead",), "Table 'lead': It broke.", id="what failed, before what was known"),
        pytest.param(
            ("lead", "account"), "Table 'lead': It broke. 1 more table did not succeed.", id="the first that failed"
        ),
        pytest.param((), "A plug-in fires.", id="nothing failed"),
    ],
)
async def test_a_run_says_first_what_made_it_end_so(
    world: World, start: Starter, tables: tuple[str, ...], detail: str
) -> None:
    names = ("contact", *tables)
    run = await begun(world, start, ALL, *(TableRun(name, "crm", Status.REFRESHING) for name in names))
    await world.deps.runs.advance(run, lambda old: replace(old, warnings=("A plug-in fires.",)))
    for name in names:
        end = TableEnd(run, name, GOOD, failed="It broke." if name in tables else "")
        await run_lifecycle.end_table(world.deps, end)
    await run_lifecycle.end_run(world.deps, Ending(run, None if tables else Status.WARNINGS))
    shown = await loaded(world, run)
    assert (shown.status, shown.status_detail) == (Status.FAILED if tables else Status.WARNINGS, detail)


async def test_links_that_wait_for_a_decision_are_told_before_what_was_known(world: World, start: Starter) -> None:
    run = await begun(world, start, ALL, TableRun("contact", "crm", Status.REFRESHING))
    await world.deps.runs.advance(run, lambda old: replace(old, warnings=("A plug-in fires.",)))
    totals = Totals(Counts(90, unchanged=90), departed=10)
    deferred = Counts(deferred=10)
    end = TableEnd(run, "contact", totals, unlinking=deferred, held_back="10 of 100 rows left", guarded=True)
    await run_lifecycle.end_table(world.deps, end)
    await run_lifecycle.end_run(world.deps, Ending(run))
    shown = await loaded(world, run)
    assert shown.status_detail == "10 rows of 'contact' left unification and kept their links."
    assert "--allow-unlinking contact=10" in shown.tables[0].detail


async def test_a_run_that_skipped_every_table_says_so_in_the_words_of_the_task(world: World, start: Starter) -> None:
    run = await begun(world, start, ALL)
    held, why = replace(CONTACT, status=Status.SKIPPED), "Table 'contact': Held for approval; nothing was written."
    await world.deps.runs.advance(run, lambda old: replace(old, tables=(held,), warnings=(why,)))
    assert (await run_lifecycle.end_run(world.deps, Ending(run))).status is Status.SKIPPED
    assert (await loaded(world, run)).status_detail == f"Backstamping job skipped. {why}"


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELED])
async def test_a_run_that_did_not_complete_serves_no_unification(world: World, start: Starter, status: Status) -> None:
    run = await begun(world, start, RunRequest(jobs=("job",)))
    await run_lifecycle.end_run(world.deps, Ending(run, status))
    assert (await world.deps.lock.peek()).served == ()


@pytest.mark.parametrize(
    ("tables", "served"),
    [
        pytest.param([Status.SUCCESSFUL, Status.WARNINGS], True, id="every table was linked"),
        pytest.param([Status.SUCCESSFUL, Status.SKIPPED], False, id="a table was skipped"),
        pytest.param([Status.SKIPPED], False, id="all were skipped"),
    ],
)
async def test_only_a_run_that_skipped_nothing_serves_its_unification(
    world: World, start: Starter, tables: list[Status], served: bool
) -> None:
    """Once somebody has declared what was unknown, the same event has to link the table."""
    run = await begun(world, start, RunRequest(jobs=("job",)))
    ends = tuple(TableRun(f"t{number}", "crm", status) for number, status in enumerate(tables))
    await world.deps.runs.advance(run, lambda old: replace(old, tables=ends))
    await run_lifecycle.end_run(world.deps, Ending(run))
    assert bool((await world.deps.lock.peek()).served) is served


async def test_tables_that_were_not_reached_end_with_the_run(world: World, start: Starter) -> None:
    run = await begun(world, start, ALL, CONTACT)
    await run_lifecycle.end_run(world.deps, Ending(run, Status.CANCELED, "Canceled by request."))
    assert [table.status for table in (await loaded(world, run)).tables] == [Status.CANCELED]


async def test_rows_that_wait_for_profiles_ask_for_one_follow_up_and_no_more(world: World, start: Starter) -> None:
    deferred = Totals(Counts(rows_read=1, deferred=1))
    run = await begun(world, start, ALL, CONTACT)
    await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", deferred))
    following = (await run_lifecycle.end_run(world.deps, Ending(run))).next
    assert following is not None
    assert (await loaded(world, run)).follow_up == following.run
    await run_lifecycle.begin_run(world.deps, following)
    await world.deps.runs.advance(following.run, lambda old: replace(old, status=Status.REFRESHING, tables=(CONTACT,)))
    await run_lifecycle.end_table(world.deps, TableEnd(following.run, "contact", deferred))
    assert (await run_lifecycle.end_run(world.deps, Ending(following.run))).next is None


@pytest.mark.parametrize(("guarded", "follows"), [(False, True), (True, False)], ids=["each", "by the guard"])
async def test_departed_rows_that_were_deferred_ask_for_a_follow_up_unless_the_guard_holds_them(
    world: World, start: Starter, *, guarded: bool, follows: bool
) -> None:
    run = await begun(world, start, ALL, CONTACT)
    departed = replace(GOOD, departed=1)
    end = TableEnd(run, "contact", departed, unlinking=Counts(deferred=1), held_back="many" * guarded, guarded=guarded)
    await run_lifecycle.end_table(world.deps, end)
    assert ((await run_lifecycle.end_run(world.deps, Ending(run))).next is not None) is follows


async def test_what_moves_within_the_second_that_a_run_saw_last_asks_for_a_follow_up(
    world: World, start: Starter
) -> None:
    run = await begun(world, start, ALL, CONTACT)
    settled = await settle(world.deps, SettleTask(run))
    await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", GOOD))
    world.dataverse.versions["msdynci_alternatekeys"] += 1
    assert (await run_lifecycle.end_run(world.deps, Ending(run, marks=settled.marks))).next is not None


async def test_what_moves_in_the_mapping_while_the_profiles_are_looked_at_asks_for_a_follow_up(
    world: World, start: Starter
) -> None:
    run = await begun(world, start, ALL, CONTACT)
    settled = await settle(world.deps, SettleTask(run))
    await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", GOOD))

    def move(asked: Request) -> None:
        if asked.path == PROFILE_SET:
            world.dataverse.versions["msdynci_alternatekeys"] += 1

    world.dataverse.after.append(move)
    assert (await run_lifecycle.end_run(world.deps, Ending(run, marks=settled.marks))).next is not None


async def test_a_run_ends_also_when_dataverse_does_not_answer_any_more(world: World, start: Starter) -> None:
    """Else its lock stays until the watchdog takes it, and all its work is done again."""
    run = await begun(world, start, ALL, CONTACT)
    await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", GOOD))

    def refuse(_: object) -> None:
        raise Refusal(503)

    world.dataverse.hooks.append(refuse)
    assert (await run_lifecycle.end_run(world.deps, Ending(run, marks=Marks(1.0, 2.0)))).status is Status.SUCCESSFUL
    assert (await world.deps.lock.peek()).holder is None


@pytest.mark.parametrize(
    "trouble", ["", "Table Storage answered nothing."], ids=["at once", "after it was tried again"]
)
async def test_a_run_that_fails_before_it_knows_its_tables_has_ended_and_not_started(
    world: World, start: Starter, trouble: str
) -> None:
    run = await begun(world, start)
    await run_lifecycle.renew(world.deps, Beat(run, trouble))
    await run_lifecycle.end_run(world.deps, Ending(run, Status.FAILED, "No table could be looked at."))
    shown = await loaded(world, run)
    assert (shown.status, shown.status_detail) == (Status.NOT_STARTED, "No table could be looked at.")
    assert shown.ended_at is not None
