"""The first link of a table is one row, and is proved to lead to its profile before a second row is written.

A lookup to an elastic row takes a wrong partition without an error, and then leads nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from linker.core.errors import LEAST_WAIT_S
from linker.core.keys import key_text
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import Shard, fold_customer
from linker.core.model import Counts, Mode
from linker.core.runs.activity_values import ShardOutcome
from linker.durable.isolation import SAMPLE, scatter
from linker.durable.writes import CANARIES
from tests.fakes.requests import PROFILE_SET, Refusal, Request
from tests.fakes.world import World, contact_id, key_of

PEOPLE = 30
PLUGIN = Refusal(400, "0x80040265", "The plug-in said no.")
TRIED = [key_text(key) for key in scatter(map(key_of, range(1, PEOPLE + 1)), CANARIES)]  # one after the other
FIRST = TRIED[0]


@pytest.fixture
async def world() -> World:
    """Thirty contacts of a table without a proved link."""
    world = World()
    world.people(PEOPLE)
    await world.prepare()
    await world.deps.change_state("contact", lambda state: replace(state, proven=False))
    return world


async def is_proven(world: World) -> bool:
    found = await world.deps.states.load("contact")
    assert found is not None
    return found[0].proven


def sizes(world: World) -> list[int]:
    """Return how many rows each write had."""
    return [len(asked.body["Targets"]) for asked in world.dataverse.bodies if "Targets" in asked.body]


async def test_one_row_is_written_and_read_back_before_the_others(world: World) -> None:
    outcome = await world.link(canary=True)
    assert (outcome.counts, outcome.proven) == (Counts(rows_read=PEOPLE, linked=PEOPLE), True)
    assert sizes(world) == [1, PEOPLE - 1]
    assert await is_proven(world)
    assert world.is_right()


SHARD = Shard(2, 0)  # one of four
IN_SHARD = [key for key in map(key_of, range(1, PEOPLE + 1)) if SHARD.holds(key)]


async def prove_among_shards(world: World, run: str = "run1", **values: Any) -> ShardOutcome:
    """Make a table of four shards without a proved link; return the outcome of its first one."""
    await world.prepare(run)
    await world.deps.change_state("contact", lambda state: replace(state, bits=2, proven=False))
    return await world.link(run, canary=True, **values)


@pytest.mark.parametrize(
    ("mode", "is_new"),
    [(Mode.INCREMENTAL, False), (Mode.FULL, False), (Mode.FULL, True)],
    ids=["incremental", "full", "a new column"],
)
async def test_the_shard_that_proves_a_link_lets_the_others_begin_and_is_finished_among_them(
    world: World, mode: Mode, is_new: bool
) -> None:
    target = await world.deps.runs.target("run1", "contact")
    await world.deps.runs.save_target("run1", replace(target, column_created=is_new))
    first = await prove_among_shards(world, mode=mode, epoch="e")
    assert (first.counts, first.proven, first.failed) == (Counts(rows_read=1, linked=1), True, "")
    assert (first.later_s, first.held) == (LEAST_WAIT_S, True)
    assert sizes(world) == [1]
    assert await is_proven(world)
    assert (await world.block(SHARD.name)).header.attempt == "", "the next attempt need not wait for this one"
    rest = await world.link(mode=mode, epoch="e")
    assert rest.counts == Counts(rows_read=len(IN_SHARD), linked=len(IN_SHARD)), "with the row of the proof"
    assert sizes(world) == [1, len(IN_SHARD) - 1]
    assert {key for key, link in world.links().items() if link} == set(map(key_text, IN_SHARD))


async def test_a_shard_that_begins_again_after_the_proof_does_not_prove_again(world: World) -> None:
    """Its first outcome was lost with its host, or a host of an earlier version asks for the proof again."""
    await prove_among_shards(world)
    again = await world.link(canary=True)
    assert (again.proven, again.later_s, again.counts.linked) == (True, 0.0, again.counts.rows_read)


async def test_an_attempt_that_dies_before_it_saves_the_proof_counts_each_row_once(world: World) -> None:
    await prove_among_shards(world)
    await world.deps.change_state("contact", lambda state: replace(state, proven=False))
    second = await world.link(canary=True)
    assert (second.counts, second.proven) == (Counts(rows_read=2, linked=2), True)
    rest = await world.link()
    assert rest.counts.linked == rest.counts.rows_read
    assert sum(sizes(world)) == rest.counts.rows_read, "no row was written twice"


async def test_rows_that_are_refused_before_the_proof_are_tried_again_and_counted_once(world: World) -> None:
    refused = [key_text(key) for key in scatter(IN_SHARD, 2)]
    world.dataverse.refuse = dict.fromkeys(refused, PLUGIN)
    first = await prove_among_shards(world)
    assert (first.counts, first.proven) == (Counts(rows_read=1, linked=1), True)
    rest = await world.link()
    assert rest.counts == Counts(rows_read=len(IN_SHARD), linked=len(IN_SHARD) - 2, rejected=2)
    assert set(await world.issues()) == set(refused)


async def test_a_table_with_a_proved_link_writes_at_once(world: World) -> None:
    assert (await world.link()).proven is False
    assert sizes(world) == [PEOPLE]


async def test_where_nothing_is_written_nothing_is_proved(world: World) -> None:
    for number in range(1, PEOPLE + 1):
        world.dataverse.link_by_hand(contact_id(number), f"c{number}")
    outcome = await world.link(canary=True, mode=Mode.FULL, epoch="e")
    assert (outcome.counts.unchanged, outcome.proven) == (PEOPLE, False)
    assert not await is_proven(world)


def other_label(world: World) -> None:
    world.dataverse.label_of[FIRST] = "c2"


def found_nowhere(world: World) -> None:
    """Without a label, the id alone finds no profile."""
    world.dataverse.label_of[FIRST] = None

    def hide(asked: Request) -> None:
        if asked.path.startswith(f"{PROFILE_SET}("):
            raise Refusal(404, "0x80040217", "Does Not Exist")

    world.dataverse.hooks.append(hide)


@pytest.mark.parametrize("before", [None, "c7"], ids=["an empty link", "a link to another customer"])
@pytest.mark.parametrize("dead", [other_label, found_nowhere])
async def test_a_dead_link_is_set_back_and_no_other_row_is_written(
    world: World, dead: Callable[[World], None], before: str | None
) -> None:
    world.dataverse.link_by_hand(FIRST, before)
    dead(world)
    outcome = await world.link(canary=True)
    assert "does not lead to its profile" in outcome.failed
    assert "The row was set back and no other row was written" in outcome.failed
    assert world.links() == {contact_id(number): None for number in range(1, PEOPLE + 1)} | {FIRST: before}
    assert not await is_proven(world)


def no_label(world: World) -> None:
    world.dataverse.label_of = {contact_id(number): None for number in range(1, PEOPLE + 1)}


def same_customer(world: World) -> None:
    world.dataverse.label_of[FIRST] = fold_customer(world.wanted()[FIRST]).upper()


@pytest.mark.parametrize("alive", [no_label, same_customer])
async def test_a_label_that_says_nothing_else_does_not_stop_the_run(
    world: World, alive: Callable[[World], None]
) -> None:
    alive(world)
    outcome = await world.link(canary=True)
    assert (outcome.counts.linked, outcome.proven, outcome.failed) == (PEOPLE, True, "")


@pytest.mark.parametrize("canary", [True, False])
async def test_a_link_into_a_partition_that_rows_do_not_show_is_not_written_and_stops_no_table(
    world: World, canary: bool
) -> None:
    """Whichever row comes first: such a link looks like a dead one. A row that has it already is right."""
    apart = [contact_id(number) for number in (1, 2, 3)] + TRIED[:2]
    held, *rejected = dict.fromkeys(apart)
    profile_of = {customer: profile for profile, customer in world.dataverse.profiles.items()}
    for row in apart:
        world.dataverse.partitions[profile_of[str(world.wanted()[row])]] = "apart"
    world.dataverse.link_by_hand(held, world.wanted()[held])
    outcome = await world.link(canary=canary, mode=Mode.FULL, epoch="e")
    linked = PEOPLE - len(rejected) - 1
    assert (outcome.failed, outcome.proven) == ("", canary)
    assert outcome.counts == Counts(rows_read=PEOPLE, linked=linked, unchanged=1, rejected=len(rejected))
    assert {row: issue.code for row, issue in (await world.issues()).items()} == dict.fromkeys(
        rejected, "PartitionNotShown"
    )
    assert world.links() == world.wanted() | dict.fromkeys(rejected)


async def test_a_row_that_is_refused_proves_nothing_and_the_next_one_is_tried(world: World) -> None:
    world.dataverse.refuse = dict.fromkeys(TRIED[:2], PLUGIN)
    outcome = await world.link(canary=True)
    assert (outcome.counts, outcome.proven) == (Counts(rows_read=PEOPLE, linked=PEOPLE - 2, rejected=2), True)
    assert sizes(world)[:4] == [1, 1, 1, PEOPLE - 3]


async def test_after_refused_rows_a_dead_link_still_stops_the_table(world: World) -> None:
    world.dataverse.refuse = dict.fromkeys(TRIED[:2], PLUGIN)
    world.dataverse.label_of[TRIED[2]] = "c9"
    assert "does not lead to its profile" in (await world.link(canary=True)).failed
    assert set(world.links().values()) == {None}


async def test_rows_that_are_all_refused_alike_stop_the_table(world: World) -> None:
    world.dataverse.refuse = {contact_id(number): PLUGIN for number in range(1, PEOPLE + 1)}
    outcome = await world.link(canary=True)
    assert PLUGIN.text in outcome.failed
    assert sizes(world) == [1] * SAMPLE


async def test_rows_that_are_refused_for_different_reasons_are_not_written_one_by_one_for_ever(world: World) -> None:
    other = Refusal(400, "0x80044331", "too long")
    world.dataverse.refuse = {contact_id(number): (PLUGIN, other)[number % 2] for number in range(1, PEOPLE + 1)}
    outcome = await world.link(canary=True)
    assert (outcome.counts.rejected, outcome.proven) == (PEOPLE, False)
    assert sizes(world)[: CANARIES + 1] == [1] * CANARIES + [PEOPLE - CANARIES]


async def test_a_dry_run_proves_nothing(world: World) -> None:
    outcome = await world.link(canary=True, dry_run=True)
    assert (outcome.counts.linked, outcome.proven) == (PEOPLE, False)
    assert not world.dataverse.bodies


def test_a_new_table_has_no_proved_link() -> None:
    assert not TableState().proven
