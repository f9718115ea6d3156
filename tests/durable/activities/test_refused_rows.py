"""Rows that cannot be linked now, and writes that are not what they seem."""

from math import log2

import httpx
import pytest

from linker.core.linking.hash_blocks import is_confirmed
from linker.core.model import Counts
from linker.core.throttling.width import SMALLEST
from tests.durable.activities.linked_shards import PLUGIN, linked
from tests.fakes.requests import MISSING_TARGET, Refusal
from tests.fakes.world import (
    WRITE_S,
    World,
    contact_id,
    key_of,
)


@pytest.fixture
def world() -> World:
    return World()


# ---- rows that cannot be linked now ----


async def test_a_row_whose_profile_is_missing_is_deferred_and_its_link_left_alone(world: World) -> None:
    await linked(world)
    world.dataverse.map(contact_id(1), "c9")
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=3, unchanged=2, deferred=1)
    assert world.links()[contact_id(1)] == "c1"
    assert (await world.issues())[contact_id(1)].code == "ProfileMissing"
    world.dataverse.profile("c9")
    assert (await world.link("run2")).counts == Counts(rows_read=3, linked=1, unchanged=2)


async def test_a_mapping_row_whose_key_is_not_a_guid_is_rejected_with_a_reason(world: World) -> None:
    world.people(1)
    world.dataverse.add_mapping("cntid_1078", "c1")
    world.dataverse.add_mapping("cntid_1078", "c1")
    world.dataverse.add_mapping(contact_id(2), None)
    world.dataverse.add_mapping(None, "c1")
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=5, linked=1, rejected=4)
    assert {issue.code for issue in (await world.issues()).values()} == {"InvalidMappingRow"}


async def test_a_row_that_does_not_exist_is_rejected_and_the_others_are_linked(world: World) -> None:
    world.people(3)
    del world.contacts.rows[contact_id(2)]
    assert (await world.link()).counts == Counts(rows_read=3, linked=2, rejected=1)
    assert (await world.issues())[contact_id(2)].code == "RowNotFound"


async def test_rows_deleted_after_they_were_linked_are_seen_before_anything_is_written(world: World) -> None:
    await linked(world, 10)
    for number in range(1, 11):
        world.dataverse.map(contact_id(number), f"c{number % 10 + 1}")
    del world.contacts.rows[contact_id(4)], world.contacts.rows[contact_id(7)]
    assert (await world.link()).counts == Counts(rows_read=10, linked=8, rejected=2)
    assert world.dataverse.asked["update"] == 1


async def test_one_bad_row_of_a_thousand_is_isolated_within_the_documented_number_of_writes(world: World) -> None:
    world.people(1_000)
    world.dataverse.refuse[contact_id(617)] = PLUGIN
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=1_000, linked=999, rejected=1)
    assert world.dataverse.asked["update"] - 1 <= 2 * log2(1_000) + 2
    issue = (await world.issues())[contact_id(617)]
    assert (issue.code, issue.reason) == ("PluginRefused", "The plug-in said no.")
    assert issue.advice
    assert key_of(617) in (await world.block()).entries  # its intent: the outcome is unknown


async def test_a_rejected_row_is_tried_again_in_the_next_run(world: World) -> None:
    world.people(3)
    world.dataverse.refuse[contact_id(2)] = PLUGIN
    await world.link("run1")
    world.dataverse.refuse.clear()
    assert (await world.link("run2")).counts == Counts(rows_read=3, linked=1, unchanged=2)


@pytest.mark.parametrize("status", [400, 404])
async def test_a_profile_that_vanishes_before_the_write_defers_its_row_alone(world: World, status: int) -> None:
    world.people(8)
    world.dataverse.refuse[contact_id(5)] = Refusal(
        status, MISSING_TARGET, "A record with the specified key values ..."
    )
    assert (await world.link()).counts == Counts(rows_read=8, linked=7, deferred=1)
    assert (await world.issues())[contact_id(5)].code == "ProfileVanished"


async def test_a_missing_privilege_fails_the_page_instead_of_rejecting_every_row(world: World) -> None:
    world.people(8)
    for key in world.contacts.rows:
        world.dataverse.refuse[key] = Refusal(403, "0x80040220", "Principal user is missing prvWriteContact privilege")
    outcome = await world.link()
    assert "prvWriteContact" in outcome.failed
    assert world.dataverse.asked["update"] == 1
    assert (await world.block()).header.attempt == ""


async def test_a_batch_that_is_too_slow_is_halved(world: World) -> None:
    world.people(8)

    def slow(asked: object) -> None:
        if getattr(asked, "kind", "") == "update" and len(asked.body["Targets"]) > 2:  # type: ignore[attr-defined]
            raise Refusal(500, "0x80044151", "SQL timeout expired.")

    world.dataverse.hooks.append(slow)
    outcome = await world.link(batch=100)
    assert outcome.counts == Counts(rows_read=8, linked=8)
    assert outcome.load.pace.batch == SMALLEST


