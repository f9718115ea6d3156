"""The linker's own client over the sandbox's Web API in one process: no socket, no token, every rule of Dataverse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from linker.adapters.dataverse import Connection, Dataverse
from linker.deps import Deps
from sandbox.database import Database
from sandbox.identity.accounts import ADMIN, LINKER, ApplicationUser
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from sandbox.webapi.app import routes
from tests.fakes.world import StaticTokens, World

URL = "http://dataverse"


@dataclass(frozen=True, slots=True)
class Sandboxed:
    """An environment without rows. `admin` is an administrator's client, `deps` what the linker uses."""

    environment: Environment
    admin: httpx.AsyncClient
    deps: Deps

    @property
    def dataverse(self) -> Dataverse:
        """The linker's client, with what the app gives to each activity."""
        return self.deps.dataverse()

    def using(self, **changes: Any) -> Sandboxed:
        """Return the same environment with other settings of the linker."""
        settings = self.deps.settings.model_copy(update=changes)
        return replace(self, deps=replace(self.deps, settings=settings))

    def dataverse_as(self, user: ApplicationUser, **headers: str) -> Dataverse:
        """Return the linker's client as another user of the environment."""
        return Dataverse(Connection(URL, client(self.environment, user), StaticTokens(), extra_headers=headers))


def client(environment: Environment, user: ApplicationUser) -> httpx.AsyncClient:
    """Return a client that calls the Web API directly as a user."""
    app = Starlette(routes=[Mount("/api/data/v9.2", routes=routes(environment))])

    async def as_user(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "user": user.systemuser_id}, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(as_user), base_url=f"{environment.api_url}/")


@contextmanager
def sandboxed(config: SandboxConfig | None = None, **settings: Any) -> Iterator[Sandboxed]:
    """Give an environment with the switches of `config`, and the linker on it with some `settings`."""
    config = config or SandboxConfig()
    database = Database(config=config)
    environment = Environment(database, config, URL)
    connection = Connection(URL, client(environment, LINKER), StaticTokens())
    try:
        yield Sandboxed(environment, client(environment, ADMIN), replace(World(**settings).deps, connection=connection))
    finally:
        database.close()
