"""Where a scenario plays: the sandbox behind a proxy, hosts with clocks of their own, and processes that die or sleep."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from linker import bootstrap
from linker.adapters.storage.table_client import AzureTables
from linker.adapters.write_limiter import Limiter
from linker.core.ports import Tables
from linker.deps import Deps
from sandbox.data.generator import Sizes, generate
from sandbox.database import Database, bulk_delete, scan
from sandbox.host.functions import HostedFunction
from sandbox.runtime import Environment
from sandbox.server.app import IDENTITY_PATH, Sandbox, compose
from sandbox.server.azurite import connection_string
from tests.fakes.memory_tables import MemoryTables
from tests.fakes.stored_state import forget_environment
from tests.fakes.world import DiedError
from tests.faults.clock import HurriedLoop, LoopClock
from tests.faults.proxy import FaultProxy, proxied
from tests.faults.scene import GONE, Scene, TimedApp, divide_tables, running, served, settings_of
from tests.faults.watch import Watch

from .scenario import Interrupted, Scenario

SIZES = Sizes(contacts=80, leads=0, members=40)


class Moment:
    """A moment within an activity, counted by its requests, at which its process dies or falls asleep."""

    def __init__(self, requests: int) -> None:
        self._left = requests
        self.reached, self.wake = asyncio.Event(), asyncio.Event()

    async def pass_by(self) -> None:
        """Called before and after each request of the activity: it does not return while the process sleeps."""
        self._left -= 1
        if self._left <= 0 and not self.wake.is_set():
            self.reached.set()
            await self.wake.wait()


@dataclass(slots=True)
class Host:
    """One process: its dependencies with a clock of its own. `moment` is that of the activity that runs now."""

    deps: Deps
    moment: Moment | None = None


class NoticedTables:
    """Table Storage that lets the host notice each operation, before and after it."""

    def __init__(self, tables: Tables, notice: Callable[[], Awaitable[None]]) -> None:
        self._tables, self._notice = tables, notice

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._tables, name)
        if name in ("query", "close"):
            return method

        async def noticed(*args: Any, **options: Any) -> Any:
            await self._notice()
            answer = await method(*args, **options)
            await self._notice()
            return answer

        return noticed


@dataclass(slots=True)
class Place:
    """The parts of one environment, and what the app runs on: it is a `tests.faults.scene.World` of several hosts."""

    scenario: Scenario
    clock: LoopClock
    sandbox: Sandbox
    between: FaultProxy
    storage: FaultProxy
    tables: Callable[[], Tables]
    storage_port: int
    chance: random.Random
    hosts: list[Host] = field(default_factory=list)
    gone: list[Host] = field(default_factory=list)  # processes that died: what they left open is closed in the end
    now: int = 0  # the host that runs the current activity

    @property
    def deps(self) -> Deps:
        """What the current activity uses."""
        return self.hosts[self.now].deps

    @property
    def database(self) -> Database:
        """The rows of the sandbox."""
        return self.sandbox.environment.database

    def start_host(self, number: int) -> None:
        """Start a process in place of host `number`, or the first one of that number."""
        ahead_s = self.scenario.clocks_s[number]
        host = Host(cast(Deps, None))

        async def notice(*_: object) -> None:
            if host.moment is not None:
                await host.moment.pass_by()

        tables = cast(Tables, NoticedTables(self.tables(), notice))
        deps = bootstrap.build(settings_of(self.sandbox, self.storage_port), tables)
        deps.connection.client.event_hooks = {"request": [notice]}

        def clock() -> float:
            return self.clock() + ahead_s

        connection = replace(deps.connection, limiter=Limiter(clock))
        lock = replace(deps.lock, clock=clock, stopwatch=self.clock)
        host.deps = replace(deps, clock=clock, lock=lock, connection=connection)
        self.gone += self.hosts[number : number + 1]
        self.hosts[number : number + 1] = [host]

    def next_host(self) -> None:
        """Let the next activity run on any host: the platform gives each to whichever is free."""
        self.now = self.chance.randrange(len(self.hosts))


class ChaosApp(TimedApp):
    """The app on several hosts. `plan` says which activity of the next run is interrupted, and how."""

    def __init__(self, place: Place, monkeypatch: pytest.MonkeyPatch, loop: asyncio.Runner) -> None:
        super().__init__(place, monkeypatch, loop)  # type: ignore[arg-type]  # it has the parts that an app needs
        self.place = place
        self.plan: Interrupted | None = None
        self.activities = 0
        self.sleeping: list[tuple[Moment, asyncio.Task[Any]]] = []
        self.interrupted = ""

    def expect(self, plan: Interrupted | None) -> None:
        """Count activities from here, for what is to happen to one of them."""
        self.plan, self.activities, self.interrupted = plan, 0, ""

    def wake_sleepers(self) -> None:
        """Let processes that slept continue: the activity that each was in comes to its end."""
        for moment, task in self.sleeping:
            moment.wake.set()
            self.do(_ended(task))
        self.sleeping.clear()

    def _go_on_or_die(self) -> None:
        with contextlib.suppress(DiedError):  # of the process that ran the orchestration
            super()._go_on_or_die()
        self._started.clear()

    def _call(self, activity: HostedFunction, task: dict[str, Any]) -> dict[str, Any]:
        self.place.next_host()
        self.activities += 1
        plan = self.plan
        if plan is None or self.activities != plan.activity:
            return super()._call(activity, task)
        self.plan, self.interrupted = None, f"{plan.what} in {activity.durable_name}"
        if plan.what == "cancel":
            self.do(self._cancel())
            return super()._call(activity, task)
        return self._interrupted(plan, activity, task)

    async def _cancel(self) -> None:
        lock = self.place.hosts[0].deps.lock
        holder = (await lock.peek()).holder
        if holder is not None:
            await lock.cancel(holder.run)

    def _interrupted(self, plan: Interrupted, activity: HostedFunction, task: dict[str, Any]) -> dict[str, Any]:
        moment, number = Moment(plan.request), self.place.now
        host = self.place.hosts[number]
        host.moment = moment
        answer: dict[str, Any] | None = self.do(self._until(moment, activity, task, dies=plan.what == "crash"))
        if answer is not None:  # it ended before its moment came
            host.moment = None
            self.interrupted = ""
            return answer
        self.place.start_host(number)
        raise DiedError(self.interrupted)

    async def _until(
        self, moment: Moment, activity: HostedFunction, task: dict[str, Any], *, dies: bool
    ) -> dict[str, Any] | None:
        """Return what an activity answers, None when its process died or fell asleep before it did."""
        working = asyncio.ensure_future(activity.call(**{activity.trigger.name: task}))
        reached = asyncio.ensure_future(moment.reached.wait())
        await asyncio.wait((working, reached), return_when=asyncio.FIRST_COMPLETED)
        reached.cancel()
        if working.done():
            return cast(dict[str, Any], working.result())
        if dies:
            working.cancel()
            await _ended(working)
        else:
            self.sleeping.append((moment, working))
        return None


async def _ended(task: asyncio.Future[Any]) -> None:
    await asyncio.wait((task,))
    with contextlib.suppress(asyncio.CancelledError):
        task.exception()  # nothing awaits it any more


@contextmanager
def place(scenario: Scenario, azurite_port: int) -> Iterator[tuple[Place, Scene]]:
    """Give the environment of a scenario: unified once and never linked."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner(loop_factory=HurriedLoop))
        monkeypatch = stack.enter_context(pytest.MonkeyPatch.context())
        loop = cast(HurriedLoop, runner.get_loop())
        clock = LoopClock(loop)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small answers wait 40 ms for an ACK
        between, port = stack.enter_context(running(runner, proxied(listener.getsockname()[1])))
        storage, storage_port = stack.enter_context(running(runner, proxied(azurite_port)))
        sandbox = stack.enter_context(_sandbox(scenario, f"http://127.0.0.1:{port}", clock))
        stack.enter_context(running(runner, served(sandbox, listener)))
        monkeypatch.setenv("IDENTITY_ENDPOINT", sandbox.environment.base_url + IDENTITY_PATH)
        monkeypatch.setenv("IDENTITY_HEADER", sandbox.identity.header)
        if scenario.stored:
            forget_environment(connection_string(azurite_port), sandbox.environment.base_url)
        memory = MemoryTables()

        def tables() -> Tables:
            if scenario.stored:
                return AzureTables(connection_string=connection_string(storage_port))
            return memory

        chance = random.Random(f"hosts {scenario.seed}")
        made = Place(scenario, clock, sandbox, between, storage, tables, storage_port, chance)
        for number in range(len(scenario.clocks_s)):
            made.start_host(number)
        stack.enter_context(running(runner, _closing(made)))
        runner.run(divide_tables(made.deps))
        watch = Watch.over(sandbox)
        app = ChaosApp(made, monkeypatch, runner)
        yield made, Scene(sandbox, storage, app, watch, made.deps)


@contextmanager
def _sandbox(scenario: Scenario, url: str, clock: LoopClock) -> Iterator[Sandbox]:
    def now() -> datetime:
        return datetime.fromtimestamp(clock(), UTC)

    with contextlib.closing(Database(clock=now, config=scenario.config)) as database:
        made = compose(Environment(database, scenario.config, url, now))
        made.load(generate(SIZES))
        contacts = sorted(str(key) for (key,) in scan(database, "contact", ["contactid"]))
        bulk_delete(database, "contact", contacts[-GONE:])
        yield made


@asynccontextmanager
async def _closing(place: Place) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for host in (*place.gone, *place.hosts):
            await host.deps.close()