async def test_tables_without_update_multiple_are_written_by_patch_that_never_creates(world: World) -> None:
    world.contacts.bulk = False
    world.people(3)
    del world.contacts.rows[contact_id(3)]
    await world.prepare("run1", created=True)
    outcome = await world.link("run1")
    assert outcome.counts == Counts(rows_read=3, linked=2, rejected=1)
    assert world.dataverse.written == {"patch": 2}
    assert {asked.headers["if-match"] for asked in world.dataverse.bodies} == {"*"}
    assert contact_id(3) not in world.contacts.rows


async def test_writes_carry_the_key_and_the_link_alone_in_batches_of_the_given_size(world: World) -> None:
    world.people(5)
    await world.link(batch=2)
    sizes = [len(asked.body["Targets"]) for asked in world.dataverse.bodies]
    assert sizes == [2, 2, 1]
    assert {frozenset(row) for asked in world.dataverse.bodies for row in asked.body["Targets"]} == {
        frozenset({"@odata.type", "contactid", "msdynci_LookupField_CustomerProfile@odata.bind"})
    }


# ---- writes that are not what they seem ----


async def test_an_accepted_write_that_was_not_stored_is_repeated(world: World) -> None:
    world.people(3)
    world.dataverse.drop[contact_id(2)] = 1
    assert (await world.link()).counts == Counts(rows_read=3, linked=3)
    assert world.dataverse.written == {"bulk": 4}
    assert world.is_right()


async def test_a_write_that_is_dropped_twice_is_rejected_and_counted_as_lost(world: World) -> None:
    world.people(3)
    world.dataverse.drop[contact_id(2)] = 2
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=3, linked=2, rejected=1)
    assert outcome.lost == 1
    assert (await world.issues())[contact_id(2)].code == "NotStored"
    assert not is_confirmed((await world.block()).entries[key_of(2)])


def no_answer(world: World, *, commits: bool, times: int = 1) -> None:
    """Let write requests stay without an answer, before or after Dataverse commits them."""
    left = [times]

    def hook(asked: object) -> None:
        if getattr(asked, "kind", "") == "update" and left[0]:
            left[0] -= 1
            raise httpx.ReadTimeout("silence")

    (world.dataverse.after if commits else world.dataverse.hooks).append(hook)


@pytest.mark.parametrize("commits", [True, False])
async def test_a_write_without_an_answer_is_read_back_and_the_page_kept_until_it_can_commit_no_more(
    world: World, commits: bool
) -> None:
    world.people(3)
    no_answer(world, commits=commits)
    assert (await world.link("run1")).counts == Counts(rows_read=3, linked=3)
    block = await world.block()
    assert block.header.unconfirmed == 3
    assert block.header.until == pytest.approx(world.clock.now + WRITE_S)
    assert (await world.link("run2")).later_s == pytest.approx(WRITE_S, abs=2)
    world.clock.pass_s(WRITE_S + 1)
    assert (await world.link("run2")).counts == Counts(rows_read=3, unchanged=3)
    assert (await world.block()).header.unconfirmed == 0


async def test_a_row_that_is_not_stored_after_a_write_without_an_answer_is_not_called_lost(world: World) -> None:
    """The second write was answered and dropped, and the first one may still come."""
    world.people(1)
    no_answer(world, commits=False)
    world.dataverse.drop[contact_id(1)] = 2
    outcome = await world.link()
    assert (outcome.later_s > 0, outcome.lost, outcome.counts.rejected) == (True, 0, 0)
    assert not world.dataverse.drop[contact_id(1)]


async def test_writes_that_never_get_an_answer_are_tried_later_and_not_called_lost(world: World) -> None:
    world.people(3)
    no_answer(world, commits=False, times=100)
    outcome = await world.link()
    assert outcome.later_s > 0
    assert outcome.lost == 0


async def test_a_throttle_gives_the_page_back_with_the_wait_that_dataverse_asked_for(world: World) -> None:
    await linked(world, 4)
    for number in range(1, 5):
        world.dataverse.map(contact_id(number), f"c{number % 4 + 1}")

    def throttle(asked: object) -> None:
        if getattr(asked, "kind", "") == "update" and world.dataverse.written["bulk"] == 2:
            raise Refusal(429, "0x80072322", "Number of requests exceeded the limit", retry_after="37")

    world.dataverse.hooks.append(throttle)
    outcome = await world.link("run1", batch=2)
    assert (outcome.later_s, outcome.load.throttled) == (37.0, True)
    block = await world.block()
    assert (block.header.attempt, block.header.unconfirmed) == ("", 4)
    world.dataverse.hooks.clear()
    world.clock.pass_s(37)
    outcome = await world.link("run1", batch=2)
    assert outcome.counts == Counts(rows_read=4, linked=4)
    assert world.dataverse.written == {"bulk": 4}


async def test_a_short_throttle_is_waited_out_within_the_attempt(world: World) -> None:
    world.people(2)
    answers = [Refusal(429, "0x80072322", "Too many", retry_after="1")]

    def throttle(asked: object) -> None:
        if getattr(asked, "kind", "") == "update" and answers:
            raise answers.pop()

    world.dataverse.hooks.append(throttle)
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=2, linked=2)
    assert outcome.load.throttled
