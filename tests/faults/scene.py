"""One environment in one process: the sandbox behind real sockets, Table Storage behind the fault proxy, the whole app."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from durabletask.task import TaskFailedError

from linker import bootstrap
from linker.adapters.write_limiter import Limiter
from linker.core.linking.mapping_scan import TableState
from linker.core.model import Run, RunRequest
from linker.deps import Deps
from linker.durable.orchestrators.activity_calls import RunFailedError
from linker.services import housekeeping, run_requests
from linker.settings import Settings
from sandbox.customer_insights.unification import read_request
from sandbox.data.generator import Sizes, generate
from sandbox.database import Database, bulk_delete, scan
from sandbox.host.functions import HostedFunction
from sandbox.middleware.http_protocol import ResettableProtocol
from sandbox.runtime import Environment
from sandbox.server.app import IDENTITY_PATH, INSIGHTS_PATH, Sandbox, compose
from sandbox.server.azurite import connection_string
from sandbox.switches.config import SandboxConfig
from tests.fakes.app import FakeApp
from tests.fakes.durable import FakeContext
from tests.fakes.memory_tables import MemoryTables
from tests.fakes.stored_state import forget_environment

from .clock import HurriedLoop, LoopClock
from .proxy import FaultProxy, proxied
from .watch import Watch

SIZES = Sizes(contacts=120, leads=0, members=60)
TABLES = ("contact", "new_member")
BITS = 2  # four shards a table, where as few rows would make one
# The clock of these rows stands still, so stale reads would never end.
CONFIG = SandboxConfig(protection=False, stale_s=0)
GONE = 2  # rows that the mapping names and Dataverse has not: they are rejected in every run
SETTINGS: dict[str, Any] = {
    "settle_minutes": 0,
    "first_link": "auto",
    "lease_seconds": 60,
    "attempt_seconds": 60,
    "write_timeout_seconds": 30,
}
MAX_RECOVERIES = 5  # of one request; three interruptions set its work aside

type Around = Callable[[str], AbstractContextManager[None]]
"""What surrounds an activity, by its name."""


@dataclass(slots=True)
class World:
    """What an app needs to be run."""

    deps: Deps
    clock: LoopClock


class TimedApp(FakeApp):
    """The app on the time of its loop; whatever dies is found by the watchdog."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch, loop: asyncio.Runner) -> None:
        super().__init__(world, monkeypatch, loop)
        self.around: Around = lambda _: contextlib.nullcontext()
        self._clock, self._began = world.clock, 0.0
        self._timed: FakeContext | None = None

    def serve(self, **request: Any) -> list[Run]:
        """Ask for a run and return it as it ended, followed by those that did the rest of its work."""
        asked = self.do(run_requests.request_run(self.world.deps, RunRequest(**request), self._start))
        self._go_on_or_die()
        for _ in range(MAX_RECOVERIES):
            if self.do(self.world.deps.lock.peek()).holder is None:
                break
            self._clock.pass_s(self.world.deps.settings.lease_seconds)
            self.do(housekeeping.watch_runs(self.world.deps, self._start))
            self._go_on_or_die()
        return self._chain(asked.id)

    def _go_on_or_die(self) -> None:
        with contextlib.suppress(RunFailedError, TaskFailedError):  # the orchestration has failed, its lock stays
            self._go_on()
        self._started.clear()

    def _chain(self, run: str) -> list[Run]:
        runs = [self.shown(run)]
        while runs[-1].follow_up:
            runs.append(self.shown(runs[-1].follow_up))
        return runs

    def _call(self, activity: HostedFunction, task: dict[str, Any]) -> dict[str, Any]:
        if self.context is not self._timed:
            self._timed, self._began = self.context, self._clock()
        self._clock.reach(self._began + self.context.now_s)
        with self.around(activity.durable_name):
            return super()._call(activity, task)


@dataclass(slots=True)
class Scene:
    """The parts of one environment."""

    sandbox: Sandbox
    storage: FaultProxy
    app: TimedApp
    watch: Watch
    deps: Deps

    @property
    def database(self) -> Database:
        """The rows of the sandbox."""
        return self.sandbox.environment.database

    def unify(self, **request: object) -> str:
        """Run a unification, a second after what came before; returns its job."""
        if isinstance(clock := self.database.clock, _StandingClock):
            clock.advance()
        return str(self.app.do(self.sandbox.simulator.run(read_request(request)))["jobId"])


