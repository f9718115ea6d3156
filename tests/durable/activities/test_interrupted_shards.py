"""What a shard finds of an earlier attempt: intents, blocks that cannot be believed, and shards that were split meanwhile."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from linker.core.linking.hash_blocks import MAX_ENTRIES, Entry, intend
from linker.core.linking.shards import Shard
from linker.core.model import Counts, Mode
from tests.durable.activities.linked_shards import linked
from tests.fakes.moments import dies_after, dies_before
from tests.fakes.world import FIRST_SHARD, DiedError, World, contact_id, entry_of, key_of


@pytest.fixture
def world() -> World:
    return World()


# ---- crashes ----


async def test_intents_are_saved_before_the_first_write(world: World) -> None:
    await linked(world)
    world.dataverse.map(contact_id(1), "c2")
    dies_before(world, "update")
    with pytest.raises(DiedError):
        await world.link()
    old, new = await entry_of(world, 1, "c1"), await entry_of(world, 1, "c2")
    assert (await world.block()).entries[key_of(1)] == intend((old,), new)


@pytest.mark.parametrize("dies", [dies_before, dies_after])
@pytest.mark.parametrize("kind", ["mapping", "profiles", "update", "links"])
async def test_a_crash_and_a_mapping_that_goes_back_leave_no_wrong_link(
    world: World, dies: Callable[[World, str], None], kind: str
) -> None:
    await linked(world)
    world.dataverse.map(contact_id(1), "c2")
    dies(world, kind)
    with pytest.raises(DiedError):
        await world.link("run1")
    world.dataverse.map(contact_id(1), "c1")
    world.clock.pass_s(1_000)
    world.deps = world.host()
    outcome = await world.link("run2")
    assert outcome.counts.rows_read == outcome.counts.outcomes == 3
    assert world.is_right()


async def test_rows_that_an_earlier_attempt_of_the_same_run_wrote_count_as_linked(world: World) -> None:
    """A row is linked by the run that wrote it, whichever attempt read it back (docs/dev/proofs.md G17)."""
    await linked(world)
    world.dataverse.map(contact_id(1), "c2")
    dies_after(world, "update")
    with pytest.raises(DiedError):
        await world.link("run1")
    world.clock.pass_s(1_000)
    assert (await world.link("run1")).counts == Counts(rows_read=3, linked=1, unchanged=2)
    assert world.dataverse.written == {"bulk": 1}


async def test_a_page_saved_by_the_interrupted_full_run_is_not_compared_again(world: World) -> None:
    world.people(3)
    await world.link("run1", mode=Mode.FULL, epoch="run1")
    world.dataverse.asked.clear()
    outcome = await world.link("run2", mode=Mode.FULL, epoch="run1")
    assert outcome.counts == Counts(rows_read=3, unchanged=3)
    assert world.dataverse.asked == {"mapping": 1}


@pytest.mark.parametrize("mode", [Mode.FULL, Mode.VERIFY])
async def test_full_and_verify_runs_look_at_every_link_and_repair_what_a_person_changed(
    world: World, mode: Mode
) -> None:
    await linked(world)
    world.dataverse.link_by_hand(contact_id(1), "c2")
    assert (await world.link("run1")).counts.unchanged == 3
    outcome = await world.link("run2", mode=mode, epoch="run2")
    assert outcome.counts == Counts(rows_read=3, linked=1, unchanged=2)
    assert world.is_right()


# ---- blocks that cannot be believed ----


def lose(world: World) -> None:
    del world.store.entities[world.block_entity()]


def damage(world: World) -> None:
    key = world.block_entity()
    entity = world.store.entities[key]
    packed = bytes(entity.properties["b00"])  # type: ignore[arg-type]
    broken = bytes([packed[0] ^ 1]) + packed[1:]
    world.store.entities[key] = replace(entity, properties={**entity.properties, "b00": broken})


def cut_short(world: World) -> None:
    key = world.block_entity()
    entity = world.store.entities[key]
    world.store.entities[key] = replace(entity, properties={**entity.properties, "b00": b"12345"})


def of_another_format(world: World) -> None:
    key = world.block_entity()
    entity = world.store.entities[key]
    world.store.entities[key] = replace(entity, properties={**entity.properties, "format": 99})


@pytest.mark.parametrize("harm", [lose, damage, cut_short, of_another_format])
async def test_a_block_that_cannot_be_believed_costs_a_comparison_and_no_rewrite(
    world: World, harm: Callable[[World], None]
) -> None:
    await linked(world, 5)
    harm(world)
    world.dataverse.map(contact_id(1), "c2")
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=5, linked=1, unchanged=4)
    assert world.dataverse.written == {"bulk": 1}
    assert (await world.block()).header.rows == 5


async def test_a_block_with_more_rows_than_an_entity_holds_fails_its_shard_and_says_so(world: World) -> None:
    """Rows that were removed count too: the mapping alone does not show how large a block is."""
    await linked(world, 1)
    await world.link("run1")
    stored = await world.deps.blocks.load("contact", FIRST_SHARD)
    removed = {key_of(number): (Entry(1, 2),) for number in range(10, 10 + MAX_ENTRIES - 1)}
    entries = {**stored.block.entries, **removed}
    await world.deps.blocks.save(
        "contact", FIRST_SHARD, replace(stored, block=stored.block.saved_by("run1", "", entries))
    )
    world.contact(2, "c2")
    outcome = await world.link("run2")
    assert "more shards" in outcome.failed
    assert not world.dataverse.asked["update"]


# ---- shards that grow ----


async def test_when_shards_split_every_row_keeps_what_is_known_of_it(world: World) -> None:
    await linked(world, 40)
    await world.deps.change_state("contact", lambda state: replace(state, bits=2, earlier_bits=(0,)))
    await world.prepare("run1")
    scan = await world.scan("run1")
    counts = [(await world.link("run1", scan=scan, number=number)).counts for number in range(4)]
    assert sum(count.unchanged for count in counts) == 40
    assert not world.dataverse.written
    names = [Shard(2, number).name for number in range(4)]
    assert sum([len((await world.block(name)).entries) for name in names]) == 40


async def test_a_shard_waits_for_an_attempt_that_still_holds_the_larger_one(world: World) -> None:
    await linked(world, 8)
    stored = await world.deps.blocks.load("contact", FIRST_SHARD)
    owned = replace(stored, block=stored.block.owned_by("other", world.clock() + 100))
    await world.deps.blocks.take("contact", FIRST_SHARD, owned)
    await world.deps.change_state("contact", lambda state: replace(state, bits=1, earlier_bits=(0,)))
    outcome = await world.link("run1")
    assert outcome.held
    assert outcome.later_s == pytest.approx(101)
