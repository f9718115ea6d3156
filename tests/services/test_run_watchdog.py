"""The watchdog: it leaves a run alone that renews, ends one that died, and starts its work again."""

from dataclasses import replace

import pytest

from linker.core.model import Mode, RunRequest, Status, Ticket
from linker.core.runs.activity_values import Beat, Ending
from linker.durable.activities import run_lifecycle
from linker.durable.boundary import RENEWALS
from linker.services import housekeeping, run_requests
from tests.fakes.client import Starter
from tests.fakes.lives import CONTACT, begun, loaded
from tests.fakes.world import DiedError, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


# ---- the watchdog ----


async def test_the_watchdog_leaves_a_run_alone_that_renews(world: World, start: Starter) -> None:
    run = await begun(world, start)
    world.clock.pass_s(world.settings.lease_seconds - 1)
    await run_lifecycle.renew(world.deps, Beat(run))
    world.clock.pass_s(world.settings.lease_seconds - 1)
    assert await housekeeping.watch_runs(world.deps, start) == ""


async def test_the_watchdog_ends_an_interrupted_run_and_starts_its_work_again(world: World, start: Starter) -> None:
    run = await begun(world, start, RunRequest(Mode.FULL, jobs=("job",)), CONTACT)
    world.clock.pass_s(world.settings.lease_seconds + 1)
    again = await housekeeping.watch_runs(world.deps, start)
    dead = await loaded(world, run)
    assert (dead.status, dead.follow_up, dead.tables[0].status) == (Status.FAILED, again, Status.FAILED)
    assert "interrupted" in dead.status_detail
    assert start.started[-1] == Ticket(again, RunRequest(Mode.FULL, jobs=("job",)), interruptions=1)
    assert (await loaded(world, again)).status is Status.QUEUED


async def test_a_look_stays_until_the_lease_that_it_saw_has_run_out(world: World, start: Starter) -> None:
    """With default settings the work of a run that died right after a look starts again within a minute."""
    run, died = await begun(world, start), world.clock()
    again = await housekeeping.watch_runs(world.deps, start, sleep=world.clock.sleep)
    assert (await loaded(world, run)).follow_up == again != ""
    assert world.clock() - died < 60


async def test_a_look_that_stays_leaves_a_run_alone_that_renews_and_ends_before_the_next(
    world: World, start: Starter
) -> None:
    run, began = await begun(world, start), world.clock()

    async def renewing(seconds: float) -> None:
        for _ in range(RENEWALS):
            world.clock.pass_s(seconds / RENEWALS)
            await run_lifecycle.renew(world.deps, Beat(run))

    assert await housekeeping.watch_runs(world.deps, start, sleep=renewing) == ""
    assert 0 < world.clock() - began < 60


async def test_a_look_that_comes_every_few_seconds_does_not_stay(start: Starter) -> None:
    world = World(watchdog_schedule="*/5 * * * * *")
    await begun(world, start)
    began = world.clock()
    assert await housekeeping.watch_runs(world.deps, start, sleep=world.clock.sleep) == ""
    assert world.clock() == began


async def test_the_watchdog_ends_a_canceled_run_that_died_as_canceled(world: World, start: Starter) -> None:
    run = await begun(world, start)
    await world.deps.lock.cancel(run)
    world.clock.pass_s(world.settings.lease_seconds + 1)
    assert await housekeeping.watch_runs(world.deps, start) == ""
    assert (await loaded(world, run)).status is Status.CANCELED
    assert (await world.deps.lock.peek()).holder is None


async def test_work_that_dies_again_and_again_without_progress_is_parked(world: World, start: Starter) -> None:
    await begun(world, start)
    restarts = 0
    for _ in range(6):
        world.clock.pass_s(world.settings.lease_seconds + 1)
        restarts += bool(await housekeeping.watch_runs(world.deps, start))
    assert restarts == 2
    assert (await world.deps.lock.peek()).parked is not None


async def test_work_that_rests_is_not_asked_for_because_of_a_table_that_is_tried_again(
    world: World, start: Starter
) -> None:
    """Each run dies after that table has ended, and nothing has moved in Dataverse."""
    marks = await run_requests.marks_of(world.deps, None)
    await run_lifecycle.end_run(world.deps, Ending(await begun(world, start), marks=marks))
    busy = replace(CONTACT, status=Status.RETRYING, detail="busy", passing=True)
    await begun(world, start, RunRequest(), busy)
    while not (await world.deps.lock.peek()).parked:
        world.clock.pass_s(world.settings.lease_seconds + 1)
        if await housekeeping.watch_runs(world.deps, start):
            await run_lifecycle.begin_run(world.deps, start.started[-1])
            await world.deps.runs.advance(start.started[-1].run, lambda run: replace(run, tables=(busy,)))
    last = await loaded(world, start.started[-1].run)
    assert (last.ended_at is not None, last.tables[0].status, last.follow_up) == (True, Status.RETRYING, None)
    world.clock.pass_s(run_requests.PASSING_RETRY_S + 1)
    assert await run_requests.poll(world.deps, start) == ""


@pytest.mark.parametrize("canceled", [False, True])
async def test_a_watchdog_that_dies_half_way_leaves_no_run_that_works_for_ever(
    world: World, start: Starter, canceled: bool
) -> None:
    run = await begun(world, start, RunRequest(), CONTACT)
    if canceled:
        await world.deps.lock.cancel(run)
    world.clock.pass_s(world.settings.lease_seconds + 1)

    def dies(operation: str, partition: str, row: str) -> None:
        if row == f"run-{run}":
            raise DiedError(row)

    world.store.hooks.append(dies)
    with pytest.raises(DiedError):
        await housekeeping.watch_runs(world.deps, start)
    world.store.hooks.clear()
    holder = (await world.deps.lock.peek()).holder
    assert (holder is None) is canceled
    await housekeeping.watch_runs(world.deps, start)
    dead = await loaded(world, run)
    end = Status.CANCELED if canceled else Status.FAILED
    assert (dead.status, dead.follow_up, dead.tables[0].status) == (end, holder.run if holder else None, end)
    assert holder is None or (await loaded(world, holder.run)).status is Status.QUEUED
