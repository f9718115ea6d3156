"""A TCP proxy in front of Table Storage, or of Dataverse, that lets requests go wrong as they are scripted.

It knows as little of HTTP as it needs: how long a request is. The service ends a connection with each answer, so that an
answer is all that comes, and the client does not learn of it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

type Kind = Literal["unavailable", "silence", "reset", "lost answer", "changed", "slow", "gateway", "late gateway"]

SLOW_S = 10.0  # below the client's timeout of 30 s
LATE_S = 20.0  # after which a request is served whose client was answered before
_LENGTH = re.compile(rb"^content-length: *(\d+)\r$", re.IGNORECASE | re.MULTILINE)
_CONNECTION = re.compile(rb"^connection:.*\r\n", re.IGNORECASE | re.MULTILINE)
_CONDITION = re.compile(rb"^if-match: (?!\*)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class StorageFault:
    """What goes wrong, and for which requests: the first `skip` that match go well, then `times` (None: all) do not.

    `method` names one method or several, none for any.
    """

    kind: Kind
    method: str = ""
    path: str = ""
    skip: int = 0
    times: int | None = 1

    def matches(self, request: Request) -> bool:
        """Return whether this fault is for a request; only a conditional write can be answered that its entity changed."""
        return (
            (not self.method or request.method in self.method.split())
            and self.path in request.path
            and (self.kind != "changed" or request.is_conditional)
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One request as its client sent it."""

    head: bytes
    body: bytes

    @property
    def method(self) -> str:
        return self.head.split(b" ", 1)[0].decode()

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def is_conditional(self) -> bool:
        """Whether it is a write under an ETag, or an insert: both are refused once another writer was there."""
        return self.is_insert or _CONDITION.search(self.head) is not None

    @property
    def is_insert(self) -> bool:
        return self.method == "POST" and "$batch" not in self.path


@dataclass(slots=True)
class FaultProxy:
    """Passes requests on to the service at `port` of this machine, unless the fault that is armed strikes them."""

    port: int
    fault: StorageFault | None = None
    fired: int = 0
    _matched: int = 0
    _late: set[asyncio.Task[bytes]] = field(default_factory=set)

    def arm(self, fault: StorageFault) -> None:
        """Let requests go wrong from now on, counting from zero."""
        self.fault, self.fired, self._matched = fault, 0, 0

    def disarm(self) -> int:
        """Let all requests go well again; returns how many did not."""
        self.fault = None
        return self.fired

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve the requests of a connection, one after the other."""
        with suppress(OSError, asyncio.IncompleteReadError):  # the client has closed it
            while not writer.is_closing():
                exchange = _Exchange(self, await _read(reader), reader, writer)
                await _EFFECTS[self._strikes(exchange.request)](exchange)
                await writer.drain()
        writer.close()

    async def answer(self, request: Request) -> bytes:
        """Return what the service answers."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        first, _, rest = request.head.partition(b"\r\n")
        writer.write(first + b"\r\nConnection: close\r\n" + _CONNECTION.sub(b"", rest) + request.body)
        answer = await reader.read()
        writer.close()
        return _CONNECTION.sub(b"", answer, 1)

    def answer_late(self, request: Request) -> None:
        """Let the service have a request after its client has been answered."""

        async def late() -> bytes:
            await asyncio.sleep(LATE_S)
            return await self.answer(request)

        task = asyncio.create_task(late())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _strikes(self, request: Request) -> str:
        fault = self.fault
        if fault is None or not fault.matches(request):
            return ""
        self._matched += 1
        if self._matched <= fault.skip or (fault.times is not None and self.fired >= fault.times):
            return ""
        self.fired += 1
        return fault.kind


@asynccontextmanager
async def proxied(port: int) -> AsyncIterator[tuple[FaultProxy, int]]:
    """Give a proxy for the service at `port`, and the port where it serves."""
    proxy = FaultProxy(port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    try:
        yield proxy, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        server.close_clients()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return Request(head, await reader.readexactly(int(length[1])) if length else b"")


# ---- what each kind does ----


@dataclass(frozen=True, slots=True)
class _Exchange:
    proxy: FaultProxy
    request: Request
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def _pass_on(exchange: _Exchange) -> None:
    exchange.writer.write(await exchange.proxy.answer(exchange.request))


async def _unavailable(exchange: _Exchange) -> None:
    exchange.writer.write(_short(503, "Server Busy"))


async def _changed(exchange: _Exchange) -> None:
    inserts = exchange.request.is_insert
    exchange.writer.write(_short(409, "Conflict") if inserts else _short(412, "Precondition Failed"))


async def _reset(exchange: _Exchange) -> None:
    exchange.writer.transport.abort()


async def _lost_answer(exchange: _Exchange) -> None:
    await exchange.proxy.answer(exchange.request)
    exchange.writer.transport.abort()


async def _silence(exchange: _Exchange) -> None:
    await exchange.reader.read()  # until the client's patience ends
    exchange.writer.close()


async def _slow(exchange: _Exchange) -> None:
    await asyncio.sleep(SLOW_S)
    await _pass_on(exchange)


async def _gateway(exchange: _Exchange) -> None:
    await exchange.proxy.answer(exchange.request)
    exchange.writer.write(_short(504, "Gateway Timeout"))


async def _late_gateway(exchange: _Exchange) -> None:
    exchange.proxy.answer_late(exchange.request)
    exchange.writer.write(_short(504, "Gateway Timeout"))


def _short(status: int, reason: str) -> bytes:
    return f"HTTP/1.1 {status} {reason}\r\nContent-Length: 0\r\n\r\n".encode()


_EFFECTS: dict[str, Callable[[_Exchange], Awaitable[None]]] = {
    "": _pass_on,
    "unavailable": _unavailable,
    "changed": _changed,
    "reset": _reset,
    "lost answer": _lost_answer,
    "silence": _silence,
    "slow": _slow,
    "gateway": _gateway,
    "late gateway": _late_gateway,
}
