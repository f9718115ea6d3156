"""Hosts that die or sleep at an unlucky moment: no run is left open for ever, and no process works for one that gave way."""

from dataclasses import replace

import pytest

from linker.core.errors import TransientError
from linker.core.model import Counts, Mode, RunRequest, Status, Ticket
from linker.core.runs import lifecycle
from linker.core.runs.lifecycle import WAITING
from linker.durable.activities import run_lifecycle
from linker.entrypoints import api
from linker.services import housekeeping, run_requests
from tests.fakes.client import Client, Starter
from tests.fakes.lives import begun, loaded, queued
from tests.fakes.world import DiedError, World, contact_id
from tests.whole_runs.dying import ANY, holding, lease_runs_out


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


def dies_at(world: World, kind: str, what: str) -> None:
    """Let the process end before the next operation of this kind on a row whose key begins so."""

    def dies(operation: str, partition: str, row: str) -> None:
        if operation == kind and row.startswith(what):
            world.store.hooks.remove(dies)
            raise DiedError(row)

    world.store.hooks.append(dies)


# ---- runs that no process would end ----


async def test_a_run_whose_watchdog_and_successor_die_is_ended_anyway(world: World, start: Starter) -> None:
    run = await begun(world, start)
    lease_runs_out(world)
    dies_at(world, "get", f"run-{run}")
    with pytest.raises(DiedError):
        await housekeeping.watch_runs(world.deps, start)
    lease_runs_out(world)
    again = await housekeeping.watch_runs(world.deps, start)
    dead = await loaded(world, run)
    between = await loaded(world, dead.follow_up or "")
    assert (dead.status, between.status, between.follow_up) == (Status.FAILED, Status.FAILED, again)
    assert (await loaded(world, again)).status is Status.QUEUED


async def test_a_caller_who_asks_again_after_the_app_died_over_it_learns_how_it_ended(
    world: World, start: Starter
) -> None:
    dies_at(world, "insert", "run-")
    with pytest.raises(DiedError):
        await run_requests.request_run(world.deps, ANY, start, "key")
    lease_runs_out(world)
    again = await housekeeping.watch_runs(world.deps, start)
    told = await run_requests.request_run(world.deps, ANY, start, "key")
    assert (told.status, told.follow_up) == (Status.FAILED, again)
    assert [ticket.run for ticket in start.started] == [again]


async def test_a_requester_that_sleeps_through_the_lease_leaves_no_run_that_waits_for_ever(
    world: World, start: Starter
) -> None:
    grant = await world.deps.lock.request(ANY)
    lease_runs_out(world)
    again = await housekeeping.watch_runs(world.deps, start)
    await world.deps.runs.create(lifecycle.promise_run(Ticket(grant.run, ANY)))  # what it does next
    dead = await loaded(world, grant.run)
    assert (dead.status, dead.follow_up) == (Status.FAILED, again)


async def test_a_waiting_run_whose_cancellation_died_half_way_is_canceled_by_the_next_one(world: World) -> None:
    client = Client(world)
    await client.ask(api.post_run)
    waiting = (await client.ask(api.post_run)).body["id"]
    dies_at(world, "replace", f"run-{waiting}")
    with pytest.raises(DiedError):
        await client.ask(api.post_cancel, run=waiting)
    assert (await loaded(world, waiting)).status is Status.QUEUED
    reply = await client.ask(api.post_cancel, run=waiting)
    assert (reply.status, reply.body["status"]) == (202, "Canceled")
    assert (await client.ask(api.post_cancel, run=waiting)).status == 409


@pytest.mark.parametrize("request_", [ANY, RunRequest(dry_run=True)], ids=["real", "dry"])
async def test_a_run_that_was_interrupted_says_what_becomes_of_its_work(
    world: World, start: Starter, request_: RunRequest
) -> None:
    run = await begun(world, start, request_)
    for _ in range(2):
        lease_runs_out(world)
        again = await housekeeping.watch_runs(world.deps, start)
        await run_lifecycle.begin_run(world.deps, start.started[-1])
        dead = await loaded(world, run)
        assert dead.status_detail == f"{housekeeping.INTERRUPTED} Its work starts again as run {again}."
        run = again
    lease_runs_out(world)
    assert await housekeeping.watch_runs(world.deps, start) == ""
    dead = await loaded(world, run)
    assert (dead.status, dead.follow_up) == (Status.FAILED, None)
    assert "3 times without anything newly saved" in dead.status_detail
    assert ("given up" if request_.dry_run else "rests until a run is asked for") in dead.status_detail


