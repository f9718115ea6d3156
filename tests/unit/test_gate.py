"""The gate before Dataverse's writes."""

import asyncio
from collections.abc import Sequence

import pytest

from linker.gate import Gate


async def most_at_once(widths: Sequence[int]) -> int:
    gate, under_way, most = Gate(), 0, 0

    async def write(width: int) -> None:
        nonlocal under_way, most
        async with gate.lane(width):
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1

    await asyncio.gather(*map(write, widths))
    return most


@pytest.mark.parametrize(
    ("widths", "most"),
    [
        pytest.param([3] * 10, 3, id="as many as the width"),
        pytest.param([4, 1, 4, 1, 4], 3, id="a narrow one waits for its turn and is not forgotten"),
        pytest.param([8] * 2, 2, id="fewer than the width"),
    ],
)
async def test_the_lanes_are_used_and_never_exceeded(widths: list[int], most: int) -> None:
    assert await most_at_once(widths) == most


async def test_a_lane_is_free_again_after_a_failure() -> None:
    gate = Gate()
    with pytest.raises(ValueError, match="refused"):
        async with gate.lane(1):
            raise ValueError("refused")
    async with asyncio.timeout(1), gate.lane(1):
        pass


async def test_who_gives_up_waiting_takes_no_lane() -> None:
    gate = Gate()
    async with gate.lane(1):
        waiting = asyncio.create_task(gate.lane(1).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
    async with asyncio.timeout(1), gate.lane(1):
        pass
