"""Each profile that got a newly linked row is touched once, apart from all other writes (docs/dev/proofs.md G20)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linker.core.capabilities import TableKind
from linker.core.linking.mapping_scan import TableState
from linker.core.model import Mode, Status, Touches
from linker.core.runs.generation_values import TouchRef
from linker.durable.activities import touch_profiles as touch
from linker.durable.activities.touch_profiles import plan_touch
from linker.services import run_requests
from tests.durable.activities.touches import customers, forget, waiting
from tests.fakes.app import FakeApp
from tests.fakes.moments import dies_before
from tests.fakes.requests import Refusal, Request
from tests.fakes.world import DiedError, World, contact_id


@pytest.fixture
def linked(app: FakeApp) -> FakeApp:
    """The same after its first run."""
    run = app.run()
    assert (run.status, run.follow_up) == (Status.SUCCESSFUL, None)
    app.world.dataverse.touches.clear()
    app.world.dataverse.touch_requests.clear()
    return app


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
    assert app.called["link_shard"] == 4 + 1, "the shard that proved the first link began twice"
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


def test_only_its_own_customer_id_is_written_to_a_profile(app: FakeApp) -> None:
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
    app.world.dataverse.touches.clear()  # another writer wrote the profiles again, later than ever
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
        pytest.param(None, "block", False, "no access", id="block leaves it out where the answer is unknown"),
        pytest.param(None, "warn", True, "no access", id="warn says that the answer is unknown"),
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
