"""Streams of a scan: together they give each row once, or there is one for each data source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from linker.core.linking.mapping_scan import STREAM_ROWS, KeySpan, ScanChoice, TableState
from linker.core.linking.shards import Shard
from linker.core.model import Source
from linker.durable.staged import Opening, open_scan
from tests.fakes.requests import Refusal, Request
from tests.fakes.scans import (
    PEOPLE,
    claimed,
    found_in,
    opened,
    planned,
    read_all,
    stream_of,
    world_of_people,
)
from tests.fakes.world import (
    CRM,
    World,
    contact_id,
    key_of,
)


@pytest.fixture
async def world() -> World:
    return await world_of_people()


# ---- streams by ranges ----


def mapped_by_digits(world: World, number: int = 160) -> None:
    """Add contacts whose keys begin with all digits, some named in capitals and in braces, and a row without a key."""
    for n in range(1, number + 1):
        key = f"{n * 0x0198_7654 % 0xFFFF_FFFF:08x}-0000-4000-8000-{n:012x}"
        spelled = {0: key, 1: key.upper(), 2: key}[n % 3]
        world.dataverse.add_mapping(spelled, "c1")
    world.dataverse.add_mapping(None, "c1")


LARGE = TableState(rows=4 * STREAM_ROWS)


async def test_a_large_source_is_read_in_streams_that_give_each_row_once(world: World) -> None:
    mapped_by_digits(world)
    world.dataverse.page_size = 50
    scan = await opened(world, state=LARGE, ranges=True)
    assert scan.streams == 4
    await read_all(world, scan)
    streams = [await stream_of(world, scan, number) for number in range(4)]
    assert sum(stream.read for stream in streams) == len(world.dataverse.mapping)
    assert all(stream.read for stream in streams)
    _, scan = await planned(world, scan)
    counted = await claimed(world, scan)
    assert set(counted.values()) == {1}
    assert len(counted) == PEOPLE + 160
    assert len((await found_in(world, scan, Shard(0, 0))).invalid) == 1


def ignores_ranges(asked: Request) -> None:
    asked.options["$filter"] = asked.options["$filter"].split(" and msdynci_alternatevalue ge")[0]
    asked.options["$filter"] = asked.options["$filter"].split(" and (msdynci_alternatevalue lt")[0]


def loses_the_end(asked: Request) -> None:
    if " ge '" in asked.options.get("$filter", ""):
        asked.options["$filter"] += " and msdynci_alternatevalue lt '9'"


def refuses_ranges(asked: Request) -> None:
    if " ge '" in asked.options.get("$filter", "") or " lt '" in asked.options.get("$filter", ""):
        raise Refusal(400, "0x80048d0b", "Comparison is not supported.")


@pytest.mark.parametrize("server", [ignores_ranges, loses_the_end, refuses_ranges])
async def test_a_server_that_does_not_keep_ranges_gets_one_stream_for_each_source(
    world: World, server: Callable[[Request], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped_by_digits(world)
    world.dataverse.page_size = 500
    meets_each_part(world, server)
    scan = await opened(world, state=LARGE, ranges=True)
    assert scan.streams == 1
    assert (await stream_of(world, scan)).span == KeySpan()
    await read_all(world, scan)
    assert set((await claimed(world, (await planned(world, scan))[1])).values()) == {1}


def meets_each_part(world: World, server: Callable[[Request], None]) -> None:
    """Let a server meet each request about the mapping, those in a batch too."""
    route = world.dataverse._route

    def routed(asked: Request) -> Any:
        if asked.path == "msdynci_alternatekeys":
            server(asked)
        return route(asked)

    world.dataverse._route = routed  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("state", "ranges", "since", "streams"),
    [
        pytest.param(LARGE, True, None, 4, id="large"),
        pytest.param(LARGE, False, None, 1, id="ranges are not proved"),
        pytest.param(LARGE, True, 5.0, 1, id="changed rows are few"),
        pytest.param(replace(LARGE, rows=STREAM_ROWS), True, None, 1, id="small"),
    ],
)
async def test_streams_are_divided_only_where_it_is_worth_it(
    world: World, state: TableState, ranges: bool, since: float | None, streams: int
) -> None:
    mapped_by_digits(world)
    assert (await opened(world, state=state, ranges=ranges, since=since)).streams == streams


async def test_each_data_source_has_a_stream_of_its_own(world: World) -> None:
    erp = Source("erp", "contact")
    world.dataverse.map(contact_id(1), "c2", source="erp")
    target = replace(await world.deps.target("run1", "contact"), sources=(erp, CRM))
    opening = Opening("run1", target, ScanChoice(None, "for a test"), TableState(), 0.0, 0.0)
    scan = await open_scan(world.deps, world.deps.dataverse(), opening)
    assert scan.sources == (CRM, erp)
    await read_all(world, scan)
    assert [(await stream_of(world, scan, n)).read for n in (0, 1)] == [PEOPLE, 1]
    _, scan = await planned(world, scan)
    found = await found_in(world, scan, Shard(0, 0))
    assert (found.claims[key_of(1)].stored, found.conflicts) == ("c1", frozenset({key_of(1)}))
