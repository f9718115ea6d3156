"""Several writes of one shard at once, and the limiter that all shards share (docs/decisions/0007)."""

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

from linker.core.runs.activity_values import ShardOutcome
from tests.fakes.moments import Gate, stalls_before
from tests.fakes.requests import Refusal
from tests.fakes.world import ATTEMPT_S, World, contact_id

BATCH = 10
PEOPLE = 60


def world_of_people() -> World:
    world = World()
    world.people(PEOPLE)
    return world


def counting(world: World) -> Callable[[], int]:
    """Return a function that returns how many writes were under way at once, at most."""
    under_way, most = [0], [0]

    async def begins(asked: Any) -> None:
        if asked.kind == "update":
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
            for _ in range(100):  # passes of the loop, however long each takes
                await asyncio.sleep(0)

    def ends(asked: Any) -> None:
        under_way[0] -= asked.kind == "update"

    world.dataverse.hooks.append(begins)
    world.dataverse.after.append(ends)
    return lambda: most[0]


async def test_a_shard_writes_in_as_many_lanes_as_it_has() -> None:
    world = world_of_people()
    most = counting(world)
    outcome = await world.link(batch=BATCH, width=4, lanes=3)
    assert most() == 3
    assert outcome.counts.linked == PEOPLE
    assert world.dataverse.asked["update"] == PEOPLE // BATCH
    assert world.is_right()


async def test_shards_of_one_process_share_the_width() -> None:
    world = world_of_people()
    most = counting(world)
    await world.prepare(bits=1)
    scan = await world.scan()
    await asyncio.gather(*(world.link(scan=scan, number=number, batch=BATCH, width=2, lanes=2) for number in (0, 1)))
    assert most() == 2
    assert world.is_right()


async def test_no_batch_begins_after_one_was_throttled() -> None:
    world = world_of_people()
    order, began, both = count(1), [], asyncio.Event()

    async def throttle(asked: Any) -> None:
        if asked.kind != "update":
            return
        number = next(order)
        began.append(number)
        if number == 1:
            await both.wait()
            raise Refusal(429, "0x80072322", "Too many", retry_after="60")
        both.set()
        for _ in range(1_000):  # passes of the loop: the refusal is known long before this write ends
            await asyncio.sleep(0)

    world.dataverse.hooks.append(throttle)
    outcome = await world.link(batch=BATCH, width=2, lanes=2)
    assert outcome.later_s == 60
    assert began == [1, 2]
    world.clock.pass_s(60)
    assert (await world.link()).counts.linked == PEOPLE
    assert world.is_right()


async def test_lanes_that_need_more_time_at_once_take_the_shard_once() -> None:
    world = world_of_people()
    world.dataverse.hooks.append(
        lambda asked: world.clock.pass_s(ATTEMPT_S * 0.6) if asked.kind == "profiles" else None
    )
    outcome = await world.link(batch=BATCH, width=4, lanes=4)
    assert outcome.counts.linked == PEOPLE
    assert world.is_right()


async def lost_shard(world: World, gate: Gate) -> asyncio.Task[ShardOutcome]:
    """Freeze both lanes of an attempt with a write in hand, and let a later attempt link the shard otherwise."""
    late = asyncio.create_task(world.link("run1", batch=BATCH, width=2, lanes=2))
    await gate.reached.wait()
    world.clock.pass_s(ATTEMPT_S + 1)
    for number in range(1, PEOPLE + 1):
        world.dataverse.map(contact_id(number), f"c{PEOPLE}")
    await world.link("run2", deps=world.host())
    return late


async def test_a_shard_that_was_lost_marks_the_rows_of_all_its_lanes() -> None:
    world = world_of_people()
    gate = stalls_before(world, "update", times=2)
    late = await lost_shard(world, gate)
    gate.open.set()
    assert (await late).later_s > 0
    assert not world.is_right()  # what came late
    assert (await world.link("run3", deps=world.host())).counts.linked == 2 * BATCH
    assert world.is_right()


async def test_a_lost_shard_marks_what_one_lane_wrote_late_although_the_other_failed_otherwise() -> None:
    world = world_of_people()
    gate = stalls_before(world, "update", times=2)
    late = await lost_shard(world, gate)
    answers = [Refusal(429, "0x80072322", "Too many", retry_after="60")]

    def throttle(asked: Any) -> None:
        if asked.kind == "update" and answers:
            raise answers.pop()

    world.dataverse.hooks.append(throttle)
    gate.open.set()
    assert (await late).later_s == 60
    assert not world.is_right()
    assert (await world.link("run3", deps=world.host())).counts.linked == BATCH
    assert world.is_right()
