"""Hosts whose clocks differ by an hour: no run blocks the others for that long, and none loses its lease."""

from __future__ import annotations

from dataclasses import replace

import pytest

from linker.core.model import (
    Status,
)
from linker.durable.activities import run_lifecycle
from linker.services import housekeeping, run_requests
from tests.fakes.client import Starter
from tests.fakes.lives import ALL, loaded
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


# ---- clocks of other hosts ----


async def test_a_host_whose_clock_is_an_hour_ahead_and_that_dies_blocks_no_run_for_an_hour(
    world: World, start: Starter
) -> None:
    ahead = replace(world.host(), lock=replace(world.deps.lock, clock=lambda: world.clock.now + 3_600))
    run = (await run_requests.request_run(ahead, ALL, start)).id
    await run_lifecycle.begin_run(ahead, start.started[0])
    lease_s = world.settings.lease_seconds
    other = world.host()
    assert await housekeeping.watch_runs(other, start) == ""
    world.clock.pass_s(lease_s)
    again = await housekeeping.watch_runs(other, start)
    assert again
    assert (await loaded(world, run)).status is Status.FAILED


async def test_a_host_whose_clock_is_an_hour_ahead_keeps_its_run_while_it_renews(world: World, start: Starter) -> None:
    ahead = replace(world.host(), lock=replace(world.deps.lock, clock=lambda: world.clock.now + 3_600))
    run = (await run_requests.request_run(ahead, ALL, start)).id
    await run_lifecycle.begin_run(ahead, start.started[0])
    other = world.host()
    for _ in range(6):
        world.clock.pass_s(world.settings.lease_seconds / 3)
        await ahead.lock.renew(run)
        assert await housekeeping.watch_runs(other, start) == ""


async def test_a_run_that_moves_to_a_host_with_a_right_clock_keeps_its_lease(world: World, start: Starter) -> None:
    ahead = replace(world.host(), lock=replace(world.deps.lock, clock=lambda: world.clock.now + 3_600))
    run = (await run_requests.request_run(ahead, ALL, start)).id
    await run_lifecycle.begin_run(ahead, start.started[0])
    right, watching = world.host(), world.host()
    for _ in range(6):
        world.clock.pass_s(world.settings.lease_seconds / 3)
        assert (await right.lock.renew(run)).held
        assert await housekeeping.watch_runs(watching, start) == ""
    assert (await world.deps.lock.peek()).expires == world.clock.now + world.settings.lease_seconds


async def test_a_watchdog_whose_clock_is_an_hour_ahead_leaves_a_run_alone_that_renews_and_ends_it_when_it_died(
    world: World, start: Starter
) -> None:
    """Between two looks of one process its own stopwatch shows that a lease which changed cannot have run out."""
    host, lease_s = world.host(), world.settings.lease_seconds
    watching = replace(host, lock=replace(host.lock, clock=lambda: world.clock.now + 3_600))
    assert await housekeeping.watch_runs(watching, start) == ""
    run = (await run_requests.request_run(world.deps, ALL, start)).id
    await run_lifecycle.begin_run(world.deps, start.started[0])
    for _ in range(9):
        world.clock.pass_s(lease_s / 3)
        assert (await world.deps.lock.renew(run)).held
        assert await housekeeping.watch_runs(watching, start) == ""
    world.clock.pass_s(lease_s)
    assert await housekeeping.watch_runs(watching, start)
    assert (await loaded(world, run)).status is Status.FAILED
