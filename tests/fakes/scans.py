"""Steps of a scan over forty contacts, for the tests of scans."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from linker.adapters.storage import Scan, StoredBlock, Stream
from linker.core.linking.hash_blocks import Header
from linker.core.linking.mapping_scan import ScanChoice, TableState
from linker.core.linking.shards import Shard, Wanted
from linker.core.model import RowKey
from linker.core.runs.activity_values import Shards, ShardsTask, SliceOutcome, SliceTask
from linker.deps import Deps
from linker.durable.activities import scan_mapping
from linker.durable.activities.scan_mapping import plan_shards, scan_slice
from linker.durable.staged import Opening, StagedShard, open_scan
from tests.fakes.world import (
    World,
    key_of,
)

PEOPLE = 40
PAGE = 7


async def world_of_people() -> World:
    """Return forty contacts, of which Dataverse gives seven mapping rows in one response."""
    world = World()
    world.people(PEOPLE)
    world.dataverse.page_size = PAGE
    await world.prepare()
    return world


async def opened(
    world: World,
    *,
    since: float | None = None,
    state: TableState | None = None,
    ranges: bool = False,
    newest: float = 0.0,
) -> Scan:
    deps = world.deps
    target = await deps.target("run1", "contact")
    opening = Opening("run1", target, ScanChoice(since, "for a test"), state or TableState(), newest, ranges=ranges)
    return await open_scan(deps, deps.dataverse(), opening)


async def slice_of(world: World, scan: Scan, stream: int = 0, deps: Deps | None = None) -> SliceOutcome:
    return await scan_slice(deps or world.deps, SliceTask("run1", "contact", scan.id, stream))


async def read_all(world: World, scan: Scan) -> None:
    for stream in range(scan.streams):
        while not (outcome := await slice_of(world, scan, stream)).done:
            assert not outcome.failed, outcome.failed


async def planned(world: World, scan: Scan, deps: Deps | None = None) -> tuple[Shards, Scan]:
    shards = await plan_shards(deps or world.deps, ShardsTask("run1", "contact", scan.id))
    found = await world.deps.staging.scan("contact")
    assert found is not None
    return shards, found


async def found_in(world: World, scan: Scan, shard: Shard) -> Wanted:
    """Return what the committed segments of a shard say."""
    target = await world.deps.target("run1", "contact")
    salt, dataverse = await world.deps.salt(), world.deps.dataverse()
    staged = StagedShard(world.deps, dataverse, target, scan, shard, salt, scan.full)
    return await staged.find_wanted((await world.deps.blocks.load("contact", shard.name)).block)


async def claimed(world: World, scan: Scan) -> Counter[RowKey]:
    """Return how often each row is named by the shards of a planned scan."""
    shards = [scan.shard(position) for position in range(scan.count)]
    wanted = [await found_in(world, scan, shard) for shard in shards]
    return Counter(key for one in wanted for key in one.claims)


def all_rows(number: int = PEOPLE) -> dict[RowKey, int]:
    return {key_of(n): 1 for n in range(1, number + 1)}


def slow(world: World) -> None:
    """Let each response of the mapping use up the time of a slice."""
    world.dataverse.after.append(
        lambda asked: world.clock.pass_s(scan_mapping.SLICE_S) if asked.kind == "mapping" else None
    )


async def stream_of(world: World, scan: Scan, number: int = 0) -> Stream:
    return (await world.deps.staging.stream("contact", scan, number))[0]


async def save_header(world: World, shard: Shard, **values: Any) -> None:
    stored = await world.deps.blocks.load("contact", shard.name)
    header = replace(Header(known=True), **values)
    await world.deps.blocks.take("contact", shard.name, StoredBlock(replace(stored.block, header=header), stored.etag))
