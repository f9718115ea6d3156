"""What goes wrong while profiles are touched, and large numbers of them (docs/dev/proofs.md G20)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linker.adapters.storage import WaitingProfiles
from linker.adapters.storage.table_states import SLICES
from linker.core.model import Status, Touches
from linker.core.ports import Tables
from linker.core.runs.generation_values import TouchOutcome, TouchTask
from linker.core.throttling.pace import Pace
from linker.durable.activities import touch_profiles as touch
from linker.durable.activities.touch_profiles import PROFILES_A_PART, parts_for, touch_profiles
from tests.durable.activities.touches import customers, forget, waiting
from tests.fakes.app import FakeApp
from tests.fakes.moments import dies_after, dies_before
from tests.fakes.requests import Refusal, Request
from tests.fakes.world import ATTEMPT_S, DiedError, World, contact_id


@pytest.mark.parametrize("bulk", [True, False])
def test_a_profile_that_vanishes_meanwhile_is_not_an_error(app: FakeApp, bulk: bool) -> None:
    dataverse = app.world.dataverse
    dataverse.profile_table.bulk = bulk

    def vanish(asked: Request) -> None:
        if asked.kind == "touch":
            dataverse.delete_profile("c2")

    dataverse.hooks.append(vanish)
    run = app.run()
    assert (run.status, run.touches) == (Status.SUCCESSFUL, Touches(profiles=3, touched=2, vanished=1))
    assert len(dataverse.profiles) == 2


def test_a_profile_that_is_refused_does_not_hold_back_the_others(app: FakeApp) -> None:
    dataverse = app.world.dataverse
    (second,) = (profile for profile, customer in dataverse.profiles.items() if customer == "c2")
    dataverse.refuse[second] = Refusal(400, "0x80040265", "The plug-in says no.")
    run = app.run()
    assert (run.status, run.touches) == (Status.SUCCESSFUL, Touches(profiles=3, touched=2, refused=1))
    assert customers(app) == {"c1": 1, "c3": 1}
    assert any("could not be touched: 1" in note and "says no" in note for note in run.notes)


def test_a_single_write_carries_the_version_that_was_read(app: FakeApp) -> None:
    app.world.dataverse.profile_table.bulk = False
    app.run()
    assert [asked.headers["if-match"] for asked in app.world.dataverse.touch_requests] == ['W/"0"'] * 3


def test_a_throttle_is_waited_out_and_the_touch_continues(app: FakeApp) -> None:
    told: list[object] = []

    def throttle(asked: Request) -> None:
        if asked.kind == "touch" and not told:
            told.append(asked)
            raise Refusal(429, "0x80072322", "Number of requests exceeded the limit.", retry_after="37")

    app.world.dataverse.hooks.append(throttle)
    run = app.run()
    assert (run.status, run.touches) == (Status.SUCCESSFUL, Touches(profiles=3, touched=3))
    waited_s = sum(seconds for _, name, seconds in app.context.called if name == "timer")
    assert waited_s == pytest.approx(37.0, abs=3)  # renewing the lock between the timers takes a second each


def test_what_never_succeeds_is_left_to_the_next_run(app: FakeApp) -> None:
    def out(asked: Request) -> None:
        if asked.kind == "touch":
            raise Refusal(503, "", "Service Unavailable")

    app.world.dataverse.hooks.append(out)
    run = app.run()
    assert (run.status, run.counts.linked) == (Status.SUCCESSFUL, 5)
    assert any("The next run touches them" in note for note in run.notes)
    app.world.dataverse.hooks.remove(out)
    assert app.run().touches == Touches(profiles=3, touched=3)
    assert waiting(app) == []


@pytest.mark.parametrize("dies", [dies_before, dies_after])
@pytest.mark.parametrize("kind", ["update", "touch"])
def test_a_run_that_dies_leaves_its_profiles_to_the_next_one(
    app: FakeApp, dies: Callable[[World, str], None], kind: str
) -> None:
    dies(app.world, kind)
    with pytest.raises(DiedError):
        app.run()
    app.world.clock.pass_s(ATTEMPT_S + 1)
    app.recover()
    assert app.world.is_right()
    assert customers(app).keys() == {"c1", "c2", "c3"}
    assert waiting(app) == []


@pytest.mark.parametrize(
    ("profiles", "parts"),
    [
        pytest.param(1, 1, id="few are one part"),
        pytest.param(PROFILES_A_PART, 1, id="a full part"),
        pytest.param(PROFILES_A_PART + 1, 2, id="one more"),
        pytest.param(5 * PROFILES_A_PART, 8, id="powers of two"),
        pytest.param(10_000_000, SLICES, id="never more than there are slices"),
    ],
)
def test_parts(profiles: int, parts: int) -> None:
    assert parts_for(profiles) == parts
    assert SLICES % parts == 0


@pytest.mark.parametrize("parts", [1, 2, SLICES])
async def test_the_parts_hold_every_profile_once(tables: Tables, parts: int) -> None:
    waiting, ids = WaitingProfiles(tables, "env"), [contact_id(number) for number in range(1, 301)]
    await waiting.note(f"run{parts}", "a", ids[:200], dry_run=True)
    await waiting.note(f"run{parts}", "b", ids[100:], dry_run=True)
    assert await waiting.rows(f"run{parts}", dry_run=True) == 400
    found = [await waiting.part(f"run{parts}", part, parts, dry_run=True) for part in range(parts)]
    assert sorted(profile for part in found for profile in part) == ids
    assert all(part == sorted(part) for part in found)
    await forget(waiting, dry_run=True)
    assert await waiting.rows(f"run{parts}", dry_run=True) == 0


async def test_a_long_part_is_done_in_calls_of_a_bounded_number_of_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(touch, "PROFILES_A_CALL", 4)
    world = World()
    ids = sorted(world.dataverse.profile(f"c{number}") for number in range(10))
    await world.deps.waiting.note("run1", "a", ids, dry_run=False)
    calls: list[TouchOutcome] = [TouchOutcome(after="")]
    while (after := calls[-1].after) is not None:
        calls.append(await touch_profiles(world.deps, TouchTask("run1", 0, 1, Pace(batch=2), after=after)))
    assert [call.touches.touched for call in calls[1:]] == [4, 4, 2]
    assert [call.after for call in calls[1:]] == [ids[3], ids[7], None]
    assert set(world.dataverse.touches.values()) == {1}
    assert {asked.method for asked in world.dataverse.touch_requests} == {"PATCH"}


# ---- a busy profile table ----

PROFILES = 20


async def waiting_profiles(world: World) -> list[str]:
    """Return the ids of profiles that wait, ascending."""
    ids = sorted(world.dataverse.profile(f"c{number}") for number in range(PROFILES))
    await world.deps.waiting.note("run1", "a", ids, dry_run=False)
    return ids


def busy(pause_s: int) -> Refusal:
    return Refusal(429, "429", "Too many requests", retry_after=f"{pause_s}")


@pytest.mark.parametrize("takes", [1, 3, 7])
async def test_a_profile_table_that_takes_a_few_writes_for_each_pause_gets_each_of_them_once(takes: int) -> None:
    world = World()
    ids, pauses = await waiting_profiles(world), list[float]()

    async def wait(seconds: float) -> None:
        pauses.append(seconds)
        for profile in list(world.dataverse.refuse)[:takes]:
            del world.dataverse.refuse[profile]

    world.dataverse.refuse.update(dict.fromkeys(ids[takes:], busy(3)))
    world.deps.limiter._sleep = wait
    outcome = await touch_profiles(world.deps, TouchTask("run1", 0, 1))
    assert (outcome.touches, outcome.after) == (Touches(PROFILES, PROFILES), None)
    assert pauses == [3.0] * -(-(PROFILES - takes) // takes)
    assert set(world.dataverse.touches.values()) == {1}


async def test_a_profile_table_that_takes_none_is_left_to_a_later_call() -> None:
    world = World()
    ids, pauses = await waiting_profiles(world), list[float]()

    async def wait(seconds: float) -> None:
        pauses.append(seconds)

    world.dataverse.refuse.update(dict.fromkeys(ids, busy(3)))
    world.deps.limiter._sleep = wait
    outcome = await touch_profiles(world.deps, TouchTask("run1", 0, 1))
    assert (outcome.touches, outcome.after, outcome.later_s) == (Touches(), "", 3.0)
    assert len(pauses) == touch.TRIES - 1


@pytest.mark.parametrize("pause_s", [60, 3_600, 86_400])
@pytest.mark.parametrize("first", [0, 1, 13])
async def test_a_long_pause_is_not_waited_for_in_place_and_what_was_touched_counts(first: int, pause_s: int) -> None:
    world = World()
    ids = await waiting_profiles(world)
    world.dataverse.refuse.update(dict.fromkeys(ids[first:], busy(pause_s)))
    refused = 1 if first > 1 else 0
    if refused:
        world.dataverse.refuse[ids[1]] = Refusal(400, "0x80040265", "The plug-in says no.")
    outcome = await touch_profiles(world.deps, TouchTask("run1", 0, 1))
    assert (outcome.later_s, outcome.after) == (pause_s, ids[first - 1] if first else "")
    assert outcome.touches == Touches(first, first - refused, refused=refused)
    world.dataverse.refuse.clear()
    rest = await touch_profiles(world.deps, TouchTask("run1", 0, 1, after=outcome.after or ""))
    assert (rest.touches, rest.after) == (Touches(PROFILES - first, PROFILES - first), None)
    assert [world.dataverse.touches[profile] for profile in ids] == [
        0 if refused and n == 1 else 1 for n in range(PROFILES)
    ]
