"""A host whose clock is ahead takes a shard from an attempt that still works: what that leaves, and what sets it right."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from linker.adapters.storage import TaskState
from tests.fakes.moments import stalls_before
from tests.fakes.world import ATTEMPT_S, World, contact_id


@pytest.mark.parametrize("ahead_s", [0.0, ATTEMPT_S / 2])
async def test_a_clock_that_is_ahead_by_less_than_the_time_of_an_attempt_takes_no_shard(
    world: World, ahead_s: float
) -> None:
    gate = stalls_before(world, "update")
    first = asyncio.create_task(world.link("run1"))
    await gate.reached.wait()
    ahead = replace(world.host(), clock=lambda: world.clock.now + ahead_s)
    assert (await world.link("run1", deps=ahead)).held
    gate.open.set()
    assert (await first).counts.linked == 1
    assert world.is_right()


@pytest.mark.parametrize("ahead_s", [ATTEMPT_S + 10, 3_600.0, 86_400.0])
async def test_rows_that_the_earlier_owner_writes_late_are_marked_and_the_next_run_sets_them_right(
    world: World, ahead_s: float
) -> None:
    """Only one of both saves its block. The other marks what it sent, and the timer asks for a run."""
    await world.deps.runs.change_task(_completed)
    gate = stalls_before(world, "update")
    first = asyncio.create_task(world.link("run1"))
    await gate.reached.wait()
    world.dataverse.map(contact_id(1), "c3")  # a later unification
    ahead = replace(world.host(), clock=lambda: world.clock.now + ahead_s)
    assert (await world.link("run2", deps=ahead)).counts.rows_read == 3
    gate.open.set()
    assert (await first).later_s > 0
    assert (await world.block()).header.unconfirmed == 1
    assert (await world.deps.runs.task()).completed == 0.0
    assert (await world.link("run3", deps=world.host())).counts.rows_read == 3
    assert world.is_right()
    assert not (await world.block()).header.unconfirmed


async def _completed(task: TaskState) -> TaskState:
    return replace(task, completed=1.0)
