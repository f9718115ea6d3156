"""A lock without a run, and a run without a lock: what was promised is started, and what was lost ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from linker.adapters.storage.lock_store import ROW, TABLE
from linker.core.errors import TransientError
from linker.core.model import (
    Mode,
    RunRequest,
    Status,
    Ticket,
)
from linker.core.runs import lifecycle
from linker.entrypoints import api
from linker.services import housekeeping, run_requests
from tests.fakes.client import Client, Starter
from tests.fakes.lives import ALL, begun, loaded
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


# ---- a lock without a run, a run without a lock ----


class Failing:
    """A task hub that does not take runs for a while."""

    def __init__(self, times: int) -> None:
        self.left, self.started = times, list[Ticket]()

    async def __call__(self, ticket: Ticket) -> None:
        if self.left:
            self.left -= 1
            raise TransientError("The task hub does not answer.")
        if ticket not in self.started:
            self.started.append(ticket)


def storage_fails_once(world: World, operation: str, row: str) -> None:
    def fails(kind: str, partition: str, key: str) -> None:
        if kind == operation and key.startswith(row):
            world.store.hooks.remove(fails)
            world.store.hooks.append(again)
            raise TransientError("storage is down")

    def again(kind: str, partition: str, key: str) -> None:  # the write is sent once more, and fails again
        if kind == operation and key.startswith(row):
            world.store.hooks.remove(again)
            raise TransientError("storage is down")

    world.store.hooks.append(fails)


async def by_the_same_key(world: World, start: Any) -> None:
    await run_requests.request_run(world.deps, ALL, start, "key")


async def by_another_request(world: World, start: Any) -> None:
    await run_requests.request_run(world.deps, RunRequest(Mode.VERIFY), start, "other")


async def by_the_next_tick(world: World, start: Any) -> None:
    await housekeeping.watch_runs(world.deps, start)


@pytest.mark.parametrize("repair", [by_the_same_key, by_another_request, by_the_next_tick])
@pytest.mark.parametrize("broken", ["storage", "task hub", "storage, then task hub"])
async def test_a_run_that_was_promised_and_not_started_is_started_by_the_next_caller(
    world: World, repair: Callable[..., Any], broken: str
) -> None:
    start = Failing(1 if "task hub" in broken else 0)
    if "storage" in broken:
        storage_fails_once(world, "insert", "run-")
    while True:
        try:
            await run_requests.request_run(world.deps, ALL, start, "key")
            break
        except TransientError:
            if broken == "storage" or not start.left:
                break
    promised = (await world.deps.lock.peek()).holder
    assert promised is not None
    await repair(world, start)
    assert [ticket.run for ticket in start.started] == [promised.run]
    assert (await loaded(world, promised.run)).status is Status.QUEUED


async def test_a_run_that_has_begun_is_not_started_again(world: World, start: Starter) -> None:
    await begun(world, start)
    start.started.clear()
    await run_requests.request_run(world.deps, ALL, start)
    await housekeeping.watch_runs(world.deps, start)
    assert not start.started


async def test_the_run_after_another_one_is_started_by_the_watchdog_when_its_start_failed(
    world: World, start: Starter
) -> None:
    run = await begun(world, start)
    waiting = (await run_requests.request_run(world.deps, ALL, start)).id
    await world.deps.lock.finish(run, completed=True)  # the host dies before it starts the next one
    await world.deps.runs.advance(run, lambda old: lifecycle.end_early(old, Status.SUCCESSFUL, "", world.clock.now))
    assert await housekeeping.watch_runs(world.deps, start) == waiting
    assert start.started[-1].run == waiting


async def test_a_run_that_could_not_be_started_says_so(world: World, start: Starter) -> None:
    with pytest.raises(TransientError):
        await run_requests.request_run(world.deps, ALL, Failing(1))
    dead = (await world.deps.lock.peek()).holder
    assert dead is not None
    world.clock.pass_s(world.settings.lease_seconds)
    await housekeeping.watch_runs(world.deps, start)
    assert (await loaded(world, dead.run)).status_detail.startswith(housekeeping.NEVER_BEGAN)


async def test_a_waiting_run_that_was_canceled_does_not_stay_queued(world: World, start: Starter) -> None:
    """The storage fails between the lock and the run, and the caller does not come back."""
    await begun(world, start)
    waiting = (await run_requests.request_run(world.deps, ALL, start)).id
    await world.deps.lock.cancel(waiting)
    assert (await loaded(world, waiting)).status is Status.QUEUED
    await housekeeping.watch_runs(world.deps, start)
    ended = await loaded(world, waiting)
    assert (ended.status, ended.status_detail) == (Status.CANCELED, housekeeping.TAKEN_BACK)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_runs_whose_lock_was_lost_end_and_their_work_continues(
    world: World, start: Starter, dry_run: bool
) -> None:
    working = await begun(world, start, RunRequest(Mode.FULL, dry_run, jobs=("job",)))
    waiting = (await run_requests.request_run(world.deps, RunRequest(Mode.VERIFY, dry_run), start)).id
    await world.store.delete(TABLE, "env", ROW)
    again = await housekeeping.watch_runs(world.deps, start)
    ended = [await loaded(world, run) for run in (working, waiting)]
    assert [run.status for run in ended] == [Status.FAILED] * 2
    assert all(housekeeping.LOST in run.status_detail for run in ended)
    assert bool(again) is not dry_run
    if again:
        assert {run.follow_up for run in ended} <= {again, (await world.deps.lock.peek()).pending.run}  # type: ignore[union-attr]
        assert start.started[-1].run == again


async def test_a_run_whose_lock_was_lost_can_be_canceled(world: World, start: Starter) -> None:
    run = await begun(world, start)
    await world.store.delete(TABLE, "env", ROW)
    reply = await Client(world).ask(api.post_cancel, run=run)
    assert (reply.status, reply.body["status"]) == (202, "Canceled")


async def test_a_quiet_watchdog_writes_nothing(world: World, start: Starter) -> None:
    await begun(world, start)
    await run_requests.request_run(world.deps, ALL, start)
    world.store.writes.clear()
    await housekeeping.watch_runs(world.deps, start)
    assert not world.store.writes
