"""What asks for a follow-up run: rows that wait for profiles, and changes that a run did not see."""

from dataclasses import replace

import pytest

from linker.core.model import Counts, Status
from linker.core.runs.activity_values import Ending, SettleTask, TableEnd, Totals
from linker.durable.activities import run_lifecycle
from linker.durable.activities.discover_tables import settle
from tests.fakes.client import Starter
from tests.fakes.lives import ALL, CONTACT, GOOD, begun, loaded
from tests.fakes.requests import PROFILE_SET, Request
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


async def test_rows_that_wait_for_profiles_ask_for_one_follow_up_and_no_more(world: World, start: Starter) -> None:
    deferred = Totals(Counts(rows_read=1, deferred=1))
    run = await begun(world, start, ALL, CONTACT)
    await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", deferred))
    following = (await run_lifecycle.end_run(world.deps, Ending(run))).next
    assert following is not None
    assert (await loaded(world, run)).follow_up == following.run
    await run_lifecycle.begin_run(world.deps, following)
    await world.deps.runs.advance(following.run, lambda old: replace(old, status=Status.REFRESHING, tables=(CONTACT,)))
    await run_lifecycle.end_table(world.deps, TableEnd(following.run, "contact", deferred))
    assert (await run_lifecycle.end_run(world.deps, Ending(following.run))).next is None


@pytest.mark.parametrize(("guarded", "follows"), [(False, True), (True, False)], ids=["each", "by the guard"])
async def test_departed_rows_that_were_deferred_ask_for_a_follow_up_unless_the_guard_holds_them(
    world: World, start: Starter, *, guarded: bool, follows: bool
) -> None:
    run = await begun(world, start, ALL, CONTACT)
    departed = replace(GOOD, departed=1)
    end = TableEnd(run, "contact", departed, unlinking=Counts(deferred=1), held_back="many" * guarded, guarded=guarded)
    await run_lifecycle.end_table(world.deps, end)
    assert ((await run_lifecycle.end_run(world.deps, Ending(run))).next is not None) is follows


async def test_what_moves_within_the_second_that_a_run_saw_last_asks_for_a_follow_up(
    world: World, start: Starter
) -> None:
    run = await begun(world, start, ALL, CONTACT)
    settled = await settle(world.deps, SettleTask(run))
    await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", GOOD))
    world.dataverse.versions["msdynci_alternatekeys"] += 1
    assert (await run_lifecycle.end_run(world.deps, Ending(run, marks=settled.marks))).next is not None


async def test_what_moves_in_the_mapping_while_the_profiles_are_looked_at_asks_for_a_follow_up(
    world: World, start: Starter
) -> None:
    run = await begun(world, start, ALL, CONTACT)
    settled = await settle(world.deps, SettleTask(run))
    await run_lifecycle.end_table(world.deps, TableEnd(run, "contact", GOOD))

    def move(asked: Request) -> None:
        if asked.path == PROFILE_SET:
            world.dataverse.versions["msdynci_alternatekeys"] += 1

    world.dataverse.after.append(move)
    assert (await run_lifecycle.end_run(world.deps, Ending(run, marks=settled.marks))).next is not None
