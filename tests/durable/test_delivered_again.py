"""What a shard counts that is delivered again: each row once, whichever attempt linked it."""

import httpx
import pytest

from linker.core.model import Counts, Mode
from tests.fakes.moments import dies_before
from tests.fakes.world import DiedError, World, contact_id


async def test_a_shard_that_is_delivered_again_after_it_was_saved_counts_what_it_linked(world: World) -> None:
    counts = Counts(rows_read=3, linked=1, unchanged=2)
    assert (await world.link("run1")).counts == counts
    world.store.writes.clear()
    assert (await world.link("run1", deps=world.host())).counts == counts
    assert world.dataverse.written["bulk"] == 3 + 1
    assert not [write for write in world.store.writes if write[1] == "linkerhashes"]
    assert (await world.link("run2")).counts == Counts(rows_read=3, unchanged=3)


async def test_a_shard_that_is_delivered_again_counts_what_was_linked_since_as_well(world: World) -> None:
    await world.link("run1")
    world.dataverse.map(contact_id(2), "c3")
    counts = Counts(rows_read=3, linked=2, unchanged=1)
    assert (await world.link("run1")).counts == counts
    assert (await world.link("run1")).counts == counts


async def test_three_attempts_of_which_two_die_count_each_row_once(world: World) -> None:
    world.dataverse.map(contact_id(2), "c3")
    for kind in ("links", "update"):  # the first dies before its read-back, the second before it writes one row more
        dies_before(world, kind, 1)
        with pytest.raises(DiedError):
            await world.link("run1")
        world.clock.pass_s(1_000)
        world.dataverse.map(contact_id(3), "c1")
    assert (await world.link("run1")).counts == Counts(rows_read=3, linked=3)


async def test_a_verify_run_whose_shard_is_delivered_again_still_reports_what_another_writer_had_changed(
    world: World,
) -> None:
    await world.link("run1")
    world.dataverse.link_by_hand(contact_id(2), "c3")
    for _ in range(2):
        outcome = await world.link("run2", mode=Mode.VERIFY, epoch="run2")
        assert (outcome.counts, outcome.drift) == (Counts(rows_read=3, linked=1, unchanged=2), 1)


async def test_a_row_whose_write_got_no_answer_is_counted_once_by_a_shard_that_is_delivered_again(world: World) -> None:
    def silence(asked: object) -> None:
        if getattr(asked, "kind", "") == "update":
            world.dataverse.after.clear()
            raise httpx.ReadTimeout("silence")

    world.dataverse.after.append(silence)
    counts = Counts(rows_read=3, linked=1, unchanged=2)
    assert (await world.link("run1")).counts == counts
    world.clock.pass_s(1_000)
    assert (await world.link("run1")).counts == counts
