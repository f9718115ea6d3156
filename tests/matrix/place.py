"""One environment in one process: the sandbox behind its own Web API, the whole app over it, and time that passes fast."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from linker import bootstrap
from linker.adapters.customer_insights import Insights
from linker.core.model import Run
from linker.deps import Deps
from linker.settings import Settings
from sandbox.customer_insights.unification import read_request
from sandbox.data.generator import Sizes, generate
from sandbox.database import Database
from sandbox.runtime import Environment
from sandbox.server.app import IDENTITY_PATH, INSIGHTS_PATH, Sandbox, compose
from sandbox.switches.config import SandboxConfig
from tests.fakes.memory_tables import MemoryTables
from tests.faults.clock import HurriedLoop, LoopClock
from tests.faults.scene import TimedApp, World

URL = "http://127.0.0.1:9"  # nothing listens there: requests go to the sandbox in this process
SIZES = Sizes(contacts=36, leads=0, members=12)
SETTLE_S = 600.0
TABLES = {"contact": "contactid", "new_member": "new_memberid"}


class SandboxTokens:
    """Tokens from the sandbox's managed identity endpoint."""

    def __init__(self, client: httpx.AsyncClient, header: str, resource: str) -> None:
        self._client, self._header, self._resource = client, header, resource
        self._token = ""

    async def token(self) -> str:
        """Return a token; a new one after `forget`."""
        if not self._token:
            params = {"resource": self._resource, "api-version": "2019-08-01"}
            answer = await self._client.get(IDENTITY_PATH, params=params, headers={"X-IDENTITY-HEADER": self._header})
            self._token = str(answer.json()["access_token"])
        return self._token

    def forget(self) -> None:
        """Ask for another token next time."""
        self._token = ""


@dataclass(slots=True)
class Place:
    """An environment that was unified once and never linked."""

    sandbox: Sandbox
    app: TimedApp
    clock: LoopClock
    reported: int = 0
    """Links that runs reported as set or cleared so far."""

    @property
    def database(self) -> Database:
        """The rows of the sandbox."""
        return self.sandbox.environment.database

    @property
    def written(self) -> int:
        """Rows that were written through the Web API so far."""
        return sum(counted.rows_written for counted in self.sandbox.environment.counters.tables.values())

    @property
    def changed(self) -> int:
        """Rows of source tables whose value a write through the Web API changed so far."""
        counted = self.sandbox.environment.counters.tables
        return sum(counted[table].rows_changed for table in TABLES if table in counted)

    def unify(self, **request: object) -> None:
        """Run a unification and wait until everything it writes is there."""
        self.app.do(self._unify(request))
        self.clock.pass_s(SETTLE_S)

    async def _unify(self, request: dict[str, object]) -> None:
        await self.sandbox.simulator.run(read_request(request))
        while (hydration := self.sandbox.simulator.hydration) is not None and not hydration.done():
            self.clock.pass_s(60)
            await asyncio.sleep(0)

    def run(self, **request: Any) -> Run:
        """Ask for a run; return the last one of those that did its work."""
        runs = self.app.serve(**request)
        self.reported += sum(run.counts.linked + run.counts.unlinked for run in runs)
        return runs[-1]


@contextmanager
def place(config: SandboxConfig, sizes: Sizes = SIZES) -> Iterator[Place]:
    """Give an environment with these switches, and so many rows."""
    with (
        asyncio.Runner(loop_factory=HurriedLoop) as runner,
        pytest.MonkeyPatch.context() as monkeypatch,
    ):
        loop = runner.get_loop()
        assert isinstance(loop, HurriedLoop)
        clock = LoopClock(loop)

        def now() -> datetime:
            return datetime.fromtimestamp(clock(), UTC)

        with closing(Database(clock=now, config=config)) as database:
            sandbox = compose(Environment(database, config, URL, clock=now), clock)
            sandbox.load(generate(sizes))
            deps = _deps(sandbox, clock)
            yield Place(sandbox, TimedApp(World(deps, clock), monkeypatch, runner), clock)
            runner.run(deps.close())


def _deps(sandbox: Sandbox, clock: LoopClock) -> Deps:
    client = httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url=URL)
    header = sandbox.identity.header
    settings = Settings(
        dataverse_url=URL,
        storage="UseDevelopmentStorage=true",  # type: ignore[arg-type]  # parsed like a setting
        insights_url=URL + INSIGHTS_PATH,  # type: ignore[arg-type]
        insights_instance_id=sandbox.instance_id,
        settle_minutes=1,
        first_link="auto",
        small_table_rows=0,
        unlink_max_share=1,
    )
    deps = bootstrap.build(settings, MemoryTables())
    connection = replace(deps.connection, client=client, tokens=SandboxTokens(client, header, URL))
    insights_tokens = SandboxTokens(client, header, bootstrap.INSIGHTS_AUDIENCE)
    insights = Insights(str(settings.insights_url), sandbox.instance_id, client, insights_tokens)
    lock = replace(deps.lock, clock=clock, stopwatch=clock)
    return replace(deps, connection=connection, insights=insights, clock=clock, lock=lock)
