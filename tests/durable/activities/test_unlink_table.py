"""The second pass: rows that left the mapping lose the link that we gave them, and no other."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from linker.core.linking.hash_blocks import intend
from linker.core.linking.shards import shard_of
from linker.core.model import Counts, UnlinkAllowance
from linker.core.runs.signals import Marks
from linker.durable.activities import unlink_table
from tests.fakes.departed import left_by
from tests.fakes.moments import dies_after, stalls_before
from tests.fakes.requests import STAMP, Refusal
from tests.fakes.world import FIRST_SHARD, WRITE_S, DiedError, World, contact_id, entry_of, key_of

GONE = contact_id(1)


@pytest.fixture
async def world() -> World:
    world = await left_by(GONE)
    world.dataverse.asked.clear()
    world.dataverse.written.clear()
    return world


async def reason(world: World, row: str = GONE) -> str:
    return (await world.issues("run1"))[row].code


async def test_a_departed_row_loses_our_link_and_its_entry(world: World) -> None:
    outcome = await world.unlink("run1", departed=1)
    assert (outcome.counts, outcome.after) == (Counts(unlinked=1), None)
    assert world.links()[GONE] is None
    assert key_of(1) not in (await world.block()).entries
    assert world.dataverse.written == {"clear": 1}
    assert (await world.link("run2")).departed == 0


async def test_a_link_is_cleared_only_with_the_etag_that_was_read(world: World) -> None:
    await world.unlink("run1", departed=1)
    assert [asked.headers["if-match"] for asked in world.dataverse.bodies if asked.kind == "clear"] == ['W/"2"']


async def test_the_link_of_another_writer_is_kept_and_forgotten(world: World) -> None:
    world.dataverse.link_by_hand(GONE, "c5")
    assert (await world.unlink("run1", departed=1)).counts == Counts(unchanged=1)
    assert world.links()[GONE] == "c5"
    assert key_of(1) not in (await world.block()).entries
    assert not world.dataverse.written


@pytest.mark.parametrize("gone", ["row", "link"])
async def test_a_row_or_a_link_that_is_gone_already_counts_as_unlinked(world: World, gone: str) -> None:
    if gone == "row":
        del world.contacts.rows[GONE]
    else:
        world.dataverse.link_by_hand(GONE, None)
    assert (await world.unlink("run1", departed=1)).counts == Counts(unlinked=1)
    assert not world.dataverse.written


@pytest.mark.parametrize("spelling", ["{}", "{{{}}}"])
async def test_a_row_that_is_back_in_the_mapping_in_any_spelling_is_deferred(world: World, spelling: str) -> None:
    world.dataverse.map(spelling.format(GONE.upper()), "c1")
    assert (await world.unlink("run1", departed=1)).counts == Counts(deferred=1)
    assert (world.links()[GONE], await reason(world)) == ("c1", "Mapped")
    assert key_of(1) in (await world.block()).entries


async def test_a_row_that_another_data_source_names_by_now_is_deferred(world: World) -> None:
    world.dataverse.map(GONE, "c1", source="second crm", table="Contact")
    assert (await world.unlink("run1", departed=1)).counts == Counts(deferred=1)


async def test_the_same_key_of_another_table_does_not_keep_a_row(world: World) -> None:
    world.dataverse.map(GONE, "c1", table="loyalty")
    assert (await world.unlink("run1", departed=1)).counts == Counts(unlinked=1)


async def test_a_row_that_changes_between_look_and_clear_is_deferred(world: World) -> None:
    gate = stalls_before(world, "clear")
    clearing = asyncio.create_task(world.unlink("run1", departed=1))
    await gate.reached.wait()
    world.dataverse.link_by_hand(GONE, "c5")
    gate.open.set()
    assert (await clearing).counts == Counts(deferred=1)
    assert (world.links()[GONE], await reason(world)) == ("c5", "LinkChanged")


@pytest.mark.parametrize("who", ["c1", "c9"])
async def test_a_link_that_an_intent_names_is_ours_too(world: World, who: str) -> None:
    """The write of an intent may have been committed before the crash."""
    stored = await world.deps.blocks.load("contact", FIRST_SHARD)
    intended = await entry_of(world, 1, "c9")
    entries = {**stored.block.entries, key_of(1): intend(stored.block.entries[key_of(1)], intended)}
    saved = stored.block.saved_by("run0", "", entries)
    await world.deps.blocks.save("contact", FIRST_SHARD, replace(stored, block=saved))
    world.dataverse.link_by_hand(GONE, who)
    assert (await world.unlink("run1", departed=1)).counts == Counts(unlinked=1)


# ---- the guard ----


async def test_nothing_is_unlinked_when_too_much_of_the_table_departed(world: World) -> None:
    outcome = await world.unlink("run1", departed=1, rows=5)
    assert (outcome.counts, outcome.after) == (Counts(deferred=1), None)
    assert "1 of 5" in outcome.held_back
    assert (world.links()[GONE], await reason(world)) == ("c1", "HeldBack")
    assert key_of(1) in (await world.block()).entries


async def test_an_allowed_table_loses_the_links_that_the_guard_would_hold_back(world: World) -> None:
    outcome = await world.unlink("run1", departed=1, rows=5, allowed=(UnlinkAllowance("contact", 1),))
    assert (outcome.counts, outcome.held_back, outcome.guarded) == (Counts(unlinked=1), "", False)
    assert [row for row, customer in world.links().items() if customer is None] == [GONE]


async def test_what_is_allowed_is_cleared_only_while_it_is_ours_absent_and_rests(world: World) -> None:
    allowed = (UnlinkAllowance("contact", 1),)
    moved = await world.unlink("run1", departed=1, rows=5, allowed=allowed, marks=Marks(0.0, 0.0))
    assert (moved.counts, moved.guarded, await reason(world)) == (Counts(deferred=1), False, "MappingMoved")
    world.dataverse.link_by_hand(GONE, "c5")
    assert (await world.unlink("run1", departed=1, rows=5, allowed=allowed)).counts == Counts(unchanged=1)
    assert world.links()[GONE] == "c5"


async def test_a_row_that_is_mapped_again_keeps_its_link_although_clearing_is_allowed(world: World) -> None:
    world.dataverse.map(GONE, "c1")
    outcome = await world.unlink("run1", departed=1, rows=5, allowed=(UnlinkAllowance("contact", 1),))
    assert (outcome.counts, world.links()[GONE]) == (Counts(deferred=1), "c1")


async def test_nothing_is_unlinked_when_the_marks_moved_since_settling(world: World) -> None:
    outcome = await world.unlink("run1", departed=1, marks=Marks(0.0, 0.0))
    assert (outcome.counts, await reason(world)) == (Counts(deferred=1), "MappingMoved")
    assert world.links()[GONE] == "c1"


async def test_marks_that_rest_let_the_pass_continue(world: World) -> None:
    from linker.core.serialization import parse_time

    rest = Marks(parse_time(STAMP), parse_time(STAMP), *world.dataverse.versions.values())
    assert (await world.unlink("run1", departed=1, marks=rest)).counts == Counts(unlinked=1)


@pytest.mark.parametrize(("rows", "counts"), [(20, Counts(unlinked=1)), (5, Counts(deferred=1))])
async def test_a_dry_run_says_what_would_happen_and_touches_nothing(world: World, rows: int, counts: Counts) -> None:
    before = dict(world.store.entities)
    assert (await world.unlink("run1", departed=1, rows=rows, dry_run=True)).counts == counts
    assert world.store.entities == before
    assert not world.dataverse.written


# ---- what interrupts it ----


async def several_shards(bits: int) -> World:
    """A world of 2**bits shards with one removed row in each."""
    world = World()
    await world.prepare("run0", bits=bits)
    world.people(40)
    gone = {shard_of(key_of(number), bits).number: contact_id(number) for number in range(1, 41)}
    scan = await world.scan("run0")
    for number in range(scan.count):
        await world.link("run0", scan=scan, number=number)
    for row in gone.values():
        world.dataverse.map(row, None)
    await world.prepare("run1")
    scan = await world.scan("run1")
    assert [(await world.link("run1", scan=scan, number=n)).departed for n in range(scan.count)] == [1] * scan.count
    return world


async def test_a_long_pass_is_done_in_calls_of_a_bounded_number_of_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlink_table, "SHARDS_A_CALL", 2)
    world = await several_shards(2)
    counts, after, calls = Counts(), "", 0
    while after is not None:
        outcome = await world.unlink("run1", departed=4, after=after)
        counts, after, calls = counts + outcome.counts, outcome.after, calls + 1
    assert (counts, calls) == (Counts(unlinked=4), 3)
    assert sum(customer is None for customer in world.links().values()) == 4


async def test_a_throttle_keeps_the_counts_of_the_shards_that_are_done_and_the_pass_goes_on_there() -> None:
    world = await several_shards(2)

    def throttle(asked: object) -> None:
        if getattr(asked, "kind", "") == "clear" and world.dataverse.written["clear"] == 2:
            raise Refusal(429, "0x80072322", "Too many requests", retry_after="40")

    world.dataverse.hooks.append(throttle)
    first = await world.unlink("run1", departed=4)
    assert (first.counts, first.later_s) == (Counts(unlinked=2), 40.0)
    world.dataverse.hooks.clear()
    world.clock.pass_s(40.0)
    assert first.after is not None
    second = await world.unlink("run1", departed=4, after=first.after)
    assert (second.counts, second.after) == (Counts(unlinked=2), None)


async def test_a_pass_that_died_after_clearing_is_repeated_with_the_same_counts(world: World) -> None:
    dies_after(world, "clear")
    with pytest.raises(DiedError):
        await world.unlink("run1", departed=1)
    world.clock.pass_s(1_000)
    assert (await world.unlink("run1", departed=1)).counts == Counts(unlinked=1)
    assert (await world.unlink("run1", departed=1)).counts == Counts(unlinked=1)


async def test_a_clear_without_an_answer_keeps_the_shard_until_it_can_commit_no_more(world: World) -> None:
    def silence(asked: object) -> None:
        if getattr(asked, "kind", "") == "clear":
            raise httpx.ReadTimeout("silence")

    world.dataverse.hooks.append(silence)
    outcome = await world.unlink("run1", departed=1)
    assert (outcome.counts, outcome.after) == (Counts(), "")
    assert outcome.later_s > 0
    assert (await world.block()).header.until == pytest.approx(world.clock.now + WRITE_S)


async def test_departed_rows_of_a_block_that_was_lost_are_deferred_since_the_owner_of_their_links_is_unknown(
    world: World,
) -> None:
    del world.store.entities[world.block_entity()]
    assert (await world.unlink("run1", departed=1)).counts == Counts(deferred=1)
    assert world.links()[GONE] == "c1"
    assert not (await world.block()).known


async def test_rows_that_only_an_earlier_run_noted_are_left_to_a_run_that_sees_them_depart(world: World) -> None:
    await world.prepare("run2")
    assert (await world.unlink("run2", departed=1)).counts == Counts()
    assert world.links()[GONE] == "c1"


async def test_a_refusal_that_is_about_no_row_fails_the_pass_and_gives_the_shard_back(world: World) -> None:
    def refuse(asked: object) -> None:
        if getattr(asked, "kind", "") == "clear":
            raise Refusal(403, "0x80040220", "missing prvWriteContact privilege")

    world.dataverse.hooks.append(refuse)
    outcome = await world.unlink("run1", departed=1)
    assert "prvWriteContact" in outcome.failed
    assert (await world.block()).header.attempt == ""


# ---- profiles that are gone ----


async def test_a_removed_row_whose_profile_is_gone_too_loses_its_link(world: World) -> None:
    """Nothing empties the lookup when an elastic profile is deleted, and the link is known as ours without its profile."""
    world.dataverse.vanish("c1")
    assert (await world.unlink("run1", departed=1)).counts == Counts(unlinked=1)
    assert world.links()[GONE] is None
