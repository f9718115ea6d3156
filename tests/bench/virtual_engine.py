"""The engine in virtual time: its own orchestrator, activities, writer, and limiter, against the limits of the sandbox.

No clock of the machine is read, so what a run takes shows turns, pauses, and reads, on any machine alike.
"""

from __future__ import annotations

import asyncio
import json
import selectors
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from durabletask.task import CompletableTask

from bench.profiles import Profile
from linker.adapters.dataverse import http
from linker.core.model import Mode
from linker.core.runs.activity_values import Go, ShardTask, Totals
from linker.core.runs.generation_values import GenerationOutcome, GenerationTask, Share
from linker.core.serialization import from_json, to_json
from linker.durable.activities.link_shard import link_shard
from linker.durable.boundary import run_activity
from linker.durable.orchestrators.activity_calls import Steps
from linker.durable.orchestrators.generation import link_generation
from sandbox.middleware.service_protection import ServiceProtection, Work
from tests.fakes.requests import Refusal, Request
from tests.fakes.world import START, Clock, World

READ_S, STORE_S, HUB_S = 0.03, 0.005, 0.02  # of a read, an operation of Table Storage, and a turn of the task hub
SLICE_S = 48.0
RUN, TABLE = "run1", "contact"


class _Selector(selectors.DefaultSelector):
    """Lets time pass instead of waiting."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("The run waits for something that never comes.")
        self.now_s += max(0.0, timeout)
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now_s


class _Clock(Clock):
    """The loop's time, as epoch seconds."""

    def __call__(self) -> float:
        return START + asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Context:
    """What the orchestrator sees: each activity and each timer is a task of the loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._happened, self._tasks = engine, asyncio.Event(), set[asyncio.Task[None]]()
        self.current_utc_datetime = datetime.fromtimestamp(engine.world.clock(), UTC)

    def call_activity(self, name: str, *, input: dict[str, Any]) -> CompletableTask[Any]:  # noqa: A002 - their name
        return self._begin(self._engine.activity(name, input))

    def create_timer(self, wait: timedelta) -> CompletableTask[Any]:
        return self._begin(asyncio.sleep(wait.total_seconds()))

    def _begin(self, work: Coroutine[Any, Any, Any]) -> CompletableTask[Any]:
        durable: CompletableTask[Any] = CompletableTask()

        async def run() -> None:
            durable.complete(json.loads(json.dumps(await work)))
            self._happened.set()

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return durable

    async def drive(self, steps: Steps[dict[str, Any]]) -> dict[str, Any]:
        """Return the output of an orchestrator. Its time stands still while what it waits for is there already."""
        awaited = next(steps)
        while True:
            if not awaited.is_complete:
                while not awaited.is_complete:
                    self._happened.clear()
                    await self._happened.wait()
                await asyncio.sleep(HUB_S)
                self.current_utc_datetime = datetime.fromtimestamp(self._engine.world.clock(), UTC)
            try:
                awaited = steps.send(awaited.get_result())
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]


class Engine:
    """A first link of `rows` rows in 2**`bits` shards under one profile. `written` and `refused` count rows and answers."""

    def __init__(self, profile: Profile, rows: int, bits: int) -> None:
        self.config, self.rows, self.bits = profile.sandbox(), rows, bits
        self.world = World()
        self.world.clock = _Clock()
        self.world.deps = self.world.host()
        self.world.dataverse.dop_hint = self.config.dop_hint
        self.world.people(rows)
        self.protection = ServiceProtection(lambda: self.config, lambda: asyncio.get_running_loop().time())
        self.turn, self.counts = 0, Counter[str]()

    async def run(self) -> float:
        """Return the seconds that the generations of the run take."""
        await self.world.prepare(RUN, bits=self.bits)
        scan = await self.world.scan(RUN)
        self.world.store.hooks.append(lambda *_: asyncio.sleep(STORE_S))
        self.world.dataverse.hooks.append(self._serve)
        began_s = asyncio.get_running_loop().time()
        shares: tuple[Share, ...] = (Share(TABLE, scan.id, 0, 1 << self.bits, Mode.INCREMENTAL, ""),)
        done = GenerationOutcome({TABLE: Totals()}, self.world.deps.limiter.report(), 0.0)
        while shares:
            task = GenerationTask(RUN, shares, 1 << self.bits, done.pace, done.totals, done.seconds, rest_s=done.rest_s)
            context = _Context(self)
            self.counts["generations"] += 1
            done = from_json(GenerationOutcome, await context.drive(link_generation(context, to_json(task))))  # type: ignore[arg-type]  # its three methods
            shares = done.left
        assert done.totals[TABLE].counts.linked == self.rows, done
        return asyncio.get_running_loop().time() - began_s

    async def activity(self, name: str, task: dict[str, Any]) -> dict[str, Any]:
        """Run an activity in this process."""
        await asyncio.sleep(HUB_S)
        if name == "report":
            return to_json(Go(slice_s=SLICE_S))
        self.counts[name] += 1
        return await run_activity(link_shard, ShardTask, self.world.deps, task)

    async def _serve(self, asked: Request) -> None:
        """Admit a request as the sandbox does, and take the time that it costs there."""
        self.turn += 1
        server, spent_ms = self.turn % self.config.servers, 0.0
        if refusal := self.protection.admit("linker", server):
            self.counts["refused"] += 1
            raise Refusal(429, refusal.code, refusal.message, retry_after=f"{refusal.retry_after_s}")
        try:
            if asked.kind == "update":
                spent_ms = self.protection.cost_ms(server, Work(rows_written=len(asked.body["Targets"])))
            await asyncio.sleep(max(READ_S, spent_ms / 1000 / self.config.time_scale))
        finally:
            self.protection.release("linker", server, spent_ms)


def play(profile: Profile, rows: int, bits: int, monkeypatch: pytest.MonkeyPatch) -> tuple[float, Counter[str]]:
    """Return the seconds of a run, and how many activities, generations, and refusals it had."""
    loop = _Loop()
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=loop.time, time=lambda: START + loop.time()))
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        engine = runner.run(_made(profile, rows, bits))
        return runner.run(engine.run()), engine.counts


async def _made(profile: Profile, rows: int, bits: int) -> Engine:
    return Engine(profile, rows, bits)
