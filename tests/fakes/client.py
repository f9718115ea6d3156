"""Asks the operations of the API as the routes do, without HTTP."""

from __future__ import annotations

import json
from typing import Any

from linker.core.model import Ticket
from linker.entrypoints import api
from tests.fakes.world import World

BASE = "https://app"


class Starter:
    """Remembers the runs that were started; as the task hub does, it starts none twice."""

    def __init__(self) -> None:
        self.started: list[Ticket] = []

    async def __call__(self, ticket: Ticket) -> None:
        if ticket.run not in [one.run for one in self.started]:
            self.started.append(ticket)


class Client:
    """One caller of the API of a world."""

    def __init__(self, world: World, *, authenticated: bool = False, headers: dict[str, str] | None = None) -> None:
        self.start, self.api = Starter(), api.Api(lambda: world.deps, authenticated)
        self.headers = headers or {}

    async def ask(self, wanted: api.Operation, *, body: object = None, **given: Any) -> api.Reply:
        """Serve one request; `body` is JSON or bytes, `given` are parameters of the path and of the query."""
        path = {name: str(given.pop(name)) for name in wanted.parameters}
        query = {name: str(value) for name, value in given.items()}
        sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return await self.api.serve(wanted, api.Request(path, query, self.headers, sent, BASE), self.start)
