"""A delta scan: what changed, what earlier runs left open, and nothing else."""

import pytest

from linker.adapters.dataverse.response_models import time_in
from linker.adapters.storage import Scan
from linker.core.model import Counts
from linker.services.full_reasons import mark_unconfirmed
from tests.durable.activities.linked_shards import linked
from tests.fakes.world import (
    World,
    contact_id,
    key_of,
)


@pytest.fixture
def world() -> World:
    return World()


# ---- delta scans ----


async def test_a_delta_scan_links_what_changed_and_leaves_the_other_rows_alone(world: World) -> None:
    await linked(world, 5)
    world.dataverse.marks["msdynci_alternatekeys"] = LATER
    world.dataverse.map(contact_id(2), "c5")
    outcome = await world.link("run1", scan=await delta(world))
    assert (outcome.counts, outcome.departed) == (Counts(rows_read=1, linked=1), 0)
    assert world.is_right()
    assert len((await world.block()).entries) == 5


async def test_a_delta_scan_knows_nothing_of_removed_rows(world: World) -> None:
    await linked(world, 5)
    world.dataverse.map(contact_id(1), None)
    outcome = await world.link("run1", scan=await delta(world, revisit=(1,)))
    assert (outcome.counts, outcome.departed) == (Counts(), 0)
    assert world.links()[contact_id(1)] == "c1"
    assert key_of(1) in (await world.block()).entries


async def test_a_changed_row_is_looked_up_with_all_of_its_claims(world: World) -> None:
    """Another mapping row claims the same source row, and the rule lets it win although it did not change."""
    await linked(world, 3)
    world.dataverse.add_mapping(contact_id(3), "c1")
    await world.link("run1")
    assert world.links()[contact_id(3)] == "c1"
    world.dataverse.marks["msdynci_alternatekeys"] = LATER
    world.dataverse.mapping[2] = {**world.dataverse.mapping[2], "msdynci_customerid": "c2", "modifiedon": LATER}
    outcome = await world.link("run2", scan=await delta(world, "run2"))
    assert (outcome.counts, outcome.conflicts) == (Counts(rows_read=1, unchanged=1), 1)
    assert world.links()[contact_id(3)] == "c1"


async def test_rows_that_earlier_runs_left_open_are_looked_up_in_a_delta_scan(world: World) -> None:
    await linked(world, 3)
    world.dataverse.map(contact_id(2), "later")
    await world.link("run1")
    world.dataverse.profile("later")
    outcome = await world.link("run2", scan=await delta(world, "run2", revisit=(2,)))
    assert outcome.counts == Counts(rows_read=1, linked=1)
    assert world.links()[contact_id(2)] == "later"


async def test_rows_whose_link_is_not_confirmed_are_looked_up_in_a_delta_scan(world: World) -> None:
    await linked(world, 3)
    world.dataverse.link_by_hand(contact_id(2), None)
    found = await world.deps.states.load("contact")
    assert found is not None
    await mark_unconfirmed(world.deps, "contact", found[0], [key_of(2)])
    outcome = await world.link("run1", scan=await delta(world))
    assert outcome.counts == Counts(rows_read=1, linked=1)
    assert world.is_right()


LATER = "2026-11-02T00:00:00Z"


async def delta(world: World, run: str = "run1", revisit: tuple[int, ...] = ()) -> Scan:
    """Return a scan of the mapping rows that changed on 2 November, with contacts to revisit."""
    await world.prepare(run)
    scan = await world.scan(run, since=time_in(LATER), revisit=tuple(key_of(number).hex() for number in revisit))
    assert not scan.full
    return scan