def port_of(connection: str) -> int:
    """Return the port in the connection string of a Table Storage on this machine."""
    return urlsplit(connection.partition("TableEndpoint=")[2]).port or 0


@contextmanager
def scene(azurite_port: int = 0, listener: socket.socket | None = None) -> Iterator[Scene]:
    """Give an environment that was unified once and never linked, at the address of `listener` or at any.

    Its state is in the Table Storage at `azurite_port`, which others may use too, or in memory without one: both pass the
    same contract tests, and half of the time of a run goes into the former.
    """
    with (
        asyncio.Runner(loop_factory=HurriedLoop) as runner,
        pytest.MonkeyPatch.context() as monkeypatch,
        running(runner, proxied(azurite_port)) as (storage, storage_port),
        listener or _any_listener() as listening,
        _sandbox(listening) as sandbox,
        running(runner, served(sandbox, listening)),
    ):
        monkeypatch.setenv("IDENTITY_ENDPOINT", sandbox.environment.base_url + IDENTITY_PATH)
        monkeypatch.setenv("IDENTITY_HEADER", sandbox.identity.header)
        if azurite_port:
            forget_environment(connection_string(azurite_port), sandbox.environment.base_url)
        settings = settings_of(sandbox, storage_port)
        world = _world(bootstrap.build(settings, None if azurite_port else MemoryTables()), runner)
        with running(runner, _closing(world.deps)):
            runner.run(divide_tables(world.deps))
            yield Scene(sandbox, storage, TimedApp(world, monkeypatch, runner), Watch.over(sandbox), world.deps)


@contextmanager
def running[T](runner: asyncio.Runner, parts: contextlib.AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Keep an asynchronous part for the length of a block that is not asynchronous."""
    given = runner.run(_enter(parts))
    try:
        yield given
    finally:
        runner.run(_leave(parts))


async def _enter[T](parts: contextlib.AbstractAsyncContextManager[T]) -> T:
    return await parts.__aenter__()


async def _leave(parts: contextlib.AbstractAsyncContextManager[Any]) -> None:
    await parts.__aexit__(None, None, None)


@contextmanager
def _sandbox(listener: socket.socket) -> Iterator[Sandbox]:
    with contextlib.closing(Database(clock=_StandingClock(), config=CONFIG)) as database:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else small answers wait 40 ms for an ACK
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        made = compose(Environment(database, CONFIG, url))
        made.load(generate(SIZES))
        contacts = sorted(str(key) for (key,) in scan(database, "contact", ["contactid"]))
        bulk_delete(database, "contact", contacts[-GONE:])
        yield made


def _any_listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


class _StandingClock:
    """A clock that stands still: all that happens around a run falls into one second, so no change shows by its time.

    Each unification that a test starts is later than the one before, since a run begins only after minutes of rest.
    """

    def __init__(self) -> None:
        self._now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self._now

    def advance(self) -> None:
        self._now += timedelta(seconds=1)


@asynccontextmanager
async def served(sandbox: Sandbox, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        sandbox.app,
        http=ResettableProtocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        timeout_keep_alive=1_000_000,  # time jumps here
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    try:
        yield
    finally:
        await server.shutdown(sockets=[listener])


@asynccontextmanager
async def _closing(deps: Deps) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await deps.close()


def settings_of(sandbox: Sandbox, storage_port: int) -> Settings:
    """Return the settings of an app on a sandbox, with its state behind a port of this machine."""
    url = sandbox.environment.base_url
    return Settings(
        dataverse_url=url,
        storage=connection_string(storage_port),  # type: ignore[arg-type]  # parsed like a setting
        insights_url=url + INSIGHTS_PATH,
        insights_instance_id=sandbox.instance_id,
        **SETTINGS,
    )


def _world(deps: Deps, runner: asyncio.Runner) -> World:
    loop = runner.get_loop()
    assert isinstance(loop, HurriedLoop)
    clock = LoopClock(loop)
    connection = replace(deps.connection, limiter=Limiter(clock))
    return World(
        replace(deps, clock=clock, lock=replace(deps.lock, clock=clock, stopwatch=clock), connection=connection), clock
    )


async def divide_tables(deps: Deps) -> None:
    """Give the tables shards enough to strike some of them."""
    for table in TABLES:
        await deps.states.save(table, TableState(BITS), None)
