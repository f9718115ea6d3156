"""Each profile that got a newly linked row is touched once, apart from all other writes (docs/dev/proofs.md G20)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linker.adapters.storage import WaitingProfiles
from linker.adapters.storage.table_states import SLICES
from linker.core.capabilities import TableKind
from linker.core.linking.mapping_scan import TableState
from linker.core.model import Mode, Status, Touches
from linker.core.ports import Tables
from linker.core.runs.generation_values import TouchOutcome, TouchRef, TouchTask
from linker.core.throttling.pace import Pace
from linker.durable.activities import touch_profiles as touch
from linker.durable.activities.touch_profiles import PROFILES_A_PART, parts_for, plan_touch, touch_profiles
from linker.services import run_requests
from tests.fakes.app import FakeApp
from tests.fakes.requests import Refusal, Request
from tests.fakes.world import ATTEMPT_S, DiedError, World, contact_id, dies_after, dies_before


async def forget(waiting: WaitingProfiles, *, dry_run: bool) -> None:
    """Remove all notes."""
    await waiting.forget(await waiting.notes(dry_run=dry_run), dry_run=dry_run)


@pytest.fixture
def app(make_app: Callable[..., FakeApp]) -> FakeApp:
    """Three contacts of three customers, and two more of the first one, before any run."""
    app = make_app()
    for number in (4, 5):
        app.world.contact(number, "c1")
    return app


@pytest.fixture
def linked(app: FakeApp) -> FakeApp:
    """The same after its first run."""
    run = app.run()
    assert (run.status, run.follow_up) == (Status.SUCCESSFUL, None)
    app.world.dataverse.touches.clear()
    app.world.dataverse.touch_requests.clear()
    return app


def customers(app: FakeApp) -> dict[str, int]:
    """Return how often each customer's profile was touched."""
    dataverse = app.world.dataverse
    return {dataverse.profiles[profile]: times for profile, times in dataverse.touches.items()}


def waiting(app: FakeApp) -> list[tuple[str, str, str]]:
    return [key for key in app.world.store.entities if "-touches" in key[1]]


# ---- what is touched ----


def test_a_first_run_touches_each_profile_once_however_many_rows_it_got(app: FakeApp) -> None:
    run = app.run()
    assert (run.counts.linked, run.touches) == (5, Touches(profiles=3, touched=3))
    assert customers(app) == {"c1": 1, "c2": 1, "c3": 1}
    assert waiting(app) == []


def test_it_is_the_last_phase_after_every_table_has_ended(app: FakeApp) -> None:
    app.run()
    names = app.context.names()
    assert names[-6:] == ["end_table", "plan_touch", "touch_profiles", "report_touch", "report_touch", "end_run"]


def test_a_profile_of_rows_in_several_shards_is_touched_once(app: FakeApp) -> None:
    app.do(app.world.deps.states.save("contact", TableState(bits=2), None))
    app.run()
    assert app.called["link_shard"] == 4
    assert customers(app) == {"c1": 1, "c2": 1, "c3": 1}


def test_only_profiles_that_got_a_row_are_touched_not_those_that_lost_one(linked: FakeApp) -> None:
    linked.world.dataverse.map(contact_id(3), "c2")
    run = linked.run()
    assert (run.touches, customers(linked)) == (Touches(profiles=1, touched=1), {"c2": 1})


def test_rows_that_leave_unification_touch_nothing(make_app: Callable[..., FakeApp]) -> None:
    app = make_app(unlink_max_share=0.5)
    app.run()
    app.world.dataverse.touches.clear()
    app.world.dataverse.map(contact_id(1), None)
    run = app.run()
    assert (run.counts.unlinked, run.touches, customers(app)) == (1, Touches(), {})


def test_adopted_links_touch_nothing(linked: FakeApp) -> None:
    assert linked.run(mode=Mode.FULL).touches == Touches()
    assert customers(linked) == {}


