"""Scans: a slice counts only when it was committed, streams give each row once, shards are named once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from linker.activities import scanning
from linker.activities.scanning import MAX_RESTARTS, Opening, open_scan, plan_shards, scan_slice
from linker.activities.staged import StagedShard
from linker.activities.values import Shards, ShardsTask, SliceOutcome, SliceTask
from linker.core.blocks import Header
from linker.core.claims import Wanted
from linker.core.scanning import STREAM_ROWS, KeySpan, ScanChoice, TableState
from linker.core.segments import SliceSegments
from linker.core.shards import MAX_BITS, SHARD_ROWS, Shard, shard_of
from linker.deps import Deps
from linker.errors import ChangedError, ConfigurationError, StateError, TransientError
from linker.model import RowKey, Source
from linker.ports import Properties
from linker.state import Scan, StoredBlock, Stream
from linker.state.staging import STAGING, Slice
from tests.fakes.dataverse import Refusal, Request
from tests.fakes.world import (
    CRM,
    DiedError,
    Gate,
    World,
    contact_id,
    dies_after,
    key_of,
    stalls_before,
)

PEOPLE = 40
PAGE = 7


@pytest.fixture
async def world() -> World:
    """Forty contacts, of which Dataverse gives seven mapping rows in one response."""
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
    staged = StagedShard(world.deps, world.deps.dataverse(), target, scan, shard, await world.deps.salt())
    return await staged.wanted((await world.deps.blocks.load("contact", shard.name)).block)


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
        lambda asked: world.clock.pass_s(scanning.SLICE_S) if asked.kind == "mapping" else None
    )


async def stream_of(world: World, scan: Scan, number: int = 0) -> Stream:
    return (await world.deps.staging.stream("contact", scan, number))[0]


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
    monkeypatch.setattr(scanning, "SLICE_ROWS", 2 * PAGE)
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
        await asyncio.sleep(0.01)
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


# ---- cursors ----


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
    scan = await opened(world, since=0.0)
    await world.deps.change_state("contact", lambda old: replace(old, bits=4))
    await read_all(world, scan)
    first, named = await planned(world, scan)
    touched = named.shards[0]
    other = next(number for number in range(16) if number not in named.shards[:1])
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


async def save_header(world: World, shard: Shard, **values: Any) -> None:
    stored = await world.deps.blocks.load("contact", shard.name)
    header = replace(Header(known=True), **values)
    await world.deps.blocks.take("contact", shard.name, StoredBlock(replace(stored.block, header=header), stored.etag))


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
    await save_header(world, Shard(3, 7), unconfirmed=2)  # of another size: it is no shard of this table now
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
