"""A scan names its shards once, for the rows that it read; the next scan replaces it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from linker.adapters.storage import Stream
from linker.adapters.storage.staging import STAGING, Slice
from linker.core.errors import ChangedError, ConfigurationError, StateError, TransientError
from linker.core.linking.mapping_scan import ScanChoice, TableState
from linker.core.linking.segments import SliceSegments
from linker.core.linking.shards import MAX_BITS, SHARD_ROWS, Shard, shard_of
from linker.core.ports import Properties
from linker.core.runs.activity_values import ShardsTask
from linker.durable.activities.scan_mapping import plan_shards
from linker.durable.staged import Opening, open_scan
from tests.fakes.moments import Gate
from tests.fakes.scans import (
    PEOPLE,
    all_rows,
    claimed,
    found_in,
    opened,
    planned,
    read_all,
    save_header,
    slice_of,
    slow,
    stream_of,
    world_of_people,
)
from tests.fakes.world import CRM, World, key_of


@pytest.fixture
async def world() -> World:
    return await world_of_people()


# ---- one scan after the other ----


async def test_a_new_scan_removes_what_the_last_one_staged(world: World) -> None:
    first = await opened(world)
    await read_all(world, first)
    second = await opened(world)
    assert (await slice_of(world, first)).failed.startswith("A later run scans")
    with pytest.raises(StateError):
        await world.deps.staging.stream("contact", first, 0)
    assert not [key for key in world.store.entities if key[0] == STAGING]
    await read_all(world, second)
    assert await claimed(world, (await planned(world, second))[1]) == all_rows()


async def test_of_two_runs_that_open_a_scan_at_the_same_time_one_has_it(world: World) -> None:
    await opened(world)
    held = Gate()

    def stall(operation: str, partition: str, row: str) -> Any:
        if operation == "replace" and row.startswith("stream-"):
            world.store.hooks.remove(stall)
            return held()
        return None

    world.store.hooks.append(stall)
    late = asyncio.create_task(opened(world))
    await held.reached.wait()
    mine = await opened(world)
    held.open.set()
    with pytest.raises(ChangedError):
        await late
    assert await world.deps.staging.scan("contact") == mine
    await read_all(world, mine)
    assert await claimed(world, (await planned(world, mine))[1]) == all_rows()


# ---- naming the shards ----


async def test_shards_are_not_named_before_every_stream_is_read(world: World) -> None:
    slow(world)
    scan = await opened(world)
    await slice_of(world, scan)
    with pytest.raises(TransientError, match="not read whole"):
        await planned(world, scan)


async def test_shards_of_a_scan_that_a_later_run_replaced_are_not_named(world: World) -> None:
    first = await opened(world)
    await read_all(world, first)
    second = await opened(world)
    with pytest.raises(ConfigurationError, match="later run"):
        await planned(world, first)
    assert await world.deps.staging.scan("contact") == second


async def test_a_late_delivery_names_the_same_shards_and_touches_no_later_scan(world: World) -> None:
    for row in world.dataverse.mapping[1:]:
        row["modifiedon"] = "2026-11-20T00:00:00Z"
    world.dataverse.mapping[0]["modifiedon"] = "2026-11-24T00:00:00Z"
    scan = await opened(world, since=1_795_392_000.0)  # 2026-11-23
    await world.deps.change_state("contact", lambda old: replace(old, bits=4))
    await read_all(world, scan)
    first, named = await planned(world, scan)
    (touched,) = named.shards
    other = (touched + 1) % 16
    await save_header(world, Shard(4, other), unconfirmed=1)
    assert await planned(world, scan) == (first, named)
    assert named.shard(0) == Shard(4, touched)
    later = await opened(world)
    with pytest.raises(ConfigurationError):
        await planned(world, scan)
    assert await world.deps.staging.scan("contact") == later


async def test_of_two_deliveries_that_name_shards_at_the_same_time_one_counts(world: World) -> None:
    scan = await opened(world)
    await read_all(world, scan)
    held = Gate()

    def stall(operation: str, partition: str, row: str) -> Any:
        if operation == "replace" and row == "scan-contact":
            world.store.hooks.remove(stall)
            return held()
        return None

    world.store.hooks.append(stall)
    late = asyncio.create_task(planned(world, scan, world.host()))
    await held.reached.wait()
    await planned(world, scan)
    held.open.set()
    with pytest.raises(TransientError, match="Another attempt"):
        await late
    assert (await planned(world, scan))[0].count == 1


async def test_a_process_that_read_slices_links_the_shards_that_another_one_named(world: World) -> None:
    """What it remembers of the scan is from before its shards were named."""
    await world.deps.change_state("contact", lambda old: replace(old, bits=2))
    reader, planner = world.host(), world.host()
    scan = await opened(world)
    while not (await slice_of(world, scan, deps=reader)).done:
        pass
    shards, named = await planned(world, scan, planner)
    outcomes = [await world.link(scan=named, deps=reader, number=number) for number in range(shards.count)]
    assert [outcome.failed for outcome in outcomes] == [""] * 4
    assert sum(outcome.counts.linked for outcome in outcomes) == PEOPLE
    assert all(0 < outcome.counts.linked < PEOPLE for outcome in outcomes)
    assert world.is_right()


async def test_a_table_that_grew_gets_smaller_shards_and_a_dry_run_remembers_nothing(world: World) -> None:
    scan = await opened(world)
    await read_all(world, scan)
    stream, etag = await world.deps.staging.stream("contact", scan, 0)
    many = replace(stream, read=3 * SHARD_ROWS)
    await world.deps.staging.commit("contact", scan, 0, many, etag)
    dry = await plan_shards(world.deps, ShardsTask("run1", "contact", scan.id, dry_run=True))
    assert dry.count == 4
    assert (await world.deps.states.load("contact"))[0].bits == 0  # type: ignore[index]
    scan = await opened(world)
    await read_all(world, scan)
    stream, etag = await world.deps.staging.stream("contact", scan, 0)
    await world.deps.staging.commit("contact", scan, 0, replace(stream, read=3 * SHARD_ROWS), etag)
    shards, named = await planned(world, scan)
    state = (await world.deps.states.load("contact"))[0]  # type: ignore[index]
    assert (shards.count, state.bits, state.earlier_bits, named.earlier_bits) == (4, 2, (0,), (0,))
    assert await claimed(world, named) == all_rows()


# ---- changed rows ----


async def test_a_delta_scan_reads_changed_rows_alone_and_names_their_shards(world: World) -> None:
    await world.deps.change_state("contact", lambda old: replace(old, bits=4))
    for row in world.dataverse.mapping:
        row["modifiedon"] = "2026-11-20T00:00:00Z"
    for number in (3, 4):
        world.dataverse.mapping[number - 1]["modifiedon"] = "2026-11-24T00:00:00Z"
    scan = await opened(world, since=1_795_392_000.0)  # 2026-11-23
    await read_all(world, scan)
    assert (await stream_of(world, scan)).read == 2
    shards, scan = await planned(world, scan)
    assert scan.shards == tuple(sorted({shard_of(key_of(number), 4).number for number in (3, 4)}))
    assert shards.count == len(scan.shards)


async def test_a_delta_scan_names_shards_with_open_rows_too(world: World) -> None:
    await world.deps.change_state("contact", lambda old: replace(old, bits=4))
    for row in world.dataverse.mapping:
        row["modifiedon"] = "2026-11-20T00:00:00Z"
    await save_header(world, Shard(4, 9), unconfirmed=2)
    await save_header(world, Shard(4, 10), unconfirmed=0)
    await save_header(world, Shard(3, 7), unconfirmed=2)  # of another size: it is not a shard of this table now
    target = await world.deps.target("run1", "contact")
    opening = Opening("run1", target, ScanChoice(1_795_392_000.0, "x"), TableState(), 0.0, 0.0, [key_of(5).hex()])
    scan = await open_scan(world.deps, world.deps.dataverse(), opening)
    await read_all(world, scan)
    _, scan = await planned(world, scan)
    assert set(scan.shards) == {9, shard_of(key_of(5), 4).number}


@pytest.mark.parametrize("bits", [0, 1, 5, MAX_BITS])
@pytest.mark.parametrize("bucket_bits", [0, 3, 6, MAX_BITS])
async def test_each_shard_finds_the_rows_that_a_slice_sorted_into_buckets_of_any_size(
    world: World, bits: int, bucket_bits: int
) -> None:
    await world.deps.change_state("contact", lambda old: replace(old, bits=bucket_bits))
    scan = await opened(world)
    await read_all(world, scan)
    scan = replace(scan, bits=bits, planned=True)
    streams = await world.deps.staging.streams("contact", scan)
    assert {one.bits for stream in streams for one in stream.slices} == {bucket_bits}
    shards = {shard_of(key, bits) for key in all_rows()} | {Shard(bits, 0), Shard(bits, (1 << bits) - 1)}
    found = [await found_in(world, scan, shard) for shard in shards]
    assert Counter(key for one in found for key in one.claims) == all_rows()


class OneBucket(SliceSegments):
    """A slice with one bucket, whatever its key."""

    def __init__(self, bits: int, bucket: int) -> None:
        super().__init__(bits)
        self.bucket = bucket

    def __iter__(self) -> Iterator[tuple[int, int, Properties]]:
        return iter([(self.bucket, 0, {"i00": bytes(24)})])


@pytest.mark.parametrize("bits", [1, 4, 12, MAX_BITS])
@pytest.mark.parametrize("last", [True, False])
async def test_the_first_and_the_last_bucket_of_every_size_are_found(world: World, bits: int, last: bool) -> None:
    scan, number = await opened(world), (1 << bits) - 1 if last else 0
    await world.deps.staging.write("contact", scan, 0, 0, "a", OneBucket(bits, number))
    streams = [Stream(CRM, slices=(Slice("a", bits),))]
    for shard in (Shard(bits, number), Shard(bits - 1, number >> 1), Shard(0, 0)):
        assert len([one async for one in world.deps.staging.segments("contact", scan, streams, shard)]) == 1
    neighbor = Shard(bits, number - 1 if last else number + 1)
    assert not [one async for one in world.deps.staging.segments("contact", scan, streams, neighbor)]
    assert [one async for one in world.deps.staging.buckets("contact", scan, [replace(streams[0], read=1)])] == [
        (number, bits)
    ]
