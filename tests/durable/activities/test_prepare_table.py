"""Making a table ready: its column, its scan, its mode, and the rows whose link vanished."""

from dataclasses import replace
from itertools import count

import pytest

from linker.adapters.storage import Scan
from linker.core.capabilities import Capability
from linker.core.linking.hash_blocks import is_confirmed
from linker.core.linking.mapping_scan import OVERLAP_S, TableState
from linker.core.model import Mode, Status
from linker.core.runs.activity_values import Prepared, TableTask
from linker.durable.activities.prepare_table import prepare_table
from tests.durable.activities.prepared_tables import prepared, surveyed
from tests.fakes.world import CRM, World, contact_id, key_of


@pytest.fixture
async def world() -> World:
    world = World()
    await world.can(Capability.IN_FILTER, Capability.MODIFIED_FILTER)
    return world


async def stored(world: World) -> TableState:
    found = await world.deps.states.load("contact")
    assert found is not None
    return found[0]


# ---- the scan ----


async def scan_of(world: World) -> Scan:
    found = await world.deps.staging.scan("contact")
    assert found is not None
    return found


async def test_a_table_gets_a_scan_of_its_own_with_a_stream_for_each_data_source(world: World) -> None:
    world.people(3)
    ready = await prepared(world)
    scan = await scan_of(world)
    assert (ready.scan, ready.streams, scan.run, scan.full) == (scan.id, 1, "run1", True)


async def test_preparing_twice_in_one_run_leaves_the_scan_as_it_is(world: World) -> None:
    world.people(3)
    first = await prepared(world)
    assert await prepared(world, survey=False) == first


async def test_a_run_that_is_started_twice_has_one_scan_whenever_the_other_start_opened_it() -> None:
    """The other start prepares the table whole before one request to storage of the first one, whichever."""
    requests = at = 0
    while at <= requests:
        world, seen = World(), count()
        await world.can(Capability.IN_FILTER, Capability.MODIFIED_FILTER)
        world.people(3)
        await world.link("run0")  # its scan is replaced
        await surveyed(world, "run1")
        task, others = TableTask("run1", "contact", Mode.INCREMENTAL), list[Prepared]()

        async def prepare_first(*_: object) -> None:
            if next(seen) == at:  # noqa: B023 - called within this turn
                others.append(await prepare_table(world.host(), task))  # noqa: B023

        world.store.hooks.append(prepare_first)
        while (first := await prepare_table(world.deps, task)).retry_s:
            pass
        requests, at = max(requests, next(seen) if at == 0 else 0), at + 1
        assert {first.scan, *(other.scan for other in others)} == {(await scan_of(world)).id}, at


async def test_a_later_run_replaces_the_scan_and_what_it_staged(world: World) -> None:
    world.people(3)
    await world.link("run0")
    staged = {key for key in world.store.entities if key[0] == "linkerstaging"}
    assert staged
    await prepared(world, "run1")
    assert not staged & world.store.entities.keys()


NEWEST = 1_794_990_000.0


async def linked_lately(world: World, **values: object) -> None:
    """Leave the state of a large table that was scanned whole an hour ago."""
    world.people(3)
    await world.link("run0")
    known = {"watermark": NEWEST - 1, "scanned_at": world.clock() - 3_600, "rows": 1_000_000, "sources": (CRM,)}
    await world.deps.change_state("contact", lambda state: replace(state, **{**known, **values}))  # type: ignore[arg-type]


async def test_a_large_table_is_read_from_its_watermark_on(world: World) -> None:
    await linked_lately(world)
    await prepared(world, newest=NEWEST)
    assert (await scan_of(world)).since == NEWEST - 1 - OVERLAP_S


@pytest.mark.parametrize(
    ("values", "task", "reason"),
    [
        pytest.param({"rows": 200_000}, {}, "no more than 200,000", id="a small table"),
        pytest.param({"due": "removed rows waited"}, {}, "removed rows waited", id="an earlier run asks for it"),
        pytest.param({"watermark": 0.0}, {}, "does not say when", id="no watermark"),
        pytest.param({}, {"newest": 0.0}, "does not say when", id="the mapping has no times"),
        pytest.param({"scanned_at": 1.0}, {}, "too long ago", id="the last full scan is old"),
        pytest.param({"sources": ()}, {}, "other data sources", id="another data source"),
        pytest.param({}, {"allowed": True}, "an operator allowed", id="links may be cleared"),
        pytest.param({}, {"mode": Mode.VERIFY}, "verify", id="a verify run"),
    ],
)
async def test_every_row_is_read_when(
    world: World, values: dict[str, object], task: dict[str, object], reason: str
) -> None:
    await linked_lately(world, **values)
    await prepared(world, **{"newest": NEWEST, **task})
    scan = await scan_of(world)
    assert scan.full
    assert reason in scan.reason