async def test_a_run_whose_work_rested_leads_to_the_one_that_took_it_up(world: World, start: Starter) -> None:
    """Who was promised the first run finds the last one by its id."""
    run = await begun(world, start, RunRequest(jobs=("job",)))
    for _ in range(3):
        lease_runs_out(world)
        run = await housekeeping.watch_runs(world.deps, start) or run
    rested = await loaded(world, run)
    assert (rested.status, rested.follow_up) == (Status.FAILED, None)
    following = await run_requests.request_run(world.deps, ANY, start)
    assert start.started[-1].request.jobs == ("job",)
    for _ in range(2):
        await run_lifecycle.begin_run(world.deps, start.started[-1])
        assert await loaded(world, run) == replace(rested, follow_up=following.id)


async def test_it_leads_there_also_when_that_one_dies_before_it_begins(world: World, start: Starter) -> None:
    run = await begun(world, start)
    for _ in range(3):
        lease_runs_out(world)
        run = await housekeeping.watch_runs(world.deps, start) or run
    await run_requests.request_run(world.deps, ANY, start)
    lease_runs_out(world)
    again = await housekeeping.watch_runs(world.deps, start)
    await run_lifecycle.begin_run(world.deps, start.started[-1])
    assert (await loaded(world, run)).follow_up == again


async def test_a_run_that_was_deleted_meanwhile_is_led_nowhere(world: World) -> None:
    await world.deps.runs.lead_on("deleted", "run1")
    assert await world.deps.runs.load("deleted") is None


# ---- late news ----


async def test_what_a_waiting_run_shows_only_becomes_more_whichever_report_comes_last(
    world: World, start: Starter
) -> None:
    await queued(world, start)
    waiting = (await run_requests.request_run(world.deps, RunRequest(tables=("contact",), jobs=("one",)), start)).id
    states = [await world.deps.lock.peek()]
    await world.deps.lock.request(RunRequest(Mode.FULL, jobs=("two",)))
    states.append(await world.deps.lock.peek())
    for state in reversed(states):
        ticket = state.pending
        assert ticket is not None
        await world.deps.runs.advance(waiting, lambda run, now=ticket: run_requests.as_waiting(run, now.request))  # type: ignore[misc]
    shown = await loaded(world, waiting)
    assert (shown.mode, shown.requested_tables, set(shown.jobs)) == (Mode.FULL, (), {"one", "two"})


async def test_a_run_that_began_does_not_wait_again(world: World, start: Starter) -> None:
    first = await begun(world, start)
    waiting = (await run_requests.request_run(world.deps, ANY, start)).id
    assert (await loaded(world, waiting)).status_detail == WAITING
    following = await world.deps.lock.finish(first, completed=True)
    assert following is not None
    await run_lifecycle.begin_run(world.deps, following)
    began = await loaded(world, waiting)
    assert run_requests.as_waiting(began, RunRequest(Mode.FULL)) == began


# ---- work that does not get on ----


async def interrupted_twice(world: World, run: str) -> None:
    """Let a run hold the lock whose work was interrupted twice before."""
    await holding(world, "run8")
    for again in ("run9", run):
        lease_runs_out(world)
        await replace(world.deps.lock, new_id=lambda now=again: now).take_over()


async def interruptions(world: World) -> int:
    holder = (await world.deps.lock.peek()).holder
    assert holder is not None
    return holder.interruptions


async def test_a_page_that_is_newly_saved_makes_interruptions_count_from_zero(world: World) -> None:
    world.people(3)
    await interrupted_twice(world, "run1")
    await world.link("run1")
    assert await interruptions(world) == 0


async def test_departed_rows_that_are_cleared_make_interruptions_count_from_zero(world: World) -> None:
    world.people(3)
    await world.link("run0")
    world.dataverse.map(contact_id(1), None)
    await world.link("run1")
    await interrupted_twice(world, "run1")
    await world.unlink("run1", departed=1)
    assert await interruptions(world) == 0


@pytest.mark.parametrize("rejected", [False, True])
async def test_pages_that_an_earlier_run_saved_do_not_count_as_progress(world: World, rejected: bool) -> None:
    """Else a page that kills its host would do so for ever: every run comes to it over pages that are done."""
    world.people(3)
    if rejected:
        del world.contacts.rows[contact_id(2)]
    for earlier in ("run0", "run00"):
        await world.link(earlier)
    await interrupted_twice(world, "run1")
    await world.link("run1")
    assert await interruptions(world) == 2


async def test_a_page_is_done_also_when_that_cannot_be_reported(world: World) -> None:
    world.people(3)
    await world.prepare()
    scan, looked = await world.scan(), list[str]()

    def fails(operation: str, partition: str, row: str) -> None:
        if row == "lock":
            looked.append(operation)
            if len(looked) > 1:  # the first look is whether to begin
                raise TransientError("no answer")

    world.store.hooks.append(fails)
    assert (await world.link("run1", scan=scan)).counts == Counts(3, linked=3)
    assert len(looked) > 1
