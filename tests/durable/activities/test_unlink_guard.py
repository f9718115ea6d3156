"""The guard of unlinking: how much of a table may leave at once, and within a day."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linker.adapters.storage import Documents, UnlinkedRows
from linker.adapters.storage.table_states import MEMORY_S
from linker.core.model import Status, UnlinkAllowance
from linker.durable.activities.unlink_table import guard
from tests.fakes.app import FakeApp
from tests.fakes.memory_tables import MemoryTables
from tests.fakes.world import contact_id

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


async def test_a_call_that_is_delivered_again_counts_once_and_old_ones_are_forgotten() -> None:
    kept = UnlinkedRows(Documents(MemoryTables(), "env"))
    for rows in (5, 0, 5):
        await kept.add("contact", "r1", "s0", rows, 0.0)
    await kept.add("contact", "r1", "s1", 2, 10.0)
    await kept.add("contact", "r2", "s0", 1, 20.0)
    assert await kept.before("contact", "r3", 30.0) == 8
    assert await kept.before("contact", "r1", 30.0) == 1
    assert await kept.before("contact", "r3", MEMORY_S + 5.0) == 3
    assert await kept.before("lead", "r3", 30.0) == 0
