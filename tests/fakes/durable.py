"""Runs an orchestrator generator to its end: activities are functions, time passes in steps, children are driven alike.

The tasks are durabletask's own, so that waiting for any of them means what it means in production.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any

from durabletask.task import CompletableTask

type Activity = Callable[[dict[str, Any]], dict[str, Any]]
type Orchestrator = Callable[[Any, dict[str, Any]], Generator[Any, Any, dict[str, Any]]]


class FakeContext:
    """What an orchestrator sees. `called` lists (seconds since the start, name, input) in the order of the calls."""

    def __init__(self, activities: dict[str, Activity], children: dict[str, Orchestrator] | None = None) -> None:
        self.activities, self.children = activities, children or {}
        self.began = self.current_utc_datetime = datetime(2026, 11, 1, tzinfo=UTC)
        self.called: list[tuple[float, str, Any]] = []
        self.seconds: Callable[[str, dict[str, Any]], float] = lambda name, task: 1.0
        self.flying = self.most_flying = 0
        self.child_ids: list[str] = []
        self.largest_bytes: dict[str, int] = {}
        self.slept: Callable[[float], None] = lambda seconds: None  # called when a timer ends
        self._due: list[tuple[datetime, int, Callable[[], None]]] = []
        self._order = count()

    @property
    def now_s(self) -> float:
        """Seconds since the start."""
        return (self.current_utc_datetime - self.began).total_seconds()

    def names(self) -> list[str]:
        """Return the activities in the order of their calls."""
        return [name for _, name, _ in self.called]

    def of(self, name: str) -> list[dict[str, Any]]:
        """Return the inputs of one activity."""
        return [task for _, called, task in self.called if called == name]

    # ---- what orchestrators call ----

    def call_activity(self, name: str, *, input: dict[str, Any]) -> CompletableTask[Any]:  # noqa: A002 - their name
        task: CompletableTask[Any] = CompletableTask()
        self.called.append((self.now_s, name, input))
        self._weigh(name, input)
        if name == "link_shard":
            self.flying += 1
            self.most_flying = max(self.most_flying, self.flying)
        self._later(self.seconds(name, input), lambda: self._run(task, name, input))
        return task

    def create_timer(self, wait: timedelta) -> CompletableTask[Any]:
        task: CompletableTask[Any] = CompletableTask()
        self.called.append((self.now_s, "timer", wait.total_seconds()))
        self._later(wait.total_seconds(), lambda: self._wake(task, wait.total_seconds()))
        return task

    def _wake(self, task: CompletableTask[Any], seconds: float) -> None:
        self.slept(seconds)
        task.complete(None)

    def call_sub_orchestrator(self, name: str, *, input: dict[str, Any], instance_id: str) -> CompletableTask[Any]:  # noqa: A002
        task: CompletableTask[Any] = CompletableTask()
        self.child_ids.append(instance_id)
        self._weigh(name, input)
        answer = self.run(self.children[name], input)
        self._weigh(name, answer)
        task.complete(answer)
        return task

    # ---- the engine ----

    def run(self, orchestrator: Orchestrator, task: dict[str, Any]) -> dict[str, Any]:
        """Return the output of an orchestrator."""
        steps = orchestrator(self, json.loads(json.dumps(task)))
        waits_for = next(steps)
        while True:
            while not waits_for.is_complete:
                self.current_utc_datetime, _, happens = heappop(self._due)
                happens()
            try:
                if waits_for.is_failed:
                    waits_for = steps.throw(waits_for.get_exception())
                else:
                    waits_for = steps.send(waits_for.get_result())
            except StopIteration as stop:
                return json.loads(json.dumps(stop.value))  # type: ignore[no-any-return]

    def _run(self, task: CompletableTask[Any], name: str, given: dict[str, Any]) -> None:
        self.flying -= name == "link_shard"
        try:
            answer = self.activities[name](given)
        except ArithmeticError as error:
            task.fail(f"{name} failed", error)
            return
        self._weigh(name, answer)
        task.complete(json.loads(json.dumps(answer)))

    def _later(self, seconds: float, happens: Callable[[], None]) -> None:
        heappush(self._due, (self.current_utc_datetime + timedelta(seconds=seconds), next(self._order), happens))

    def _weigh(self, name: str, value: dict[str, Any]) -> None:
        self.largest_bytes[name] = max(self.largest_bytes.get(name, 0), len(json.dumps(value)))
