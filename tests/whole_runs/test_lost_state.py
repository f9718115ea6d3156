"""State and Dataverse disagree: something was lost, restored or copied. One run sets everything right with the fewest writes.

Each case changes the world after a first run. Then one row moves, one leaves the mapping, and one joins it with the right link.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import pytest

from linker.core.model import Counts, Mode, Run, Status
from linker.deps import Deps
from sandbox.host.functions import HostedFunction
from tests.fakes.app import FakeApp
from tests.fakes.insights import FakeInsights
from tests.fakes.moments import dies_after
from tests.fakes.requests import Refusal
from tests.fakes.world import DiedError, World, contact_id

PEOPLE = 40
MOVED, LEFT, JOINED = contact_id(1), contact_id(2), contact_id(PEOPLE + 1)

type Happens = Callable[[FakeApp], None]


@pytest.fixture
def app(make_app: Callable[..., FakeApp]) -> FakeApp:
    """The app after its first run."""
    app = make_app()
    app.world.people(PEOPLE)
    assert app.run().status is Status.SUCCESSFUL
    return app


def forget(world: World) -> None:
    world.dataverse.written.clear()


def life_goes_on(world: World) -> None:
    """Let a row move, one leave, and one join with the link that another writer gave it already."""
    world.dataverse.map(MOVED, "c3")
    world.dataverse.map(LEFT, None)
    world.contact(PEOPLE + 1, f"c{PEOPLE + 1}")
    world.dataverse.link_by_hand(JOINED, f"c{PEOPLE + 1}")
    world.dataverse.marks = dict.fromkeys(world.dataverse.marks, "2026-11-20T09:00:00Z")
    world.clock.pass_s(60)


def other_process(app: FakeApp) -> None:
    """Let the app run in a new process: what the old one had in memory is gone."""
    app.world.deps = replace(app.world.host(), insights=FakeInsights())  # type: ignore[arg-type]


# ---- what may be lost ----


def nothing(_: FakeApp) -> None:
    """Everything stays."""


def entities(prefix: str, *, table: str = "linkerstatus") -> Happens:
    """Lose the entities of a table whose row key begins so."""

    def lose(app: FakeApp) -> None:
        found = app.world.store.entities
        gone = [key for key in found if key[0] == table and key[2].startswith(prefix)]
        assert gone
        for key in gone:
            del found[key]

    return lose


def all_of(*happens: Happens) -> Happens:
    def all_happen(app: FakeApp) -> None:
        for each in happens:
            each(app)

    return all_happen


def all_storage(app: FakeApp) -> None:
    app.world.store.entities.clear()


def damaged_blocks(app: FakeApp) -> None:
    found = app.world.store.entities
    for key in [key for key in found if key[0] == "linkerhashes"]:
        found[key] = replace(found[key], properties={**found[key].properties, "digest": "0"})


def other_salt(app: FakeApp) -> None:
    entities("salt")(app)
    app.do(app.world.deps.documents.insert("salt", "ab" * 16))


def older_storage(app: FakeApp) -> None:
    """Storage goes back to before a run that moved a few rows and let one go."""
    world, kept = app.world, deepcopy(app.world.store.entities)
    world.dataverse.map(contact_id(5), "c6")
    world.dataverse.map(contact_id(7), None)
    app.run()
    world.store.entities = kept


def older_dataverse(app: FakeApp) -> None:
    """The rows of the environment go back to before a run that moved one row and let another go."""
    world, before = app.world, app.world.links()
    world.dataverse.map(contact_id(5), "c6")
    world.dataverse.map(contact_id(7), None)
    app.run()
    for key in (contact_id(5), contact_id(7)):
        world.dataverse.link_by_hand(key, before[key])
    world.dataverse.map(contact_id(7), "c7")


def all_customer_ids_change(app: FakeApp) -> None:
    """Unification names every customer in another way; profiles keep their ids."""
    fake = app.world.dataverse
    fake.profiles = {profile: f"{customer}x" for profile, customer in fake.profiles.items()}
    for row in fake.mapping:
        row["msdynci_customerid"] += "x"


@dataclass(frozen=True, slots=True)
class Case:
    """What happens, and what the next run says. `writes` of links are needed, and `kept` says that nothing knows any more that
    the row which left is ours: it is reported then, and waits for an operator.
    """

    happens: Happens
    reason: str = ""
    writes: int = 1
    unlinked: int = 1
    kept: bool = False
    told: bool = True
    gone: int = 0  # rows without a link that left, too
    moves_to: str = "c3"


CASES = {
    "nothing": Case(nothing, "only rows that changed"),
    "the salt": Case(entities("salt"), "only rows that changed"),
    "the salt and the process": Case(all_of(entities("salt"), other_process), "made with another secret"),
    "another salt": Case(other_salt, "made with another secret"),
    "another salt, new process": Case(all_of(other_salt, other_process), "made with another secret"),
    "the lock": Case(entities("lock"), "only rows that changed"),
    "the state of the table": Case(entities("table-"), "what was known of the table is lost"),
    "the state and the salt": Case(
        all_of(entities("table-"), entities("salt"), other_process), "what was known of the table is lost"
    ),
    "the scan": Case(entities("scan-"), "only rows that changed"),
    "streams and scan": Case(all_of(entities("scan-"), entities("stream-")), "only rows that changed"),
    "the runs": Case(entities("run-"), "only rows that changed"),
    "what tables can do": Case(entities("capabilities"), "only rows that changed"),
    "all but the salt": Case(
        all_of(entities("l"), entities("r"), entities("t"), entities("c")), "what was known of the table is lost"
    ),
    "the blocks": Case(
        entities("", table="linkerhashes"), "what was known of some rows is lost", unlinked=0, kept=True
    ),
    "damaged blocks": Case(damaged_blocks, "only rows that changed", unlinked=0, kept=True, told=False),
    "all of storage": Case(all_storage, "first run on this table", unlinked=0, kept=True),
    "storage and process": Case(all_of(all_storage, other_process), "first run on this table", unlinked=0, kept=True),
    "older storage": Case(older_storage, "not as they were confirmed", gone=1),
    "older Dataverse": Case(older_dataverse, "not as they were confirmed", writes=2),
    "all CustomerIds": Case(all_customer_ids_change, "only rows that changed", moves_to="c3x"),
}


def as_told(run: Run) -> str:
    (table,) = run.tables
    return table.mode_reason


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_one_run_sets_everything_right_with_the_fewest_writes_and_says_what_it_found(app: FakeApp, case: Case) -> None:
    world = app.world
    case.happens(app)
    life_goes_on(world)
    world.dataverse.map(MOVED, case.moves_to)
    forget(world)
    run = app.run()
    assert case.reason in as_told(run)
    links = world.links()
    assert {key: links[key] for key in world.wanted()} == world.wanted()
    assert (links[LEFT] is not None) is case.kept
    assert dict(world.dataverse.written) == {
        kind: n for kind, n in {"bulk": case.writes, "clear": case.unlinked}.items() if n
    }
    assert run.counts == Counts(
        rows_read=PEOPLE + case.unlinked,
        linked=case.writes,
        unchanged=PEOPLE - case.writes - case.gone,
        unlinked=case.unlinked + case.gone,
    )
    assert ("knows, left alone: 1" in run.tables[0].detail) is (case.kept and case.told)

    forget(world)
    following = app.run()
    assert (following.tables[0].mode, world.dataverse.written.total()) == (Mode.INCREMENTAL, 0)
    assert following.counts == Counts(rows_read=PEOPLE - case.gone, unchanged=PEOPLE - case.gone)


# ---- secrets ----


def test_a_secret_that_storage_never_kept_is_stored_again_and_no_row_is_written_again(app: FakeApp) -> None:
    entities("salt")(app)  # Azurite was killed in the first run; the host continues with what it has in memory
    forget(app.world)
    app.run()
    other_process(app)
    run = app.run()
    assert as_told(run) == "only rows that changed"
    assert app.world.dataverse.written.total() == 0


def test_two_hosts_with_different_secrets_in_memory_never_fight(app: FakeApp) -> None:
    """Each host keeps the secret that it knows; the next runs alternate between them."""
    world, one = app.world, app.world.deps
    other_salt(app)
    other_process(app)
    two = app.world.deps
    app.do(two.salt())
    forget(world)
    told = []
    for deps in (one, two, one, two):
        world.deps = deps
        told.append(as_told(app.run()))
    assert told == ["the stored row hashes were made with another secret", *["only rows that changed"] * 3]
    assert world.dataverse.written.total() == 0


def test_a_host_that_remembers_another_secret_takes_part_in_a_run_with_that_of_the_run(app: FakeApp) -> None:
    world, old = app.world, app.world.deps
    other_salt(app)
    other_process(app)
    life_goes_on(world)
    forget(world)
    _alternates(app, old, world.deps)
    run = app.run()
    assert run.counts == Counts(rows_read=PEOPLE + 1, linked=1, unchanged=PEOPLE - 1, unlinked=1)
    assert dict(world.dataverse.written) == {"bulk": 1, "clear": 1}


def _alternates(app: FakeApp, *hosts: Deps) -> None:
    """Let each activity run on another host than the one before."""
    call, turns = app._call, cycle(hosts)

    def called(activity: HostedFunction, task: dict[str, Any]) -> dict[str, Any]:
        app.world.deps = next(turns)
        return call(activity, task)

    app._call = called  # type: ignore[method-assign]


# ---- figures ----


@pytest.mark.parametrize("mode", [Mode.FULL, Mode.VERIFY])
@pytest.mark.parametrize("dry_run", [False, True])
def test_drift_is_what_was_set_right_and_nothing_else(app: FakeApp, mode: Mode, dry_run: bool) -> None:
    """Three links were changed by hand: one is set right, one is refused, and the profile of one is gone."""
    world = app.world
    for number in (1, 2, 3):
        world.dataverse.link_by_hand(contact_id(number), "c9")
    world.dataverse.refuse[contact_id(2)] = Refusal(400, "0x80040265", "No.")
    world.dataverse.vanish("c3")
    run = app.run(mode=mode, dry_run=dry_run)
    detail = run.tables[0].detail
    assert ("and that were set right: 1." in detail) is not dry_run
    assert ("that a run would set right: 2." in detail) is dry_run
    assert world.links()[contact_id(1)] == ("c9" if dry_run else "c1")


async def test_drift_is_counted_once_by_the_attempt_after_one_that_died_between_write_and_save() -> None:
    world = World()
    world.people(3)
    await world.link("run0")
    world.dataverse.link_by_hand(contact_id(1), "c2")
    verify = {"mode": Mode.VERIFY, "epoch": "run1"}
    dies_after(world, "update")
    with pytest.raises(DiedError):
        await world.link("run1", **verify)
    world.clock.pass_s(world.settings.attempt_seconds)
    outcomes = [await world.link("run1", **verify) for _ in range(2)]  # delivered once more after it was saved
    assert [(one.counts.linked, one.drift) for one in outcomes] == [(1, 1), (1, 1)]
