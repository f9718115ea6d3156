"""The life of a run around its pages: requested, begun, settled, reported, ended."""

from dataclasses import replace

import pytest

from linker.core.model import Counts, Mode, RunRequest, Status, TableRun, Ticket
from linker.core.runs.activity_values import Beat, Ending, Report, TableEnd, Totals
from linker.core.runs.lifecycle import WAITING
from linker.core.runs.signals import Marks
from linker.core.serialization import iso
from linker.core.throttling.pace import Pace
from linker.durable.activities import run_lifecycle
from linker.services import run_requests
from tests.fakes.client import Starter
from tests.fakes.lives import ALL, CONTACT, GOOD, begun, loaded, queued
from tests.fakes.requests import Refusal
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


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
    shown = await world.deps.runs.load_shown()
    assert shown is not None
    assert shown.id == second


# ---- heartbeats ----


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


async def test_links_that_wait_for_a_decision_are_reported_before_what_was_known(world: World, start: Starter) -> None:
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


async def test_a_run_that_came_to_its_end_says_what_came_of_it_and_not_what_a_step_said_last(
    world: World, start: Starter
) -> None:
    """News of a step may come late: from a start of the run that another one overtook."""
    run = await begun(world, start, ALL, replace(CONTACT, status=Status.WARNINGS, counts=Counts(1, deferred=1)))
    detail = "Touching customer profiles: 3 so far."
    await world.deps.runs.advance(run, lambda old: replace(old, status_detail=detail))
    await run_lifecycle.end_run(world.deps, Ending(run))
    assert (await loaded(world, run)).status_detail == "1 row was deferred."


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
    """Once an administrator has declared what was unknown, the same event has to link the table."""
    run = await begun(world, start, RunRequest(jobs=("job",)))
    ends = tuple(TableRun(f"t{number}", "crm", status) for number, status in enumerate(tables))
    await world.deps.runs.advance(run, lambda old: replace(old, tables=ends))
    await run_lifecycle.end_run(world.deps, Ending(run))
    assert bool((await world.deps.lock.peek()).served) is served


async def test_tables_that_were_not_reached_end_with_the_run(world: World, start: Starter) -> None:
    run = await begun(world, start, ALL, CONTACT)
    await run_lifecycle.end_run(world.deps, Ending(run, Status.CANCELED, "Canceled by request."))
    assert [table.status for table in (await loaded(world, run)).tables] == [Status.CANCELED]


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
