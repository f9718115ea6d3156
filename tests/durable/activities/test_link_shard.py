"""Linking one shard: what it reads, what it writes, and what it remembers."""

import pytest

from linker.core.model import Counts, Mode
from tests.durable.activities.linked_shards import linked
from tests.fakes.requests import Request
from tests.fakes.world import (
    FIRST_SHARD,
    World,
    contact_id,
    entry_of,
    key_of,
)


@pytest.fixture
def world() -> World:
    return World()


async def test_the_first_run_links_every_row_and_remembers_it_as_confirmed(world: World) -> None:
    world.people(3)
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=3, linked=3)
    assert world.is_right()
    block = await world.block()
    assert block.entries == {key_of(n): (await entry_of(world, n, f"c{n}"),) for n in (1, 2, 3)}
    assert (block.header.run, block.header.attempt, block.header.unconfirmed) == ("run1", "", 0)


async def test_an_unchanged_shard_costs_one_header_read_and_no_request(world: World) -> None:
    await linked(world, 50)
    await world.prepare("run1")
    await world.deps.salt()
    scan = await world.scan("run1")
    assert world.dataverse.asked == {"mapping": 1}
    world.dataverse.asked.clear()
    world.store.reads.clear()
    world.store.writes.clear()
    outcome = await world.link("run1", scan=scan)
    assert outcome.counts == Counts(rows_read=50, unchanged=50)
    assert not world.dataverse.asked
    assert [read for read in world.store.reads if read[0] == "linkerhashes"] == [("linkerhashes", FIRST_SHARD, True)]
    assert [write for write in world.store.writes if write[1] != "linkerstatus"] == []


async def test_only_rows_that_changed_are_written(world: World) -> None:
    await linked(world, 5)
    world.dataverse.map(contact_id(2), "c5")
    world.contact(6, "c6")
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=6, linked=2, unchanged=4)
    assert world.dataverse.written == {"bulk": 2}
    assert world.is_right()


async def test_a_second_run_after_a_change_writes_nothing(world: World) -> None:
    await linked(world)
    world.dataverse.map(contact_id(1), "c2")
    await world.link("run1")
    world.dataverse.written.clear()
    assert (await world.link("run2")).counts == Counts(rows_read=3, unchanged=3)
    assert not world.dataverse.written


async def test_customer_ids_are_compared_regardless_of_case_and_outer_spaces(world: World) -> None:
    await linked(world)
    world.dataverse.map(contact_id(1), " C1 ")
    assert (await world.link()).counts == Counts(rows_read=3, unchanged=3)


async def test_keys_in_any_spelling_mean_the_same_row(world: World) -> None:
    key = contact_id(0xAB)
    world.contact(0xAB)
    world.dataverse.profile("c1")
    world.dataverse.map(f"{{{key.upper()}}}", "c1")
    assert (await world.link()).counts == Counts(rows_read=1, linked=1)
    assert world.links() == {key: "c1"}


async def test_a_link_that_is_right_already_is_adopted_without_a_write(world: World) -> None:
    world.people(2)
    world.dataverse.link_by_hand(contact_id(1), "c1")
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=2, linked=1, unchanged=1)
    assert world.dataverse.written == {"bulk": 1}


async def test_the_column_of_this_run_is_not_compared_because_no_link_can_be_there(world: World) -> None:
    world.people(3)
    await world.prepare("run1", created=True)
    outcome = await world.link("run1", mode=Mode.FULL, epoch="run1")
    assert outcome.counts == Counts(rows_read=3, linked=3)
    assert world.dataverse.asked["links"] == 1  # the read-back


# ---- dry runs ----


@pytest.mark.parametrize("mode", [Mode.INCREMENTAL, Mode.FULL])
async def test_a_dry_run_counts_as_a_real_one_and_writes_nothing_anywhere(world: World, mode: Mode) -> None:
    await linked(world, 5)
    world.dataverse.map(contact_id(1), "c2")
    world.dataverse.map(contact_id(2), "c9")
    world.dataverse.map(contact_id(3), None)
    await world.prepare("dry")
    await world.deps.salt()
    before = {key: entity.properties for key, entity in world.store.entities.items()}
    links = world.links()
    outcome = await world.link("dry", mode=mode, epoch="dry", dry_run=True)
    assert (outcome.counts, outcome.departed) == (Counts(rows_read=4, linked=1, unchanged=2, deferred=1), 1)
    changed = {key for key, entity in world.store.entities.items() if before.get(key) != entity.properties}
    kept = {key for key in changed if key[:2] != ("linkerhashes", "env-touches-dry")}  # counted, then forgotten
    assert {key[0] for key in kept} <= {"linkererrors", "linkerstaging", "linkerstatus"}  # reasons, and the scan
    assert world.links() == links
    assert not world.dataverse.written


# ---- what the shard answers ----


