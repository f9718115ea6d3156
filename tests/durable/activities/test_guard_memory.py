"""The guard of unlinking remembers a day: small steps do not empty a table."""

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
