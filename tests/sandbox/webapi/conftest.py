"""A Web API in memory, asked as an administrator over ASGI without a socket."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from sandbox.database import Database
from sandbox.identity.accounts import ADMIN, APPLICATION_USERS
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from sandbox.webapi.app import routes
from tests.sandbox.webapi.elastic_table import define
from tests.sandbox.webapi.steps import Client, create

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


@pytest.fixture
async def people(api: Client) -> Client:
    """The Web API with an account and four contacts whose names differ in case, accents and punctuation."""
    account = await create(api, "accounts", name="Contoso", numberofemployees=40, revenue=2.5)
    await create(api, "contacts", lastname="Ash", jobtitle="Nurse", gendercode=1, donotemail=True)
    await create(api, "contacts", lastname="Élm", jobtitle="nurse", birthdate="1980-05-06")
    await create(api, "contacts", lastname="O'Brien", firstname="O'Brien", gendercode=2, creditlimit=10)
    await create(api, "contacts", lastname="co-op", **{"parentcustomerid_account@odata.bind": f"accounts({account})"})
    return api


@pytest.fixture
async def elastic(api: Client) -> Client:
    """The Web API with the elastic table new_reading."""
    assert (await define(api)).status_code == 200
    return api
