"""The guard of unlinking: how much of a table may leave at once, and within a day."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linker.adapters.storage import Documents, UnlinkedRows
from linker.adapters.storage.table_states import MEMORY_S
from linker.core.linking.shards import shard_of
from linker.core.model import Status, UnlinkAllowance
from linker.durable.activities.unlink_table import guard
from tests.fakes.app import FakeApp
from tests.fakes.memory_tables import MemoryTables
from tests.fakes.world import DiedError, World, contact_id, key_of

PEOPLE, STEP = 30, 3  # a step is 10 %, which the guard lets pass


@pytest.mark.parametrize(
    ("departed", "rows", "share", "held"),
    [
        pytest.param(1, 10, 0.1, "", id="as much as allowed"),
        pytest.param(2, 10, 0.1, "2 of 10", id="more than allowed"),
        pytest.param(10, 10, 1.0, "no row", id="nothing left, whatever is allowed"),
        pytest.param(9, 10, 1.0, "", id="everything but one is allowed"),
        pytest.param(1, 1_000, 0.0, "1 of 1,000", id="nothing is allowed"),
    ],
)
def test_guard(departed: int, rows: int, share: float, held: str) -> None:
    found = guard(departed, rows, share)
    assert held in found
    assert bool(found) == bool(held)


@pytest.mark.parametrize(
    ("departed", "rows", "earlier", "held"),
    [
        pytest.param(25, 300, 0, "", id="the first step"),
        pytest.param(26, 275, 25, "after 25 that were unlinked in the last 24 hours", id="the next one, seconds later"),
        pytest.param(5, 275, 25, "", id="a small one still fits"),
        pytest.param(6, 275, 25, "6 of 275", id="one row more does not"),
        pytest.param(1, 1_000, 1_000, "1 of 1,000", id="after half of a table"),
    ],
)
def test_the_share_counts_what_was_unlinked_before(departed: int, rows: int, earlier: int, held: str) -> None:
    found = guard(departed, rows, 0.1, earlier=earlier)
    assert held in found
    assert bool(found) == bool(held)


@pytest.mark.parametrize(
    ("departed", "rows", "allowed", "held"),
    [
        pytest.param(5, 10, [UnlinkAllowance("contact", 5)], "", id="as many as allowed"),
        pytest.param(6, 10, [UnlinkAllowance("contact", 5)], "beyond what is allowed", id="more than allowed"),
        pytest.param(
            6,
            10,
            [UnlinkAllowance("contact", 5), UnlinkAllowance("contact", 4)],
            "6 of 10",
            id="allowances are not added up",
        ),
        pytest.param(6, 10, [UnlinkAllowance("contact", 5), UnlinkAllowance("contact", 6)], "", id="one is enough"),
        pytest.param(1, 10, [UnlinkAllowance("contact", 0)], "", id="the share needs no allowance"),
        pytest.param(10, 10, [UnlinkAllowance("contact", 10)], "no row", id="an empty mapping needs a second word"),
        pytest.param(10, 10, [UnlinkAllowance("contact", 10, empty_mapping=True)], "", id="and passes with it"),
        pytest.param(
            11, 11, [UnlinkAllowance("contact", 10, empty_mapping=True)], "beyond", id="an empty mapping of more rows"
        ),
    ],
)
def test_the_guard_with_an_allowance(departed: int, rows: int, allowed: list[UnlinkAllowance], held: str) -> None:
    found = guard(departed, rows, 0.1, allowed)
    assert held in found
    assert bool(found) == bool(held)


def leave(app: FakeApp, first: int, rows: int = STEP) -> None:
    for number in range(first, first + rows):
        app.world.dataverse.map(contact_id(number), None)


@pytest.fixture
def app(make_app: Callable[..., FakeApp]) -> FakeApp:
    """Thirty people, all linked, of whom three have left and lost their links."""
    made = make_app()
    made.world.people(PEOPLE)
    made.run()
    leave(made, 1)
    assert made.run().counts.unlinked == STEP
    return made


def test_a_second_step_in_the_same_day_is_held_back_and_says_why(app: FakeApp) -> None:
    leave(app, 10)
    run = app.run()
    assert (run.status, run.counts.unlinked, run.tables[0].held_back) == (Status.WARNINGS, 0, STEP)
    assert "after 3 that were unlinked in the last 24 hours" in run.tables[0].detail


def test_a_dry_run_says_the_same(app: FakeApp) -> None:
    leave(app, 10)
    assert app.run(dry_run=True).counts.unlinked == 0


def test_a_day_later_it_passes(app: FakeApp) -> None:
    leave(app, 10, 2)
    assert app.run().counts.unlinked == 0
    app.world.clock.pass_s(MEMORY_S + 1)
    assert app.run().counts.unlinked == 2


def test_an_operator_may_allow_it_and_what_was_allowed_does_not_count_afterwards(app: FakeApp) -> None:
    leave(app, 10)
    allowed = app.run(unlink_allowed=(UnlinkAllowance("contact", STEP),))
    assert allowed.counts.unlinked == STEP
    app.world.clock.pass_s(MEMORY_S + 1)
    leave(app, 20, 2)
    assert app.run().counts.unlinked == 2


async def test_rows_of_a_run_add_up_and_old_ones_are_forgotten() -> None:
    kept = UnlinkedRows(Documents(MemoryTables(), "env"))
    await kept.add("contact", "r1", 5, 0.0)
    await kept.add("contact", "r1", 2, 10.0)
    await kept.add("contact", "r2", 1, 20.0)
    assert await kept.before("contact", "r3", 30.0) == 8
    assert await kept.before("contact", "r1", 30.0) == 1
    assert await kept.before("contact", "r3", MEMORY_S + 15.0) == 1
    assert await kept.before("lead", "r3", 30.0) == 0


async def test_steps_that_an_earlier_version_noted_count() -> None:
    documents = Documents(MemoryTables(), "env")
    steps = [{"run": "r1", "after": after, "at": 0.0, "rows": 3} for after in ("", "s1")]
    await documents.save("unlinked-contact", {"steps": steps})
    kept = UnlinkedRows(documents)
    assert await kept.before("contact", "r2", 1.0) == 6
    await kept.add("contact", "r1", 1, 2.0)
    assert await kept.before("contact", "r2", 3.0) == 7


SHARDS = 4
# A contact of each shard.
CONTACTS = [next(n for n in range(1, 100) if shard_of(key_of(n), 2).number == shard) for shard in range(SHARDS)]


async def three_shards() -> World:
    """Return a world with removed rows in three of four shards, which run1 noted."""
    world = World()
    for number in CONTACTS:
        world.contact(number, f"c{number}")
    await world.prepare("run0", bits=2)
    await link_all(world, "run0")
    for number in CONTACTS[1:]:
        world.dataverse.map(contact_id(number), None)
    assert await link_all(world, "run1") == SHARDS - 1
    return world


async def link_all(world: World, run: str) -> int:
    """Link every shard; return how many rows left the mapping."""
    await world.prepare(run)
    scan = await world.scan(run)
    return sum([(await world.link(run, scan=scan, number=number)).departed for number in range(SHARDS)])


async def guarded_after_a_death(at: int | None) -> tuple[bool, int]:
    """Let the host die before storage write number `at` of the unlinking. Return whether it died, and what the guard of the
    next run counts.
    """
    world = await three_shards()
    written = len(world.store.writes)

    def die(operation: str, *_: str) -> None:
        if operation not in ("get", "header") and len(world.store.writes) - written - 1 == at:
            raise DiedError

    world.store.hooks.append(die)
    died = False
    try:
        await world.unlink("run1", departed=SHARDS - 1)
    except DiedError:
        died = True
    world.store.hooks.clear()
    world.clock.pass_s(1_000)
    world.deps = world.host()
    left = await link_all(world, "run2")
    return died, left + await world.deps.unlinked.before("contact", "run2", world.clock())


async def test_a_host_that_dies_anywhere_loses_nothing_of_what_the_guard_counts() -> None:
    """Each row counts as cleared or as still to be cleared; those of the one shard that was worked on may count as both."""
    assert await guarded_after_a_death(None) == (False, SHARDS - 1)
    deaths, at = list[int](), 0
    while (found := await guarded_after_a_death(at))[0]:
        deaths.append(found[1])
        at += 1
    assert len(deaths) == 3 * (SHARDS - 1)  # a shard is taken, noted, and saved
    assert min(deaths) == SHARDS - 1
    assert max(deaths) <= SHARDS
