"""A run that was asked to stop or was taken over begins nothing more, in any of its steps."""

import asyncio
from dataclasses import replace

import pytest

from linker.adapters.write_limiter import Lane
from linker.core.errors import TransientError
from linker.core.model import Counts, Mode, Status
from linker.core.runs.activity_values import Beat, Report, SettleTask, SliceTask, TableTask
from linker.core.runs.generation_values import StraysTask
from linker.durable.activities import run_lifecycle
from linker.durable.activities.discover_tables import settle
from linker.durable.activities.find_orphaned_links import find_strays
from linker.durable.activities.prepare_table import prepare_table
from linker.durable.activities.scan_mapping import scan_slice
from tests.fakes.client import Starter
from tests.fakes.lives import begun, loaded
from tests.fakes.world import World, contact_id
from tests.whole_runs.dying import holding, lease_runs_out


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


@pytest.fixture(params=["asked to stop", "taken over"])
async def gave_way(request: pytest.FixtureRequest) -> World:
    """Run1 has a departed row to unlink and another table to prepare, and is to end."""
    world = World()
    world.people(3)
    await world.link("run0")
    world.dataverse.map(contact_id(1), None)
    await world.link("run1")
    await holding(world, "run1")
    if request.param == "asked to stop":
        await world.deps.lock.cancel("run1")
    else:
        lease_runs_out(world)
        await world.deps.lock.take_over()
    world.dataverse.asked.clear()
    world.dataverse.written.clear()
    return world


async def test_the_unlinking_pass_stops_before_its_next_shard(gave_way: World) -> None:
    outcome = await gave_way.unlink("run1", departed=1)
    assert (outcome.counts, outcome.after, bool(outcome.later_s)) == (Counts(), "", True)
    assert not gave_way.dataverse.written
    assert gave_way.links()[contact_id(1)] == "c1"


async def test_no_other_shard_begins(gave_way: World) -> None:
    scan = await gave_way.deps.staging.scan("contact")
    gave_way.dataverse.map(contact_id(2), "c9")
    outcome = await gave_way.link("run1", scan=scan)
    assert (outcome.counts, bool(outcome.later_s), outcome.held) == (Counts(), True, False)
    assert not gave_way.dataverse.asked


@pytest.mark.parametrize(
    ("end", "waited_s", "written"),
    [
        pytest.param("canceled", 5.0, 0, id="canceled while it waited for its turn"),
        pytest.param("taken over", 5.0, 0, id="taken over while it waited for its turn"),
        pytest.param("", 5.0, 3, id="nothing happened"),
        pytest.param("canceled", 0.5, 3, id="it hardly waited"),
    ],
)
async def test_a_shard_that_waits_long_for_its_turn_asks_before_its_first_write(
    monkeypatch: pytest.MonkeyPatch, end: str, waited_s: float, written: int
) -> None:
    world = World()
    world.people(3)
    await holding(world, "run1")
    enter = world.deps.limiter.enter

    async def enter_late(turn: int) -> Lane:
        world.clock.pass_s(waited_s)
        if end == "canceled":
            await world.deps.lock.cancel("run1")
        elif end:
            lease_runs_out(world)
            await world.deps.lock.take_over()
        return await enter(turn)

    monkeypatch.setattr(world.deps.limiter, "enter", enter_late)
    outcome = await world.link("run1", width=1)
    assert world.dataverse.written["bulk"] == written
    assert (outcome.counts.linked, bool(outcome.later_s), outcome.held) == (written, not written, False)
    assert (await world.block()).header.attempt == "", "the next attempt need not wait for this one"
    (await asyncio.wait_for(enter(0), timeout=60)).leave()  # the only lane is free


async def test_a_shard_whose_canary_was_sent_is_finished_so_that_every_row_it_wrote_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run is canceled while the shard waits for its second turn, behind the row that proved the link."""
    world = World()
    world.people(3)
    await holding(world, "run1")
    await world.prepare("run1")
    await world.deps.change_state("contact", lambda state: replace(state, proven=False))
    enter, turns = world.deps.limiter.enter, 0

    async def enter_late(turn: int) -> Lane:
        nonlocal turns
        turns += 1
        if turns > 1:
            world.clock.pass_s(5.0)
            await world.deps.lock.cancel("run1")
        return await enter(turn)

    monkeypatch.setattr(world.deps.limiter, "enter", enter_late)
    outcome = await world.link("run1", width=1, canary=True)
    assert turns > 1
    assert outcome.counts.linked == len([link for link in world.links().values() if link]) == 3


async def test_no_other_slice_is_read(gave_way: World) -> None:
    scan = await gave_way.deps.staging.scan("contact")
    assert scan is not None
    outcome = await scan_slice(gave_way.deps, SliceTask("run1", "contact", scan.id, 0))
    assert (outcome.rows, outcome.done, bool(outcome.later_s)) == (0, False, True)
    assert not gave_way.dataverse.asked


async def test_no_other_table_is_prepared(gave_way: World) -> None:
    prepared = await prepare_table(gave_way.deps, TableTask("run1", "contact", Mode.INCREMENTAL))
    assert (prepared.streams, bool(prepared.retry_s)) == (0, True)
    assert not gave_way.dataverse.asked


async def test_the_search_for_stray_links_breaks_off(gave_way: World) -> None:
    with pytest.raises(TransientError, match="is stopping"):
        await find_strays(gave_way.deps, StraysTask("run1", "contact"))


async def test_settling_stops(gave_way: World) -> None:
    assert (await settle(gave_way.deps, SettleTask("run1"))).stop


async def test_a_run_that_was_asked_to_stop_shows_no_trouble(world: World, start: Starter) -> None:
    run = await begun(world, start)
    await world.deps.lock.cancel(run)
    assert (await run_lifecycle.renew(world.deps, Beat(run, "This run is stopping."))).cancel
    assert (await run_lifecycle.report(world.deps, Report(run, trouble="This run is stopping."))).cancel
    shown = await loaded(world, run)
    assert (shown.status, shown.status_detail) == (Status.REFRESHING, "")


async def test_a_run_that_continues_is_not_stopped(world: World) -> None:
    world.people(3)
    await world.link("run0")
    world.dataverse.map(contact_id(1), None)
    await world.link("run1")
    await holding(world, "run1")
    assert (await world.unlink("run1", departed=1)).counts == Counts(unlinked=1)
