"""Cursors of a scan: one that is refused, comes twice, or fails for a while loses no row and repeats none."""

from __future__ import annotations

import pytest

from linker.core.runs.activity_values import SliceOutcome
from linker.durable.activities.scan_mapping import MAX_RESTARTS
from tests.fakes.requests import Refusal, Request
from tests.fakes.scans import (
    PAGE,
    PEOPLE,
    all_rows,
    claimed,
    opened,
    planned,
    read_all,
    slice_of,
    slow,
    stream_of,
    world_of_people,
)
from tests.fakes.world import World


@pytest.fixture
async def world() -> World:
    return await world_of_people()


def refuses_cursors(world: World, status: int, times: int) -> None:
    left = [None] * times

    def hook(asked: Request) -> None:
        if asked.kind == "mapping" and "$skiptoken" in asked.options and left:
            left.pop()
            raise Refusal(status, "0x80060888", "The paging cookie is malformed.")

    world.dataverse.hooks.append(hook)


@pytest.mark.parametrize("status", [400, 404, 410])
async def test_a_stream_whose_cursor_is_refused_begins_again_and_gives_each_row_once(world: World, status: int) -> None:
    slow(world)
    scan = await opened(world)
    await slice_of(world, scan)
    await slice_of(world, scan)
    refuses_cursors(world, status, 1)
    assert await slice_of(world, scan) == SliceOutcome()
    again = await stream_of(world, scan)
    assert (again.read, again.slices, again.cursor, again.restarts) == (0, (), "", 1)
    await read_all(world, scan)
    assert (await stream_of(world, scan)).read == PEOPLE
    assert await claimed(world, (await planned(world, scan))[1]) == all_rows()


async def test_a_stream_whose_cursor_is_refused_each_time_fails_in_the_end(world: World) -> None:
    slow(world)
    scan = await opened(world)
    refuses_cursors(world, 400, 100)
    outcomes = [await slice_of(world, scan)]
    while not outcomes[-1].failed:
        outcomes.append(await slice_of(world, scan))
    assert "paging cookie" in outcomes[-1].failed
    assert len(outcomes) == 2 * (MAX_RESTARTS + 1)


@pytest.mark.parametrize("kept", [1, 3])
async def test_a_link_to_the_next_rows_that_comes_twice_is_not_followed_for_ever(world: World, kept: int) -> None:
    scan = await opened(world)
    turn = [0]

    def rewind(asked: Request) -> None:
        if asked.kind == "mapping" and int(asked.options.get("$skiptoken", 0)) >= kept * PAGE:
            turn[0] += 1
            asked.options["$skiptoken"] = "0"

    world.dataverse.hooks.append(rewind)
    outcome = await slice_of(world, scan)
    assert "twice" in outcome.later_reason
    assert turn[0] < 5


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Refusal(429, "429", "Too many", retry_after="60"), id="busy table"),
        pytest.param(Refusal(503, "", "Unavailable"), id="unavailable"),
    ],
)
@pytest.mark.parametrize("every", [2, 3])
async def test_a_server_that_refuses_every_so_many_pages_is_read_to_the_end(
    world: World, fault: Refusal, every: int
) -> None:
    """A slice keeps what it read before the refusal. One that began again each time would never pass it."""
    scan, asked = await opened(world), [0]

    def hook(of: Request) -> None:
        if of.kind == "mapping":
            asked[0] += 1
            if asked[0] % every == 0:
                raise fault

    world.dataverse.hooks.append(hook)
    outcomes = [await slice_of(world, scan)]
    while not outcomes[-1].done:
        assert len(outcomes) < 2 * PEOPLE // PAGE
        outcomes.append(await slice_of(world, scan))
    world.dataverse.hooks.clear()
    assert sum(outcome.rows for outcome in outcomes) == PEOPLE
    assert await claimed(world, (await planned(world, scan))[1]) == all_rows()


@pytest.mark.parametrize(
    ("fault", "throttled"),
    [
        (Refusal(429, "0x80072322", "Too many", retry_after="37"), True),
        (Refusal(503, "", "Unavailable"), False),
    ],
    ids=["throttled", "unavailable"],
)
async def test_a_passing_fault_is_a_reason_to_come_later_from_the_same_place(
    world: World, fault: Refusal, throttled: bool
) -> None:
    slow(world)
    scan = await opened(world)
    await slice_of(world, scan)
    before, faults = await stream_of(world, scan), [fault]

    def hook(asked: Request) -> None:
        if asked.kind == "mapping" and faults:
            raise faults.pop()

    world.dataverse.hooks.append(hook)
    outcome = await slice_of(world, scan)
    assert (outcome.later_s > 0, outcome.throttled, outcome.failed) == (True, throttled, "")
    assert not throttled or outcome.later_s >= 37
    assert await stream_of(world, scan) == before
