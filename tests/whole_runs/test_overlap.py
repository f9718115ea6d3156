"""Shards in flight overlap: while some read and save, the others fill the width. Time is virtual, so no processor matters."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, override

from linker.core.throttling.pace import Pace, shards_in_flight
from tests.fakes.environment import SourceRow
from tests.fakes.world import START, Clock, World, contact_id

WIDTH, BITS, ROWS = 48, 4, 9_600
ROW_S, READ_S, STORE_S = 0.04, 0.5, 0.02  # a write of 50 rows takes two seconds
LEAST_S = ROWS * ROW_S / WIDTH


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer as soon as nothing else is left to do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    @override
    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        if timers and not self._ready:  # type: ignore[attr-defined]
            self.now = max(self.now, min(timers))
        super()._run_once()  # type: ignore[misc]


class LoopClock(Clock):
    """The time of the running loop, as epoch seconds."""

    @override
    def __call__(self) -> float:
        return START + asyncio.get_running_loop().time()

    @override
    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def seconds_of[T](work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


async def linked_in(lanes: int) -> float:
    """Return how long it takes to link all shards, with as many in flight as the orchestrator starts."""
    world = World()
    world.clock = LoopClock()
    world.deps = world.host()
    for number in range(1, ROWS + 1):
        key = contact_id(number)
        world.contacts.rows[key] = SourceRow()
        world.dataverse.add_mapping(key, f"c{number}")
        world.dataverse.profile(f"c{number}")

    async def takes(asked: Any) -> None:
        rows = len(asked.body["Targets"]) if asked.kind == "update" else 0
        await asyncio.sleep(rows * ROW_S or READ_S)

    await world.prepare(bits=BITS)
    scan = await world.scan()
    world.dataverse.hooks.append(takes)
    world.store.hooks.append(lambda *_: asyncio.sleep(STORE_S))
    searching = world.deps.connection.limiter.control
    world.deps.connection.limiter.control = replace(searching, trial=replace(searching.trial, next_s=START * 2))
    room = asyncio.Semaphore(shards_in_flight(Pace(WIDTH, hint=WIDTH)))

    async def link(number: int) -> None:
        async with room:
            await world.link(scan=scan, number=number, batch=50, width=WIDTH, lanes=lanes)

    began = world.clock()
    await asyncio.gather(*(link(number) for number in range(1 << BITS)))
    assert world.is_right()
    return world.clock() - began


def test_reads_and_saves_of_shards_overlap_with_the_writes_of_others() -> None:
    """Where each shard in flight has an equal part of the width, all of them write, and then all of them read: 2.2 times."""
    assert seconds_of(linked_in(WIDTH)) < 1.6 * LEAST_S
