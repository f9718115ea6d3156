"""The whole app in one process: the activities of its function_app.py over a World, driven by the real orchestrators."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from functools import cache, partial
from typing import Any, Protocol

import pytest

from linker import bootstrap
from linker.core.model import Run, RunRequest, Ticket
from linker.core.runs.activity_values import RunRef
from linker.core.serialization import from_json, to_json
from linker.deps import Deps
from linker.durable.orchestrators import ORCHESTRATOR, ORCHESTRATORS
from linker.services import housekeeping, run_requests
from sandbox.host.functions import ACTIVITY, HostedFunction, load_functions, of_kind
from tests.fakes.durable import FakeContext


class Passing(Protocol):
    """A clock that passes when a test says so."""

    def pass_s(self, seconds: float) -> None:
        """Let seconds pass."""


class Hosted(Protocol):
    """What an app runs on: a World is one."""

    @property
    def deps(self) -> Deps:
        """What activities use."""

    @property
    def clock(self) -> Passing:
        """The time that they see."""


class FakeApp:
    """Runs what is asked for to its end, and then the runs that follow. `called` counts the activities of the last request."""

    def __init__(self, world: Hosted, monkeypatch: pytest.MonkeyPatch, loop: asyncio.Runner) -> None:
        self.world = world
        self.called: Counter[str] = Counter()
        self._loop = loop
        self._started: list[Ticket] = []
        self._known: set[str] = set()  # the task hub starts none twice
        monkeypatch.setattr(bootstrap, "deps", lambda: self.world.deps)

    def run(self, **request: Any) -> Run:
        """Ask for a run and return it as it ended."""
        self.called.clear()
        asked = self._loop.run(run_requests.request_run(self.world.deps, RunRequest(**request), self._start))
        self._go_on()
        return self.shown(asked.id)

    def recover(self) -> Run:
        """Let the watchdog find the run that died; return the one that continues its work as it ended."""
        self.world.clock.pass_s(self.world.settings.lease_seconds)
        follower = self.watch()
        assert follower is not None
        return follower

    def watch(self) -> Run | None:
        """Let the watchdog look; return the run that continues a dead one's work as it ended, None without one."""
        self.called.clear()
        follower = self._loop.run(housekeeping.watch_runs(self.world.deps, self._start))
        self._go_on()
        return self.shown(follower) if follower else None

    def do[T](self, work: Coroutine[Any, Any, T]) -> T:
        """Do something with what the app uses."""
        return self._loop.run(work)

    def shown(self, run: str) -> Run:
        """Return a run as the API would show it."""
        found = self._loop.run(self.world.deps.runs.load(run))
        assert found is not None
        return found

    async def _start(self, ticket: Ticket) -> None:
        if ticket.run not in self._known:
            self._known.add(ticket.run)
            self._started.append(ticket)

    def _go_on(self) -> None:
        activities = {each.durable_name: partial(self._call, each) for each in hosted_activities()}
        activities["start_run"] = self._start_next  # without a durable client
        while self._started:
            ctx = FakeContext(activities, ORCHESTRATORS)
            ctx.slept = self.world.clock.pass_s  # activities see the same time
            self.context = ctx
            ctx.run(ORCHESTRATORS[ORCHESTRATOR], to_json(self._started.pop(0)))

    def _call(self, activity: HostedFunction, task: dict[str, Any]) -> dict[str, Any]:
        self.called[activity.durable_name] += 1
        answer: dict[str, Any] = self._loop.run(activity.call(**{activity.trigger.name: task}))
        return answer

    def _start_next(self, task: dict[str, Any]) -> dict[str, Any]:
        ticket = from_json(Ticket, task)
        self._loop.run(self._start(ticket))
        return to_json(RunRef(ticket.run))


@cache
def hosted_activities() -> list[HostedFunction]:
    """Return the activities of function_app.py."""
    return of_kind(load_functions(), ACTIVITY)  # an app can be indexed once
