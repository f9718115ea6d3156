"""Linking one shard: what it reads, what it writes, and what it remembers."""

from collections.abc import Callable
from dataclasses import replace
from math import log2

import httpx
import pytest

from linker.adapters.dataverse.response_models import time_in
from linker.adapters.storage import Scan
from linker.core.linking.hash_blocks import MAX_ENTRIES, Entry, intend, is_confirmed
from linker.core.linking.shards import Shard
from linker.core.model import Counts, Mode
from linker.core.throttling.width import SMALLEST
from linker.services.full_reasons import mark_unconfirmed
from tests.fakes.requests import MISSING_TARGET, Refusal
from tests.fakes.world import (
    FIRST_SHARD,
    WRITE_S,
    DiedError,
    World,
    contact_id,
    dies_after,
    dies_before,
    entry_of,
    key_of,
)

PLUGIN = Refusal(400, "0x80040265", "The plug-in said no.")


@pytest.fixture
def world() -> World:
    return World()


async def linked(world: World, number: int = 3) -> World:
    """A world in which `number` contacts were linked by run0."""
    world.people(number)
    assert (await world.link("run0")).counts == Counts(rows_read=number, linked=number)
    world.dataverse.asked.clear()
    world.dataverse.written.clear()
    world.dataverse.bodies.clear()
    world.store.reads.clear()
    world.store.writes.clear()
    return world


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
    """A row is linked by the run that wrote it, whichever attempt read it back (docs/proofs.md G17)."""
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
    """Rows that were removed count too: the mapping alone does not tell how large a block is."""
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


# ---- rows that cannot be linked now ----


async def test_a_row_whose_profile_is_missing_is_deferred_and_its_link_left_alone(world: World) -> None:
    await linked(world)
    world.dataverse.map(contact_id(1), "nobody")
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=3, unchanged=2, deferred=1)
    assert world.links()[contact_id(1)] == "c1"
    assert (await world.issues())[contact_id(1)].code == "ProfileMissing"
    world.dataverse.profile("nobody")
    assert (await world.link("run2")).counts == Counts(rows_read=3, linked=1, unchanged=2)


async def test_a_mapping_row_whose_key_is_no_guid_is_rejected_with_a_reason(world: World) -> None:
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
    assert key_of(617) in (await world.block()).entries  # its intent: nobody saw what became of it


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


# ---- dry runs ----


@pytest.mark.parametrize("mode", [Mode.INCREMENTAL, Mode.FULL])
async def test_a_dry_run_counts_as_a_real_one_and_writes_nothing_anywhere(world: World, mode: Mode) -> None:
    await linked(world, 5)
    world.dataverse.map(contact_id(1), "c2")
    world.dataverse.map(contact_id(2), "nobody")
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
