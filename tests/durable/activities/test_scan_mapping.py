"""Slices of a scan: each counts only when it was committed, and continues where the last one ended."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from linker.adapters.storage.staging import STAGING, Slice
from linker.core.errors import TransientError
from linker.core.linking import shards
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import Shard, shard_of
from linker.core.runs.activity_values import SliceOutcome
from linker.durable.activities import scan_mapping
from tests.fakes.moments import Gate, dies_after, stalls_before
from tests.fakes.scans import (
    PAGE,
    PEOPLE,
    all_rows,
    claimed,
    found_in,
    opened,
    planned,
    read_all,
    slice_of,
    slow,
    stream_of,
    world_of_people,
)
from tests.fakes.world import DiedError, World, contact_id, key_of


@pytest.fixture
async def world() -> World:
    return await world_of_people()


# ---- slices ----


async def test_a_scan_reads_every_row_and_every_shard_finds_its_own(world: World) -> None:
    scan = await opened(world, state=TableState(bits=3))
    await world.deps.change_state("contact", lambda old: replace(old, bits=3))
    await read_all(world, scan)
    shards, scan = await planned(world, scan)
    assert (shards.count, scan.bits, scan.planned) == (8, 3, True)
    assert await claimed(world, scan) == all_rows()
    for position in range(8):
        found = await found_in(world, scan, scan.shard(position))
        assert all(shard_of(key, 3) == scan.shard(position) for key in found.claims)


async def test_a_first_scan_sorts_rows_by_the_shards_to_come_so_that_each_reads_its_own_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "SHARD_ROWS", 5)
    scan = await opened(world)
    await read_all(world, scan)
    named, scan = await planned(world, scan)
    assert named.count == 8
    for position in range(8):
        shard = scan.shard(position)
        found = world.deps.staging.segments(
            "contact", scan, await world.deps.staging.planned_streams("contact", scan), shard
        )
        rows = [row async for segment in found for row, _ in segment.rows()]
        assert rows
        assert all(row.key and shard.holds(row.key) for row in rows)


async def test_a_slice_ends_when_its_time_is_up_and_the_next_one_continues_at_its_cursor(world: World) -> None:
    slow(world)
    scan, outcomes = await opened(world), list[SliceOutcome]()
    while not outcomes or not outcomes[-1].done:
        outcomes.append(await slice_of(world, scan))
    assert [outcome.rows for outcome in outcomes] == [PAGE] * 5 + [PEOPLE - 5 * PAGE]
    stream = await stream_of(world, scan)
    assert (stream.read, len(stream.slices), stream.done, stream.cursor) == (PEOPLE, 6, True, "")
    assert await claimed(world, (await planned(world, scan))[1]) == all_rows()


async def test_a_slice_ends_when_it_has_rows_enough(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_mapping, "SLICE_ROWS", 2 * PAGE)
    scan = await opened(world)
    assert (await slice_of(world, scan)).rows == 2 * PAGE


async def test_a_stream_that_is_read_is_not_read_again(world: World) -> None:
    scan = await opened(world)
    await read_all(world, scan)
    asked = world.dataverse.asked["mapping"]
    assert await slice_of(world, scan) == SliceOutcome(done=True)
    assert world.dataverse.asked["mapping"] == asked


async def test_progress_is_shown_and_a_run_that_is_over_keeps_its_words(world: World) -> None:
    slow(world)
    scan = await opened(world)
    await slice_of(world, scan)
    shown = await world.deps.runs.load("run1")
    assert shown is not None
    assert shown.status_detail == f"Reading the mapping of contact: {PAGE} rows so far."
    await world.deps.runs.advance("run1", lambda run: replace(run, ended_at="now", status_detail="over"))
    await slice_of(world, scan)
    assert (await world.deps.runs.load("run1")).status_detail == "over"  # type: ignore[union-attr]


# ---- attempts ----


async def test_what_an_attempt_staged_without_a_commit_does_not_count(world: World) -> None:
    slow(world)
    scan = await opened(world)

    def dies(operation: str, partition: str, row: str) -> None:
        if operation == "replace" and row.startswith("stream-"):
            world.store.hooks.remove(dies)
            raise DiedError

    world.store.hooks.append(dies)
    with pytest.raises(DiedError):
        await slice_of(world, scan)
    assert [key for key in world.store.entities if key[0] == STAGING]  # staged, and never committed
    world.dataverse.map(contact_id(1), "c2")  # the next attempt reads something else
    await read_all(world, scan)
    _, scan = await planned(world, scan)
    assert await claimed(world, scan) == all_rows()
    found = await found_in(world, scan, Shard(0, 0))
    assert (found.claims[key_of(1)].stored, found.conflicts) == ("c2", frozenset())


async def test_a_process_that_dies_while_it_reads_leaves_nothing_that_counts(world: World) -> None:
    slow(world)
    scan = await opened(world)
    await slice_of(world, scan)
    dies_after(world, "mapping")
    with pytest.raises(DiedError):
        await slice_of(world, scan)
    assert (await stream_of(world, scan)).read == PAGE
    await read_all(world, scan)
    assert await claimed(world, (await planned(world, scan))[1]) == all_rows()


@pytest.mark.parametrize("first", [0, 1], ids=["the first one", "the second one"])
async def test_of_two_deliveries_at_the_same_time_one_counts(world: World, first: int) -> None:
    slow(world)
    scan = await opened(world)
    gates = [Gate(), Gate()]
    left = list(gates)
    world.dataverse.hooks.append(lambda asked: left.pop(0)() if asked.kind == "mapping" and left else None)
    attempts = [asyncio.create_task(slice_of(world, scan, deps=world.host())) for _ in range(2)]
    for gate in gates:
        await gate.reached.wait()
    for number in (first, 1 - first):
        gates[number].open.set()
        await asyncio.wait(attempts, return_when=asyncio.FIRST_COMPLETED)
    outcomes = await asyncio.gather(*attempts)
    assert sorted(bool(outcome.later_s) for outcome in outcomes) == [False, True]
    assert (await stream_of(world, scan)).read == PAGE
    await read_all(world, scan)
    assert (await stream_of(world, scan)).read == PEOPLE
    assert await claimed(world, (await planned(world, scan))[1]) == all_rows()


async def test_a_delivery_that_comes_after_the_next_slice_changes_nothing(world: World) -> None:
    slow(world)
    scan = await opened(world)
    gate = stalls_before(world, "mapping")
    late = asyncio.create_task(slice_of(world, scan, deps=world.host()))
    await gate.reached.wait()
    await read_all(world, scan)
    _, scan = await planned(world, scan)
    before = await stream_of(world, scan)
    gate.open.set()
    assert (await late).later_reason == "Another attempt was faster."
    assert await stream_of(world, scan) == before
    assert await claimed(world, scan) == all_rows()


@pytest.mark.parametrize("answers", [1, 2], ids=["the answer", "the answer, and that of the repetition"])
async def test_a_commit_whose_answer_is_lost_counts(world: World, answers: int) -> None:
    slow(world)
    scan = await opened(world)
    lost = [None] * answers

    async def lose(operation: str, partition: str, row: str) -> None:
        if row.startswith("stream-") and lost:
            lost.pop()
            raise TransientError("The answer of storage was lost.")

    world.store.after.append(lose)
    outcomes = [await slice_of(world, scan) for _ in range(answers + 1)]
    assert not lost
    assert not any(outcome.failed for outcome in outcomes)
    await read_all(world, scan)
    stream = await stream_of(world, scan)
    assert (stream.read, len({one.attempt for one in stream.slices})) == (PEOPLE, len(stream.slices))
    assert await claimed(world, (await planned(world, scan))[1]) == all_rows()


async def test_its_own_commit_is_recognized_although_storage_says_that_it_changed(world: World) -> None:
    scan = await opened(world)
    stream, etag = await world.deps.staging.stream("contact", scan, 0)
    after = replace(stream, read=3, slices=(Slice("a", 0),))
    assert await world.deps.staging.commit("contact", scan, 0, after, etag)
    assert await world.deps.staging.commit("contact", scan, 0, after, etag)
    assert not await world.deps.staging.commit("contact", scan, 0, replace(after, slices=(Slice("b", 0),)), etag)
