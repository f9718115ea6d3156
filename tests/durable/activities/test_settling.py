"""Settling: a run waits until mapping and profiles rest, and shows as queued until then."""

from dataclasses import replace

import pytest

from linker.core.model import RunRequest, Status
from linker.core.runs.activity_values import SettleTask
from linker.core.runs.signals import CONFIRM_S, SignalKind
from linker.core.serialization import iso, parse_time
from linker.durable.activities.discover_tables import settle
from tests.fakes.client import Starter
from tests.fakes.lives import begun, loaded, queued
from tests.fakes.requests import STAMP, Refusal, Request
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


MINUTE = 60.0


def waiting_world() -> World:
    """A world whose mapping and profiles have to rest for ten minutes."""
    world = World()
    world.settings = world.settings.model_copy(update={"settle_minutes": 10.0})
    world.deps = world.host()
    return world


@pytest.mark.parametrize(
    ("rested_s", "waited_s", "waits"),
    [
        pytest.param(0.0, 0.0, True, id="changed just now"),
        pytest.param(9 * MINUTE, 0.0, True, id="not for long enough"),
        pytest.param(10 * MINUTE, 0.0, False, id="long enough"),
        pytest.param(0.0, 120 * MINUTE, False, id="waited long enough"),
    ],
)
async def test_settling_waits_until_mapping_and_profiles_rest(
    start: Starter, rested_s: float, waited_s: float, waits: bool
) -> None:
    world = waiting_world()
    run = await queued(world, start)
    world.clock.now = parse_time(STAMP) + rested_s - CONFIRM_S
    await settle(world.deps, SettleTask(run))  # the first look
    world.clock.pass_s(CONFIRM_S)
    settled = await settle(world.deps, SettleTask(run, waited_s))
    assert (settled.wait_s > 0) is waits
    assert settled.wait_s < world.settings.lease_seconds / 2
    assert bool((await loaded(world, run)).status_detail) is waits


async def test_one_look_does_not_settle_and_a_stale_read_is_found_out(start: Starter) -> None:
    world = waiting_world()
    run = await queued(world, start)
    first = await settle(world.deps, SettleTask(run))  # reads what was there before unification wrote
    assert 0 < first.wait_s <= CONFIRM_S
    world.clock.pass_s(first.wait_s)
    world.dataverse.marks["msdynci_alternatekeys"] = iso(world.clock() - 30)
    second = await settle(world.deps, SettleTask(run, first.wait_s))
    assert second.wait_s > 0
    assert "have rested for 10 minutes" in second.detail


async def test_settling_says_when_dataverse_does_not_say_what_changed(start: Starter) -> None:
    world = waiting_world()
    run = await queued(world, start)

    def refuse(asked: Request) -> None:
        if asked.kind == "marks":
            raise Refusal(400, "0x80048d0b", "Sorting is not supported.")

    world.dataverse.hooks.append(refuse)
    settled = await settle(world.deps, SettleTask(run))
    assert (
        settled.detail == "Dataverse does not say when mapping and profiles last changed. Waiting 10 minutes instead."
    )
    last = await settle(world.deps, SettleTask(run, 10 * MINUTE))
    assert (last.wait_s, last.marks) == (0.0, None)
    (signal,) = [one for one in await world.deps.signals.all() if one.kind is SignalKind.WATERMARKS]
    assert "does not say" in signal.note


async def test_settling_stops_when_the_run_is_canceled(world: World, start: Starter) -> None:
    run = await begun(world, start)
    await world.deps.lock.cancel(run)
    assert (await settle(world.deps, SettleTask(run))).stop


async def test_a_run_shows_as_queued_while_it_waits_for_its_unification(start: Starter) -> None:
    world = waiting_world()
    run = await queued(world, start, RunRequest(jobs=("job",)))
    look = SettleTask(run, for_job=True, job_start=parse_time(STAMP) + 1)
    assert (await settle(world.deps, look)).wait_s > 0
    shown = await loaded(world, run)
    assert shown.status is Status.QUEUED
    assert "first changes of the unification" in shown.status_detail
    world.clock.pass_s(30 * MINUTE)
    assert (await settle(world.deps, replace(look, waited_s=30 * MINUTE))).wait_s == 0
    assert (await loaded(world, run)).status is Status.REFRESHING


async def test_a_run_has_started_when_it_works_and_not_while_it_waits(start: Starter) -> None:
    world = waiting_world()
    run = await queued(world, start)
    world.clock.now = parse_time(STAMP) + 9 * MINUTE
    await settle(world.deps, SettleTask(run))
    assert (await loaded(world, run)).started_at is None
    for _ in range(2):  # an activity may be repeated
        world.clock.pass_s(2 * MINUTE)
        await settle(world.deps, SettleTask(run))
    assert (await loaded(world, run)).started_at == iso(parse_time(STAMP) + 11 * MINUTE)