def test_nothing_but_its_own_customer_id_is_written_to_a_profile(app: FakeApp) -> None:
    app.run()
    sent = app.world.dataverse.touch_requests
    assert {name for request in sent for name in request.body} == {"msdynci_customerid"}
    assert all(request.headers["if-match"].startswith("W/") for request in sent)


def test_a_switch_turns_it_off(make_app: Callable[..., FakeApp]) -> None:
    app = make_app(touch_profiles=False)
    run = app.run()
    assert (run.counts.linked, run.touches, customers(app), waiting(app)) == (3, None, {}, [])
    assert not app.called["plan_touch"]


# ---- apart from everything else ----


def test_a_run_after_the_touch_finds_nothing_to_do_and_none_follows_by_itself(linked: FakeApp) -> None:
    """The touch makes every profile newer than it was when the run began."""
    run = linked.run()
    assert (run.mode, run.counts.unchanged, run.counts.linked, run.follow_up) == (Mode.INCREMENTAL, 5, 0, None)
    assert (run.touches, customers(linked)) == (Touches(), {})


def test_the_timer_sees_no_new_unification_in_a_touch(app: FakeApp) -> None:
    assert app.run(jobs=("job",)).status is Status.SUCCESSFUL
    started: list[str] = []

    async def start(ticket: object) -> None:
        started.append(str(ticket))

    app.do(run_requests.poll(app.world.deps, start))
    assert started == []
    app.world.dataverse.touches.clear()  # somebody else wrote the profiles again, later than ever
    app.world.dataverse.marks["msdynci_customerprofiles"] = "2026-11-02T00:00:00Z"
    app.do(run_requests.poll(app.world.deps, start))
    assert len(started) == 1


def test_a_dry_run_says_how_many_would_be_touched_and_touches_none(app: FakeApp) -> None:
    run = app.run(dry_run=True)
    assert (run.status, run.touches) == (Status.SUCCESSFUL, Touches(profiles=3))
    assert (customers(app), waiting(app)) == ({}, [])


def test_a_dry_run_leaves_alone_what_waits_for_a_real_one(app: FakeApp) -> None:
    dies_before(app.world, "touch")
    with pytest.raises(DiedError):
        app.run()
    left = waiting(app)
    assert left
    app.do(forget(app.world.deps.waiting, dry_run=True))
    assert waiting(app) == left


def test_a_virtual_profile_table_is_reported_and_not_failed(app: FakeApp) -> None:
    app.world.dataverse.profile_table.table_type = "Virtual"
    app.world.dataverse.profile_table.provider = "7015a531-cc0d-4537-b5f2-c882a1eb65ad"
    run = app.run()
    assert (run.status, run.touches, run.warnings) == (Status.SUCCESSFUL, Touches(), ())
    assert any("the profile table is virtual" in note for note in run.notes)
    assert waiting(app) == []


@pytest.mark.parametrize("kind", [TableKind.STANDARD, TableKind.ELASTIC])
def test_standard_and_elastic_profiles_are_touched(app: FakeApp, kind: TableKind) -> None:
    app.do(app.world.can(kind=kind))
    run = app.run()
    assert run.touches is not None
    assert run.touches.touched == run.touches.profiles > 0


def test_more_profiles_than_the_setting_allows_are_left_out_with_what_they_would_cost(
    make_app: Callable[..., FakeApp],
) -> None:
    app = make_app(touch_max_profiles=1)
    run = app.run()
    assert (run.status, run.touches) == (Status.SUCCESSFUL, Touches())
    assert any("more than 1 (LINKER_TOUCH_MAX_PROFILES)" in note and "minutes" in note for note in run.notes)


