"""A Web API in memory, asked as an administrator over ASGI without a socket."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from sandbox.config import SandboxConfig
from sandbox.database import Database
from sandbox.environment import Environment
from sandbox.identity import ADMIN, APPLICATION_USERS
from sandbox.webapi.app import routes

type Client = httpx.AsyncClient

_NAMES = {user.name: user.systemuser_id for user in APPLICATION_USERS}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def application(environment: Environment) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """Return the Web API; the header `x-user` says who asks, as the authentication would find out."""
    app = Starlette(routes=[Mount("/api/data/v9.2", routes=routes(environment))])

    async def as_user(scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"]).get(b"x-user", b"").decode()
        await app({**scope, "user": _NAMES.get(name, ADMIN.systemuser_id)}, receive, send)

    return as_user


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config() -> SandboxConfig:
    """The switches: standard tables. Modules and classes about other kinds have their own."""
    return SandboxConfig(profile_table="standard", mapping_table="standard")


@pytest.fixture
def environment(clock: Clock, config: SandboxConfig) -> Iterator[Environment]:
    database = Database(clock=clock, config=config)
    yield Environment(database, config, base_url="http://dataverse", clock=clock)
    database.close()


@pytest.fixture
async def api(environment: Environment) -> AsyncIterator[Client]:
    transport = httpx.ASGITransport(application(environment))
    async with httpx.AsyncClient(transport=transport, base_url=f"{environment.api_url}/") as client:
        yield client
