"""A server that answers with prepared bytes, and the app's own client that asks it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field, replace

from linker import bootstrap
from linker.deps import Deps
from linker.settings import Settings
from tests.fakes.world import StaticTokens


@dataclass(slots=True)
class Answering:
    """What was asked, and where."""

    url: str = ""
    asked: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def deps(self, **settings: object) -> AsyncIterator[Deps]:
        """Give what the app uses when these are its settings."""
        given = {"dataverse_url": self.url, "storage": "UseDevelopmentStorage=true", "write_timeout_seconds": 120}
        made = bootstrap.build(Settings.model_validate(given | settings))
        yield replace(made, connection=replace(made.connection, tokens=StaticTokens()))
        await made.close()


@contextlib.asynccontextmanager
async def answering(head: str, body: Iterable[bytes] = ()) -> AsyncIterator[Answering]:
    """Listen on a free port; every request gets this head (lines without their ends) and body, then the end."""
    made = Answering()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            made.asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(("\r\n".join([*head.splitlines(), "Connection: close"]) + "\r\n\r\n").encode())
            for part in body:
                writer.write(part)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield made
