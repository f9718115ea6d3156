"""A sandbox in this process, as the proof's client sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from linker.adapters.dataverse import Connection, Dataverse
from linker.adapters.write_limiter import Limiter
from sandbox.customer_insights.unification.second_writer import fill_links
from sandbox.data.generator import Sizes, generate
from sandbox.database import Database
from sandbox.identity.accounts import ADMIN, NEWCOMER, ApplicationUser
from sandbox.runtime import Environment
from sandbox.server.app import Sandbox, compose
from sandbox.switches.config import SandboxConfig, changed
from tests.live.proof import WRITING_NAMES, Order, Report, prove
from tests.live.twist import Twist, Twisted

URL = "http://127.0.0.1:8050"
FEW = 600  # rows for checks that need no full page
A_MOMENT_S = 0.1  # the longest wait here


@dataclass(frozen=True, slots=True)
class Tokens:
    """One token that does not expire."""

    text: str

    async def token(self) -> str:
        return self.text

    def forget(self) -> None:
        """It is the only one."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One request that reached a sandbox, and its answer."""

    method: str
    path: str
    body: str


class Listening(httpx.AsyncBaseTransport):
    """Notes what reaches a sandbox."""

    def __init__(self, inner: httpx.AsyncBaseTransport, heard: list[Heard]) -> None:
        self._inner, self._heard = inner, heard

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        self._heard.append(Heard(request.method, request.url.path, (await answer.aread()).decode()))
        return answer


@dataclass(slots=True)
class Tenant:
    """A sandbox with one unified row, and the lines that a proof printed."""

    sandbox: Sandbox
    said: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def dataverse(
        self, twist: Twist | None = None, user: ApplicationUser = ADMIN, heard: list[Heard] | None = None
    ) -> Dataverse:
        """Return the linker's client as a user. What reaches the sandbox is added to `heard`, with the answers."""
        inner: httpx.AsyncBaseTransport = httpx.ASGITransport(self.sandbox.app)
        inner = Listening(inner, heard) if heard is not None else inner
        client = httpx.AsyncClient(transport=Twisted(inner, twist) if twist else inner)
        token = self.sandbox.identity.authority.issue(user, URL, 3600)["access_token"]
        limiter = Limiter(clock=lambda: time.time() + sum(self.waits))  # a wait that is cut short here counts in full
        return Dataverse(Connection(URL, client, Tokens(token), limiter=limiter))

    async def prove(
        self,
        *only: str,
        twist: Twist | None = None,
        rows: int = FEW,
        say: Callable[[str], None] | None = None,
        pause: Callable[[float], Awaitable[None]] | None = None,
        **order: Any,
    ) -> Report:
        """Ask some checks, with a twist; the probes that only read have tests of their own."""
        dataverse = self.dataverse(twist)
        stranger = Tokens(self.sandbox.identity.authority.issue(NEWCOMER, URL, 3600)["access_token"])
        return await prove(
            dataverse,
            Order(rows=rows, only=only or tuple(WRITING_NAMES), **{"disposable": True, **order}),
            say or self.said.append,
            stranger=Dataverse(replace(dataverse.connection, tokens=stranger)),
            pause=pause or self.wait,
        )

    async def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(min(seconds, A_MOMENT_S))

    async def later(self) -> None:
        """Wait until the sandbox's clock shows another second."""
        began = int(time.time())
        while int(time.time()) == began:  # noqa: ASYNC110 - a clock has no event
            await asyncio.sleep(0.01)

    def configure(self, **switches: Any) -> None:
        """Set switches of the sandbox; all others are as at its start."""
        self.sandbox.environment.configure(changed(SandboxConfig(), switches))

    async def ours(self) -> list[str]:
        """Return the unique or logical names of everything that proofs left here."""
        dataverse, found = self.dataverse(), []
        for entity_set in ("publishers", "solutions"):
            rows = (await dataverse.get(f"{entity_set}?$select=uniquename"))["value"]
            found += [row["uniquename"] for row in rows if row["uniquename"].startswith("linkerlive")]
        return [*found, *self.tables()]

    def tables(self) -> list[str]:
        """Return the tables that proofs made here."""
        return [name for name in self.sandbox.environment.database.schema.tables if name.startswith("lnk")]


def linked_tenant(rows: int = 60, **switches: Any) -> Tenant:
    """Return a sandbox with a unification whose source rows the vendor's account linked."""
    config = changed(SandboxConfig(), switches)
    database = Database(config=config)
    made = Tenant(compose(Environment(database, config, URL)))
    made.sandbox.load(generate(Sizes(rows, rows // 2, 0)))
    fill_links(made.sandbox.environment)
    return made


@pytest.fixture(scope="session")
def linked() -> Iterator[Tenant]:
    """A sandbox with linked rows that no test changes."""
    made = linked_tenant()
    yield made
    made.sandbox.environment.database.close()


@pytest.fixture(scope="session")
def shared() -> Iterator[Tenant]:
    database = Database()
    yield Tenant(compose(Environment(database, SandboxConfig(), URL)))
    database.close()


@pytest.fixture
async def tenant(shared: Tenant) -> Tenant:
    """The sandbox of all tests: each proof leaves it as it was, which is a part of what they show."""
    shared.said.clear()
    shared.waits.clear()
    shared.configure()
    if not (await shared.dataverse().get("msdynci_customerprofiles?$top=1"))["value"]:
        await _unified(shared.dataverse().connection.client, shared)
    return shared


async def _unified(client: httpx.AsyncClient, tenant: Tenant) -> None:
    key = "11111111-1111-4111-8111-111111111111"
    rows = {
        "msdynci_customerprofiles": {"msdynci_customerid": "a" * 32},
        "msdynci_alternatekeys": {
            "msdynci_datasourcename": "Sales",
            "msdynci_entityname": "contact",
            "msdynci_alternatevalue": key,
            "msdynci_identifier": f"Sales|contact|{key}",
        },
    }
    authorization = f"Bearer {await tenant.dataverse().connection.tokens.token()}"
    for entity_set, row in rows.items():
        answer = await client.post(
            f"{URL}/api/data/v9.2/{entity_set}", json=row, headers={"Authorization": authorization}
        )
        assert answer.status_code == 204
