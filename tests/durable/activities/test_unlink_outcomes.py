"""What a departed row's outcome is when its link cannot be cleared, or was settled before (docs/dev/proofs.md G18)."""

from collections.abc import Callable

import pytest

from linker.core.model import Counts
from tests.fakes.departed import left_by
from tests.fakes.requests import Refusal
from tests.fakes.world import World, contact_id, key_of

GONE = contact_id(1)


@pytest.fixture
async def world() -> World:
    return await left_by(GONE)


def before_clearing(world: World, happens: Callable[[], object]) -> None:
    """Let something happen when the link was read and its clearing is on its way."""

    def hook(asked: object) -> None:
        if getattr(asked, "kind", "") == "clear":
            happens()

    world.dataverse.hooks.append(hook)


async def test_a_plug_in_that_refuses_to_clear_a_link_is_named_and_the_row_tried_again(world: World) -> None:
    world.dataverse.refuse[GONE] = Refusal(400, "0x80040265", "The plug-in said no.")
    assert (await world.unlink("run1", departed=1)).counts == Counts(rejected=1)
    issue = (await world.issues("run1"))[GONE]
    assert (issue.code, issue.reason) == ("PluginRefused", "The plug-in said no.")
    assert key_of(1) in (await world.block()).entries
    world.dataverse.refuse.clear()
    assert (await world.link("run2")).departed == 1
    assert (await world.unlink("run2", departed=1)).counts == Counts(unlinked=1)


async def test_a_row_that_is_deleted_while_its_link_is_cleared_counts_as_unlinked(world: World) -> None:
    before_clearing(world, lambda: world.contacts.rows.pop(GONE, None))
    assert (await world.unlink("run1", departed=1)).counts == Counts(unlinked=1)
    assert key_of(1) not in (await world.block()).entries


async def test_a_link_that_a_person_empties_first_counts_as_unlinked(world: World) -> None:
    before_clearing(world, lambda: world.dataverse.link_by_hand(GONE, None))
    assert (await world.unlink("run1", departed=1)).counts == Counts(unlinked=1)
    assert not await world.issues("run1")


async def test_a_link_that_was_not_cleared_although_it_was_accepted_is_cleared_once_more(world: World) -> None:
    world.dataverse.drop[GONE] = 1
    outcome = await world.unlink("run1", departed=1)
    assert (outcome.counts, outcome.lost, world.links()[GONE]) == (Counts(unlinked=1), 0, None)


async def test_a_link_that_is_kept_although_clearing_was_accepted_twice_is_rejected_and_counted_as_lost(
    world: World,
) -> None:
    world.dataverse.drop[GONE] = 2
    outcome = await world.unlink("run1", departed=1)
    assert (outcome.counts, outcome.lost) == (Counts(rejected=1), 1)
    assert (await world.issues("run1"))[GONE].code == "NotStored"
    assert key_of(1) in (await world.block()).entries


async def test_a_pass_that_is_repeated_comes_to_the_same(world: World) -> None:
    world.dataverse.map(contact_id(2), None)
    assert (await world.link("run1")).departed == 2
    world.dataverse.link_by_hand(GONE, "c5")
    counts = Counts(unchanged=1, unlinked=1)
    assert (await world.unlink("run1", departed=2)).counts == counts
    assert (await world.unlink("run1", departed=2)).counts == counts
