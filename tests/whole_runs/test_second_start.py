"""A run that is started twice, as on two task hubs over one storage: one start overtakes the other at every step of it.

Activities are delivered at least once, so each of them has to be harmless at any later time of its run. Here a second start of
the whole run works between two activities of the first one, to its end or until its host dies.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import shard_of
from linker.core.model import Counts, Mode, Run, Status, Ticket
from linker.core.serialization import to_json
from linker.durable.activities import unlink_table
from linker.durable.orchestrators import ORCHESTRATOR, ORCHESTRATORS
from sandbox.host.functions import HostedFunction
from tests.fakes.app import FakeApp, hosted_activities
from tests.fakes.durable import FakeContext
from tests.fakes.world import contact_id, key_of

PEOPLE = 3  # of the fixture
type Made = Callable[..., FakeApp]


class HostDiedError(Exception):
    """The host of the second start died."""


class TwiceStarted:
    """Lets the run be started again before the activity of this number, counted from 0; that start does `most` of its own."""

    def __init__(self, app: FakeApp, before: int, most: int) -> None:
        self._app, self._before, self._most = app, before, most
        self._first = app._call
        app._call = self._call  # type: ignore[method-assign]  # the activities of the first start

    def _call(self, activity: HostedFunction, task: dict[str, Any]) -> dict[str, Any]:
        if self._before == 0 and (ticket := self._app.do(self._app.world.deps.lock.peek()).holder):
            self._start_again(ticket)
        self._before -= 1
        return self._first(activity, task)

    def _start_again(self, ticket: Ticket) -> None:
        activities = {each.durable_name: partial(self._call_again, each) for each in hosted_activities()}
        activities["start_run"] = self._app._start_next
        ctx = FakeContext(activities, ORCHESTRATORS)
        ctx.slept = self._app.world.clock.pass_s
        try:
            ctx.run(ORCHESTRATORS[ORCHESTRATOR], to_json(ticket))
        except HostDiedError:
            return

    def _call_again(self, activity: HostedFunction, task: dict[str, Any]) -> dict[str, Any]:
        if self._most == 0:
            raise HostDiedError
        self._most -= 1
        return self._first(activity, task)


def linked_world(make_app: Made) -> FakeApp:
    """Return an app whose next run links a new row, moves one and unlinks one."""
    app = make_app(unlink_max_share=1)
    assert app.run().status is Status.SUCCESSFUL
    world = app.world
    world.contact(PEOPLE + 1, "c4")
    world.dataverse.map(contact_id(1), "c4")
    world.dataverse.map(contact_id(2), None)
    return app


def removed_world(make_app: Made) -> FakeApp:
    """Return an app whose next run unlinks a row in each of three shards, one shard a call."""
    app = make_app(unlink_max_share=1)
    app.do(app.world.deps.states.save("contact", TableState(bits=2), None))
    numbers = [next(n for n in range(PEOPLE + 1, 100) if shard_of(key_of(n), 2).number == shard) for shard in range(3)]
    for number in numbers:
        app.world.contact(number, f"s{number}")
    assert app.run().status is Status.SUCCESSFUL
    for number in numbers:
        app.world.dataverse.map(contact_id(number), None)
    return app


def first_world(make_app: Made) -> FakeApp:
    return make_app()


WORLDS = {"first link": first_world, "rows that come, move and leave": linked_world, "rows leave": removed_world}
MOST = {"all": -1, **{f"{steps} steps": steps for steps in range(1, 22, 4)}}


@pytest.mark.parametrize("most", MOST.values(), ids=MOST)
@pytest.mark.parametrize("begins", WORLDS.values(), ids=WORLDS)
def test_a_second_start_of_a_run_changes_nothing_of_how_it_ends(
    make_app: Made, begins: Any, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unlink_table, "SHARDS_A_CALL", 1)
    alone = begins(make_app)
    expected = alone.run()
    steps = alone.called.total()
    assert expected.status is Status.SUCCESSFUL
    for before in range(steps):
        app = begins(make_app)
        TwiceStarted(app, before, most)
        run = app.run()
        assert told(run) == told(expected), (before, run)
        assert (run.status, run.status_detail) == (expected.status, "")
        assert app.world.links() == alone.world.links()
        again = app.run(mode=Mode.FULL)
        assert (again.status, again.counts.linked, again.counts.unlinked) == (Status.SUCCESSFUL, 0, 0)


def told(run: Run) -> tuple[Status, str, Counts, list[tuple[str, Status, str, Counts]]]:
    tables = [(table.table, table.status, table.detail, table.counts) for table in run.tables]
    return run.status, run.status_detail, run.counts, tables
