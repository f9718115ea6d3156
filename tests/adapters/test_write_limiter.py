"""The limiter before Dataverse: lanes are used and never exceeded, pauses are kept, answers reach the pace."""

import asyncio

import pytest

from linker.adapters.write_limiter import SHORT_WAIT_S, Limiter
from linker.core.errors import ThrottledError, UnknownOutcomeError
from linker.core.throttling.pace import Pace
from tests.fakes.world import Clock


def limiter(width: int, clock: Clock | None = None) -> Limiter:
    clock = clock or Clock()
    made = Limiter(clock, 0, "one", clock.sleep)
    made.adopt(Pace(width, hint=width, at_s=clock()))
    return made


@pytest.mark.parametrize("width", [1, 3, 8])
@pytest.mark.parametrize("writes", [1, 10])
async def test_the_lanes_are_used_and_never_exceeded(width: int, writes: int) -> None:
    gate, under_way, most = limiter(width), 0, 0

    async def write() -> None:
        nonlocal under_way, most
        async with gate.lane(10):
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*(write() for _ in range(writes)))
    assert most == min(width, writes)


async def test_a_lane_is_free_again_after_a_failure() -> None:
    gate = limiter(1)
    with pytest.raises(ValueError, match="refused"):
        async with gate.lane(10):
            raise ValueError("refused")
    async with asyncio.timeout(60), gate.lane(10):
        pass


async def test_a_write_that_gives_up_waiting_takes_no_lane() -> None:
    gate = limiter(1)
    async with gate.lane(10):
        waiting = asyncio.create_task(gate.lane(10).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
    async with asyncio.timeout(60), gate.lane(10):
        pass


async def test_a_short_pause_is_waited_for_by_reads_and_writes() -> None:
    clock = Clock()
    gate, began = limiter(4, clock), clock()
    gate.refused(SHORT_WAIT_S, "time")
    await gate.admit()
    assert clock() >= began + SHORT_WAIT_S
    gate.refused(SHORT_WAIT_S, "time")
    async with gate.lane(10):
        assert clock() >= began + 2 * SHORT_WAIT_S


async def test_a_long_pause_is_handed_to_the_orchestrator_and_nothing_is_sent() -> None:
    gate = limiter(4)
    gate.refused(60.0, "time")
    for waits in (gate.admit, gate.lane(10).__aenter__):
        with pytest.raises(ThrottledError) as raised:
            await waits()
        assert raised.value.wait_s == 60.0


async def test_a_write_without_an_answer_narrows_the_width_and_shortens_the_next_writes() -> None:
    clock = Clock()
    gate = limiter(6, clock)
    clock.pass_s(60)
    before = gate.report()
    with pytest.raises(UnknownOutcomeError):
        async with gate.lane(10):
            clock.pass_s(150)
            raise UnknownOutcomeError("no answer")
    assert gate.report().width < before.width
    assert (await gate.enter(gate.turn())).batch < before.batch


async def test_writes_that_wait_begin_as_soon_as_a_hint_widens() -> None:
    gate = limiter(1)
    gate.answered(0.1, 1, hint=1)
    async with gate.lane(10):
        gate.answered(0.1, 1, hint=2)
        async with asyncio.timeout(60), gate.lane(10):
            pass


async def test_waiting_writes_begin_in_the_order_of_their_shards() -> None:
    gate, began = limiter(1), list[str]()
    first, second = gate.turn(), gate.turn()

    async def write(name: str, turn: int) -> None:
        lane = await gate.enter(turn)
        async with lane.writing(10):
            began.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(
        *(write(f"second {n}", second) for n in range(2)), *(write(f"first {n}", first) for n in range(2))
    )
    assert began == ["second 0", "first 0", "first 1", "second 1"]  # the first one found room


async def test_a_long_pause_refuses_the_writes_that_wait() -> None:
    gate = limiter(1)
    async with gate.lane(10):
        waiting = asyncio.create_task(gate.enter(gate.turn()))
        await asyncio.sleep(0)
        gate.refused(60.0, "time")
    with pytest.raises(ThrottledError):
        await waiting


async def test_a_lane_that_is_not_used_leaves_its_room_and_no_sample() -> None:
    gate = limiter(1)
    (await gate.enter(gate.turn())).leave()
    assert gate.control.row_s == 0
    async with asyncio.timeout(60), gate.lane(10):
        pass