def test_a_profile_that_changes_meanwhile_keeps_its_new_value_and_counts_as_touched(app: FakeApp) -> None:
    """Version 1 read the CustomerId and wrote it back without a version, over whatever Customer Insights had written."""
    changed: list[str] = []

    def merges(asked: Request) -> None:
        if asked.kind == "touch" and not changed:
            profile = min(app.world.dataverse.profiles)
            changed.append(profile)
            app.world.dataverse.profiles[profile] = "merged"
            app.world.dataverse.touches[profile] += 1

    app.world.dataverse.hooks.append(merges)
    run = app.run()
    assert run.touches is not None
    assert (run.touches.touched, run.touches.refused) == (run.touches.profiles, 0)
    assert app.world.dataverse.profiles[changed[0]] == "merged"


def test_an_app_that_may_not_write_profiles_says_so_and_its_run_is_successful(app: FakeApp) -> None:
    def forbid(asked: Request) -> None:
        if asked.kind == "touch":
            raise Refusal(403, "0x80040220", "Principal user is missing prvWritemsdynci_customerprofile privilege")

    app.world.dataverse.hooks.append(forbid)
    run = app.run()
    assert (run.status, run.counts.linked) == (Status.SUCCESSFUL, 5)
    assert any("prvWritemsdynci_customerprofile" in note for note in run.notes)
    assert waiting(app) == []


def test_a_touch_that_ends_in_the_middle_says_that_only_the_others_were_not_touched(
    app: FakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.world.dataverse.profile_table.bulk = False
    seen: list[Request] = []

    def forbid(asked: Request) -> None:
        seen.append(asked) if asked.kind == "touch" else None
        if len(seen) == 2:
            raise Refusal(404, "", "Resource not found for the segment.")

    monkeypatch.setattr(touch, "PROFILES_A_CALL", 1)
    app.world.dataverse.hooks.append(forbid)
    run = app.run()
    assert run.touches is not None
    assert (run.status, run.touches.touched) == (Status.SUCCESSFUL, 1)
    assert any(note.startswith("The other customer profiles were not touched: ") for note in run.notes)


FLOW = {"callbackregistrationid": contact_id(1), "name": "Score the profile", "filteringattributes": None}


def unreadable(asked: Request) -> None:
    if asked.path == "callbackregistrations":
        raise Refusal(403, "0x80040220", "no access")


@pytest.mark.parametrize(
    ("flows", "policy", "touched", "told"),
    [
        pytest.param([], "block", True, "", id="nothing is registered"),
        pytest.param([FLOW], "warn", True, "cloud flow 'Score the profile'", id="warn names it"),
        pytest.param([FLOW], "block", False, "(LINKER_AUTOMATIONS=block)", id="block leaves the touch out"),
        pytest.param([FLOW], "bypass", True, "", id="bypass keeps it from running"),
        pytest.param([FLOW | {"filteringattributes": "jobtitle"}], "block", True, "", id="another column"),
        pytest.param(None, "block", False, "no access", id="block leaves it out where nobody can tell"),
        pytest.param(None, "warn", True, "no access", id="warn says that nobody can tell"),
    ],
)
async def test_the_policy_on_automations_holds_for_the_touch(
    flows: list[dict[str, object]] | None, policy: str, touched: bool, told: str
) -> None:
    world = World(automations=policy)
    await world.prepare()
    await world.deps.waiting.note("run1", "a", [world.dataverse.profile("c1")], dry_run=False)
    world.dataverse.flows = flows or []
    world.dataverse.hooks += [] if flows is not None else [unreadable]
    plan = await plan_touch(world.deps, TouchRef("run1"))
    run = await world.deps.runs.load("run1")
    assert run is not None
    assert (bool(plan.parts), bool(plan.left_out)) == (touched, not touched)
    assert told in plan.left_out + " ".join(run.notes)
    assert bool(plan.left_out or run.notes) == bool(told)


# ---- what goes wrong on the way ----


@pytest.mark.parametrize("bulk", [True, False])
def test_a_profile_that_vanishes_meanwhile_is_no_error(app: FakeApp, bulk: bool) -> None:
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


def test_a_throttle_is_waited_out_and_the_touch_goes_on(app: FakeApp) -> None:
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


# ---- large numbers ----


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
