"""Rows whose mapping and profiles contradict each other: they keep what they have, and each says why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from linker.core.capabilities import TableKind
from linker.core.model import Counts, Mode
from linker.core.runs.activity_values import ShardOutcome
from tests.fakes.requests import Request
from tests.fakes.world import World, contact_id

ROW, OTHER = contact_id(1), contact_id(2)
LOOKUP = "_msdynci_lookupfield_customer_value"


@pytest.fixture(params=list(TableKind))
async def world(request: pytest.FixtureRequest) -> World:
    """Two contacts of two customers, with tables of each kind."""
    world = World()
    world.people(2)
    await world.can(kind=request.param)
    await world.prepare()
    return world


async def believe_mapping(world: World, **profile_of: str) -> None:
    """Let the mapping's own lookup be trusted, and name a profile by the customer of the row."""
    for row in world.dataverse.mapping:
        row[LOOKUP] = profile_of.get(row["msdynci_customerid"])
    target = await world.deps.target("run1", "contact")
    await world.deps.runs.save_target("run1", replace(target, names_profile=True))
    world.deps.cache.targets.clear()


def profile(world: World, customer: str) -> str:
    return next(found for found, name in world.dataverse.profiles.items() if name == customer)


async def codes(world: World, run: str = "run1") -> dict[str, tuple[str, str]]:
    return {row: (found.code, found.outcome) for row, found in (await world.issues(run)).items()}


def counted(outcome: ShardOutcome) -> Counts:
    assert outcome.failed == ""
    return outcome.counts


# ---- several profiles of one customer ----


async def test_a_row_is_not_linked_to_one_of_several_profiles_of_its_customer(world: World) -> None:
    world.dataverse.profile("c1")
    assert counted(await world.link()) == Counts(rows_read=2, linked=1, rejected=1)
    assert await codes(world) == {ROW: ("AmbiguousProfile", "rejected")}
    assert "2 profiles have the CustomerId c1" in (await world.issues())[ROW].reason
    assert world.links() == {ROW: None, OTHER: "c2"}


async def test_a_row_is_not_linked_to_one_of_two_partitions_that_hold_its_profile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elastic tables can hold one id in several partitions (docs/reference/elastic-tables.md 2.2)."""
    read = world.dataverse._paged

    def read_twice(rows: list[dict[str, Any]], asked: Request) -> dict[str, Any]:
        return read([*rows, *({**row, "partitionid": "other"} for row in rows if "partitionid" in row)], asked)

    monkeypatch.setattr(world.dataverse, "_paged", read_twice)
    assert counted(await world.link()) == Counts(rows_read=2, rejected=2)
    assert {code for code, _ in (await codes(world)).values()} == {"AmbiguousProfile"}
    assert world.links() == {ROW: None, OTHER: None}


async def test_where_dataverse_compares_text_exactly_the_spelling_of_the_mapping_decides(world: World) -> None:
    second = world.dataverse.profile("C1")
    assert counted(await world.link()) == Counts(rows_read=2, linked=2)
    assert world.contacts.rows[ROW].link not in (None, second)


async def test_a_link_that_is_there_stays_while_its_customer_has_several_profiles(world: World) -> None:
    await world.link()
    world.dataverse.profile("c1")
    await world.link("run2", mode=Mode.VERIFY, epoch="run2")
    assert world.links()[ROW] == "c1"
    assert not world.dataverse.written["PATCH"]


async def test_the_row_is_linked_once_one_profile_is_left(world: World) -> None:
    second = world.dataverse.profile("c1")
    await world.link()
    del world.dataverse.profiles[second]
    assert counted(await world.link("run2")) == Counts(rows_read=2, linked=1, unchanged=1)
    assert (await codes(world, "run2"), world.links()[ROW]) == ({}, "c1")


async def test_the_profile_that_the_mapping_names_decides_where_it_is_trusted(world: World) -> None:
    first = profile(world, "c1")
    world.dataverse.profile("c1")
    await believe_mapping(world, c1=first)
    assert counted(await world.link()) == Counts(rows_read=2, linked=2)
    assert (world.contacts.rows[ROW].link, await codes(world)) == (first, {})


# ---- the mapping's lookup names a profile of another customer ----


async def test_a_wrong_lookup_of_the_mapping_is_replaced_by_the_profile_of_the_customer(world: World) -> None:
    await believe_mapping(world, c1=profile(world, "c2"))
    assert counted(await world.link()) == Counts(rows_read=2, linked=2)
    assert (world.links(), await codes(world)) == ({ROW: "c1", OTHER: "c2"}, {})


async def test_a_row_whose_label_contradicts_the_mapping_is_rejected(world: World) -> None:
    """The profile found by CustomerId shows another customer: the mapping, the profile or the label is wrong."""
    world.dataverse.label_of[ROW] = "c9"
    outcome = counted(await world.link())
    assert (outcome.rows_read, outcome.rejected, outcome.outcomes) == (2, 1, 2)
    assert await codes(world) == {ROW: ("OtherCustomer", "rejected")}
    assert world.links()[OTHER] == "c2"


async def test_a_rejected_row_is_tried_again_and_is_in_order_once_the_label_agrees(world: World) -> None:
    world.dataverse.label_of[ROW] = "c9"
    await world.link()
    world.dataverse.label_of.clear()
    assert counted(await world.link("run2")).rejected == 0
    assert (await codes(world, "run2"), world.is_right()) == ({}, True)