async def test_removed_rows_are_noted_for_the_unlinking_pass_and_keep_entry_and_link(world: World) -> None:
    await linked(world)
    world.dataverse.map(contact_id(3), None)
    world.dataverse.map(contact_id(1), "c2")
    outcome = await world.link()
    assert (outcome.counts, outcome.departed) == (Counts(rows_read=2, linked=1, unchanged=1), 1)
    assert world.links()[contact_id(3)] == "c3"
    assert key_of(3) in (await world.block()).entries
    noted = [shard async for shard in world.deps.removed.after("contact", "run1", "")]
    assert noted == [(FIRST_SHARD, [key_of(3)])]


async def test_duplicates_are_counted_once_and_conflicts_resolved_by_the_lowest_customer(world: World) -> None:
    world.people(2)
    world.dataverse.add_mapping(contact_id(1), "c1")
    world.dataverse.add_mapping(contact_id(2), "c1")
    outcome = await world.link()
    assert (outcome.counts, outcome.conflicts) == (Counts(rows_read=2, linked=2), 1)
    assert world.links() == {contact_id(1): "c1", contact_id(2): "c1"}


async def test_a_shard_of_an_earlier_scan_stops(world: World) -> None:
    world.people(1)
    await world.prepare("run1")
    old = await world.scan("run1")
    await world.scan("run1")
    assert "later run" in (await world.link("run1", scan=old)).failed
    assert not world.dataverse.written


async def test_rows_that_are_missing_because_their_scan_ended_did_not_leave_the_mapping(world: World) -> None:
    """A late delivery may read while the run removes what it staged."""
    world.people(3)
    await world.link("run0")
    scan = await world.scan("run0")
    await world.deps.staging.drop_rows("contact", scan)
    assert (await world.link("run0", scan=scan)).departed == 3  # what it would come to
    again = await world.scan("run0")
    await world.deps.staging.end("contact", again)
    outcome = await world.link("run0", scan=again)
    assert (outcome.departed, "ended" in outcome.failed) == (0, True)


async def test_rows_that_go_while_a_shard_reads_them_did_not_leave_the_mapping(world: World) -> None:
    """Nothing is written here, so only the look after reading sees that the scan ended."""
    world.people(3)
    await world.link("run0")
    scan = await world.scan("run0")

    async def ends(operation: str, partition: str, row: str) -> None:
        if (operation, row) == ("header", FIRST_SHARD):
            world.store.hooks.remove(ends)
            await world.deps.staging.end("contact", scan)

    world.store.hooks.append(ends)
    outcome = await world.link("run0", scan=scan)
    assert (outcome.departed, "ended" in outcome.failed) == (0, True)
    assert ends not in world.store.hooks


async def test_a_shard_whose_scan_ends_while_it_writes_does_not_say_that_nothing_was_written(world: World) -> None:
    """It had read all of its rows by then."""
    world.people(3)
    await world.link("run0")
    world.dataverse.map(contact_id(1), "c2")
    world.dataverse.map(contact_id(2), None)
    await world.prepare("run1")
    scan = await world.scan("run1")

    async def ends(asked: Request) -> None:
        if asked.kind == "update":
            await world.deps.staging.end("contact", scan)

    world.dataverse.hooks.append(ends)
    outcome = await world.link("run1", scan=scan)
    assert world.links()[contact_id(1)] == "c2"
    assert (outcome.failed, outcome.counts.linked, outcome.departed) == ("", 1, 1)


async def test_a_shard_whose_scan_is_replaced_while_it_reads_writes_nothing(world: World) -> None:
    """A late delivery may come after a later run, in a process that remembers the earlier scan."""
    world.people(3)
    await world.prepare()
    await world.prepare("run2")
    scan = await world.scan()

    async def replaces(operation: str, partition: str, row: str) -> None:
        if operation == "insert" and row == FIRST_SHARD:
            world.store.hooks.remove(replaces)
            await world.scan("run2", deps=world.host())

    world.store.hooks.append(replaces)
    assert "a later run took it over" in (await world.link(scan=scan)).failed
    assert not world.dataverse.bodies


async def test_each_shard_links_its_own_rows_however_many_responses_the_mapping_takes(world: World) -> None:
    await world.prepare("run1", bits=2)
    world.people(40)
    world.dataverse.page_size = 3
    scan = await world.scan("run1")
    counts = [(await world.link("run1", scan=scan, number=number)).counts.linked for number in range(4)]
    assert sum(counts) == 40
    assert all(counts)
    assert world.is_right()


async def test_a_page_reports_the_pace_that_its_process_has_found(world: World) -> None:
    world.people(3)
    world.dataverse.dop_hint = 7
    load = (await world.link()).load
    assert (load.pace.hint, load.pace.width, load.throttled) == (7, 4, False)
    assert sum(requests for *_, requests in world.deps.limiter.control.allowance.spent) == sum(
        number for kind, number in world.dataverse.asked.items() if kind != "$batch"
    )