async def test_rows_that_were_left_open_are_revisited_by_a_delta_scan(world: World) -> None:
    await linked_lately(world)
    world.dataverse.map(contact_id(2), "not there yet")
    await world.link("run0b")
    await prepared(world, newest=NEWEST)
    assert (await scan_of(world)).revisit == (key_of(2).hex(),)


# ---- state that does not fit ----


async def test_a_mapping_that_is_older_than_at_the_last_run_makes_the_run_full(world: World) -> None:
    await linked_lately(world)
    ready = await prepared(world, newest=NEWEST - 100)
    assert (ready.mode, (await scan_of(world)).full) == (Mode.FULL, True)


async def test_a_lost_block_makes_the_run_full(world: World) -> None:
    await linked_lately(world)
    del world.store.entities[world.block_entity()]
    assert (await prepared(world, newest=NEWEST)).mode is Mode.FULL


async def test_another_secret_makes_the_run_full(world: World) -> None:
    await linked_lately(world, secret="of another storage account")
    assert (await prepared(world, newest=NEWEST)).mode is Mode.FULL


async def test_links_that_are_not_as_confirmed_make_the_run_full_with_that_reason(world: World) -> None:
    """Dataverse was restored: the rows hold earlier links."""
    await linked_lately(world)
    for number in (1, 2):
        world.dataverse.link_by_hand(contact_id(number), "c3")
    ready = await prepared(world, newest=NEWEST)
    run = await world.deps.runs.load("run1")
    assert run is not None
    assert (ready.mode, run.mode_reason) == (Mode.FULL, "contact: 2 of 3 sampled links are not as they were confirmed")


async def test_state_of_version_1_makes_the_first_run_full_and_is_kept_until_it_is_replaced(world: World) -> None:
    await world.deps.documents.insert("plan-contact", {"plan": {"version": "v1"}, "linked": True})
    assert await world.deps.states.tables() == ["contact"]
    await prepared(world)
    run = await world.deps.runs.load("run1")
    assert run is not None
    assert run.mode_reason == "contact: the stored state is of version 1"


# ---- modes ----


async def test_the_first_run_is_full_and_an_interrupted_one_continues_in_its_epoch(world: World) -> None:
    first = await prepared(world, "run1")
    again = await prepared(world, "run2")
    assert (first.mode, first.epoch) == (again.mode, again.epoch) == (Mode.FULL, "run1")


async def test_mode_and_reason_are_shown(world: World) -> None:
    await prepared(world)
    run = await world.deps.runs.load("run1")
    assert run is not None
    assert (run.mode, run.mode_reason) == (Mode.FULL, "contact: first run on this table")
    assert run.tables[0].status is Status.REFRESHING


async def test_a_profile_table_with_another_schema_makes_the_run_full_once(world: World) -> None:
    world.people(1)
    await world.link("run0")
    await world.deps.change_state("contact", lambda state: replace(state, schema="old"))
    assert (await prepared(world, "run1", schema="old")).mode is Mode.INCREMENTAL
    assert (await prepared(world, "run2", schema="new")).mode is Mode.FULL
    assert (await stored(world)).schema == "new"


# ---- links that vanished ----


async def test_rows_whose_link_is_empty_although_a_block_names_them_become_unconfirmed(world: World) -> None:
    world.people(5)
    world.contact(9)  # outside unification: empty, and no block names it
    await world.link("run0")
    world.dataverse.delete_profile("c2")
    world.dataverse.link_by_hand(contact_id(4), None)
    await prepared(world, "run1")
    entries = (await world.block()).entries
    assert {key for key, hashes in entries.items() if not is_confirmed(hashes)} == {key_of(2), key_of(4)}
    world.dataverse.profile("c2")
    assert (await world.link("run1")).counts.linked == 2
    assert world.is_right()


async def test_a_dry_run_marks_nothing(world: World) -> None:
    world.people(3)
    await world.link("run0")
    world.dataverse.link_by_hand(contact_id(1), None)
    world.store.writes.clear()
    await prepared(world, "dry", dry_run=True)
    assert not [write for write in world.store.writes if write[1] == "linkerhashes"]


async def test_a_table_that_is_not_listed_leaves_its_empty_links_to_the_daily_verify_run() -> None:
    world = World(unlisted_tables=("contact",))
    world.people(3)
    await world.link("run0")
    world.dataverse.link_by_hand(contact_id(1), None)
    before = world.dataverse.asked["empties"]
    await prepared(world, "run1")
    assert world.dataverse.asked["empties"] == before
    assert (await world.link("run1")).counts.unchanged == 3
    ready = await prepared(world, "run2", mode=Mode.VERIFY)
    assert (await world.link("run2", mode=Mode.VERIFY, epoch=ready.epoch)).counts.linked == 1
    assert world.is_right()
