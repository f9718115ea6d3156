"""Two attempts at one shard: one owns it, the other waits, and a late one hides nothing."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from linker.core.linking.hash_blocks import is_confirmed, unconfirm
from linker.core.model import Counts
from linker.core.runs.activity_values import ShardOutcome
from linker.core.throttling.width import SMALLEST
from linker.durable.attempt import Attempt, ShardHeldError
from tests.fakes.moments import Gate, dies_before, stalls_before
from tests.fakes.world import ATTEMPT_S, FIRST_SHARD, DiedError, World, contact_id, entry_of, key_of


async def stalled_link(world: World, kind: str) -> tuple[Gate, asyncio.Task[ShardOutcome]]:
    """Begin an attempt that stands still before its first request of this kind, until its gate opens."""
    gate = stalls_before(world, kind)
    attempt = asyncio.create_task(world.link("run1"))
    await gate.reached.wait()
    return gate, attempt


@pytest.mark.parametrize("moment", ["before the write", "before the read-back"])
async def test_a_shard_that_another_attempt_holds_is_tried_when_its_time_is_over(world: World, moment: str) -> None:
    gate = Gate()
    hooks = world.dataverse.hooks if moment == "before the write" else world.dataverse.after
    hooks.append(lambda asked: gate() if asked.kind == "update" and not gate.reached.is_set() else None)
    first = asyncio.create_task(world.link("run1"))
    await gate.reached.wait()
    second = await world.link("run1", deps=world.host())
    assert second.later_s == pytest.approx(ATTEMPT_S, abs=2)
    assert second.counts == Counts()
    gate.open.set()
    assert (await first).counts == Counts(rows_read=3, linked=1, unchanged=2)
    assert (await world.link("run1")).counts == Counts(rows_read=3, linked=1, unchanged=2)


@pytest.mark.parametrize("moment", ["before it saves its intents", "before it saves what was linked meanwhile"])
async def test_an_attempt_that_was_overtaken_while_it_read_writes_nothing(world: World, moment: str) -> None:
    """It owns nothing yet, and what it read is worth nothing once another attempt saved the block."""
    gate, stalled = Gate(), list[str]()

    def stall(asked: Any) -> Any:
        if asked.kind == "links" and not stalled:
            stalled.append(asked.kind)
            return gate()
        return None

    (world.dataverse.after if moment == "before it saves its intents" else world.dataverse.hooks).append(stall)
    await world.prepare("run1")
    scan = await world.scan("run1")
    first = asyncio.create_task(world.link("run1", scan=scan))
    await gate.reached.wait()
    second = await world.link("run1", scan=scan, deps=world.host())
    assert second.counts == Counts(rows_read=3, linked=1, unchanged=2)
    block, written = await world.block(), world.dataverse.written["bulk"]
    gate.open.set()
    assert (await first).held
    assert (await world.block(), world.dataverse.written["bulk"]) == (block, written)
    assert (await world.link("run1", scan=scan)).counts == Counts(rows_read=3, linked=1, unchanged=2)
    assert world.is_right()


async def test_of_two_attempts_that_start_together_one_links_the_page(world: World) -> None:
    await world.prepare("run1")
    scan = await world.scan("run1")
    attempts = (world.link("run1", scan=scan, deps=world.host()) for _ in range(8))
    outcomes = await asyncio.gather(*attempts)
    done = [outcome for outcome in outcomes if not outcome.later_s]
    assert [outcome.counts.linked for outcome in done if outcome.counts.linked] == [1]
    assert world.dataverse.written["bulk"] == 3 + 1
    assert world.is_right()


async def test_the_shard_of_a_dead_attempt_is_taken_when_its_time_is_over(world: World) -> None:
    dies_before(world, "update")
    with pytest.raises(DiedError):
        await world.link("run1")
    wait_s = (await world.link("run1")).later_s
    world.clock.pass_s(wait_s)
    assert (await world.link("run1")).counts == Counts(rows_read=3, linked=1, unchanged=2)
    assert world.is_right()


@pytest.mark.parametrize("writes", [0, 3, 9])
async def test_a_shard_that_was_written_when_its_host_died_is_taken_within_150_s(writes: int) -> None:
    """However long the attempt took until then: it takes the shard again in short steps."""
    world, people = World(), SMALLEST * 10
    world.people(people)
    begun = list[float]()

    def takes_long(asked: Any) -> None:
        if asked.kind == "update":
            begun.append(world.clock())
            world.clock.pass_s(7.0)

    world.dataverse.hooks.append(takes_long)
    dies_before(world, "update", after=writes)
    with pytest.raises(DiedError):
        await world.link("run1", batch=SMALLEST, lanes=1)
    died = world.clock()
    world.dataverse.hooks.clear()
    wait_s = (await world.link("run2", deps=world.host())).later_s
    world.clock.pass_s(wait_s)
    assert (await world.link("run2", deps=world.host())).counts.rows_read == people
    assert world.is_right()
    assert world.clock() - died <= 150
    assert (
        world.clock() - begun[-1] > world.settings.write_timeout_seconds
    )  # no write of the dead attempt is still open


@pytest.mark.parametrize("ahead_s", [60.0, 3_600.0, 86_400.0])
async def test_a_dead_attempt_on_a_host_whose_clock_was_ahead_holds_its_shard_no_longer_than_any(
    world: World, ahead_s: float
) -> None:
    ahead = replace(world.host(), clock=lambda: world.clock.now + ahead_s)
    dies_before(world, "update")
    with pytest.raises(DiedError):
        await world.link("run1", deps=ahead)
    other = world.host()
    wait_s = (await world.link("run1", deps=other)).later_s
    assert wait_s <= ATTEMPT_S + 2
    world.clock.pass_s(wait_s)
    assert (await world.link("run1", deps=other)).counts == Counts(rows_read=3, linked=1, unchanged=2)
    assert world.is_right()


async def test_an_attempt_on_a_host_whose_clock_is_ahead_keeps_its_shard_while_it_takes_it_again(world: World) -> None:
    """What another process saw of an earlier time does not count against it."""
    ahead = replace(world.host(), clock=lambda: world.clock.now + 3_600.0)
    stored = await world.deps.blocks.load("contact", FIRST_SHARD)
    attempt, other = Attempt(ahead, "contact", FIRST_SHARD), world.host()
    attempt.start_from(stored)
    for _ in range(4):
        await attempt.take()
        seen = await other.blocks.load("contact", FIRST_SHARD)
        with pytest.raises(ShardHeldError):
            Attempt(other, "contact", FIRST_SHARD).start_from(seen)
        world.clock.pass_s(ATTEMPT_S - 1)


async def test_an_attempt_that_wakes_after_its_time_and_was_superseded_sends_nothing(world: World) -> None:
    gate, late = await stalled_link(world, "profiles")
    world.clock.pass_s(ATTEMPT_S + 1)
    world.dataverse.map(contact_id(1), "c3")
    assert (await world.link("run2", deps=world.host())).counts.linked == 1
    written = world.dataverse.written["bulk"]
    gate.open.set()
    assert (await late).later_s > 0
    assert world.dataverse.written["bulk"] == written
    assert world.is_right()


async def test_an_attempt_that_was_superseded_between_two_of_its_writes_does_not_send_the_second(
    world: World,
) -> None:
    gate, stalled = Gate(), list[Any]()

    def stall(asked: Any) -> Any:
        if asked.kind == "update" and not stalled:
            stalled.append(asked)
            return gate()
        return None

    world.dataverse.map(contact_id(2), "c3")
    world.dataverse.after.append(stall)
    late = asyncio.create_task(world.link("run1", width=1, batch=1))
    await gate.reached.wait()
    world.clock.pass_s(ATTEMPT_S + 1)
    world.dataverse.map(contact_id(1), "c3")
    world.dataverse.map(contact_id(2), "c1")
    assert (await world.link("run2", deps=world.host())).counts.linked == 2
    written = world.dataverse.written["bulk"]
    gate.open.set()
    assert (await late).later_s > 0
    assert world.dataverse.written["bulk"] == written
    assert world.is_right()


async def test_an_attempt_that_wakes_after_its_time_takes_the_shard_again_when_no_other_did(world: World) -> None:
    gate, late = await stalled_link(world, "profiles")
    world.clock.pass_s(ATTEMPT_S + 1)
    gate.open.set()
    assert (await late).counts == Counts(rows_read=3, linked=1, unchanged=2)
    assert world.is_right()


async def test_a_write_that_comes_late_unconfirms_its_rows_in_the_block_of_the_later_attempt(world: World) -> None:
    """Checked in time, frozen, sent too late: the next run compares the row with its live link and repairs it."""
    gate, late = await stalled_link(world, "update")
    world.clock.pass_s(ATTEMPT_S + 1)
    world.dataverse.map(contact_id(1), "c3")
    assert (await world.link("run2", deps=world.host())).counts.linked == 1
    gate.open.set()
    assert (await late).later_s > 0
    assert world.links()[contact_id(1)] == "c2"  # the harm that cannot be prevented ...
    assert not is_confirmed((await world.block()).entries[key_of(1)])  # ... and is not hidden
    assert (await world.link("run3")).counts == Counts(rows_read=3, linked=1, unchanged=2)
    assert world.is_right()


async def test_a_late_write_to_a_row_that_left_the_block_meanwhile_is_named_there_again(world: World) -> None:
    """Else the row keeps a link that no block names, and no unlinking pass ever finds it."""
    gate, late = await stalled_link(world, "update")
    world.clock.pass_s(ATTEMPT_S + 1)
    world.dataverse.map(contact_id(1), None)
    assert (await world.link("run2", deps=world.host())).departed == 1
    assert (await world.unlink("run2", departed=1)).counts == Counts(unlinked=1)
    gate.open.set()
    await late
    assert world.links()[contact_id(1)] == "c2"
    assert (await world.block()).entries[key_of(1)] == unconfirm([await entry_of(world, 1, "c2")])
    assert (await world.link("run3")).departed == 1
    assert (await world.unlink("run3", departed=1)).counts == Counts(unlinked=1)
    assert world.links()[contact_id(1)] is None


async def test_a_block_that_is_lost_under_an_attempt_stays_unknown(world: World) -> None:
    gate, attempt = await stalled_link(world, "update")
    del world.store.entities[world.block_entity()]
    gate.open.set()
    assert (await attempt).later_s > 0
    assert not (await world.block()).known
    assert (await world.link("run2")).counts == Counts(rows_read=3, unchanged=3)
