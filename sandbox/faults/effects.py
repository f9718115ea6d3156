"""What faults do that is more than another answer."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.customer_insights.unification import BusyError, Simulator, read_request
from sandbox.database import Database, bulk_delete
from sandbox.faults.model import Fault, Target, bulk_targets
from sandbox.faults.register import Faults
from sandbox.middleware.http_protocol import reset_connection


@dataclass(frozen=True, slots=True)
class Struck:
    """A request that a fault strikes, its body read and unpacked in `target`."""

    fault: Fault
    target: Target
    app: ASGIApp
    database: Database
    simulator: Simulator
    faults: Faults
    scope: Scope
    receive: Receive
    send: Send

    async def serve(self, body: bytes, send: Send) -> None:
        """Let the application serve the request with this body."""
        scope = {**self.scope, "headers": list(self.scope["headers"])}
        headers = MutableHeaders(scope=scope)
        headers["content-length"] = str(len(body))
        del headers["content-encoding"]
        await self.app(scope, replay(body, self.receive), send)


type Effect = Callable[[Struck], Awaitable[None]]


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that hands out a body that was read already."""
    unread = True

    async def receive_again() -> Message:
        nonlocal unread
        if not unread:
            return await receive()
        unread = False
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


async def _nobody(_: Message) -> None:
    """Take an answer that is not delivered."""


async def _held(struck: Struck) -> None:
    await struck.faults.wait_until_disarmed(struck.fault)
    await struck.serve(struck.target.body, struck.send)


async def _late_commit(struck: Struck) -> None:
    await asyncio.sleep(struck.fault.delay_s)
    await struck.serve(struck.target.body, _nobody)
    await reset_connection(struck.scope, struck.receive)


async def _reset_before_commit(struck: Struck) -> None:
    await reset_connection(struck.scope, struck.receive)


async def _reset_after_commit(struck: Struck) -> None:
    await struck.serve(struck.target.body, _nobody)
    await reset_connection(struck.scope, struck.receive)


async def _dropped_write(struck: Struck) -> None:
    """Lose some rows of a bulk request (the loss of a whole write strikes its operation)."""
    _, kept = _cut(struck)
    await struck.serve(orjson.dumps({"Targets": kept}), struck.send)


async def _rows_deleted(struck: Struck) -> None:
    """Delete rows that the request is about to write, then let it be served."""
    table = struck.database.schema.tables.get(struck.target.table)
    if table is not None:
        taken, _ = _cut(struck)
        bulk_delete(struck.database, table.logical_name, [str(row[table.primary_id]) for row in taken])
    await struck.serve(struck.target.body, struck.send)


async def _mapping_changed(struck: Struck) -> None:
    with suppress(BusyError):  # one that is still writing changes the mapping as well
        await struck.simulator.run(read_request(struck.fault.unification))
    await struck.serve(struck.target.body, struck.send)


def _cut(struck: Struck) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the rows of a bulk request that a seeded chance takes, and those that it leaves."""
    rows = bulk_targets(struck.target.body)
    chance = random.Random(struck.fault.seed)
    taken = set(chance.sample(range(len(rows)), round(struck.fault.row_share * len(rows))))
    return (
        [row for index, row in enumerate(rows) if index in taken],
        [row for index, row in enumerate(rows) if index not in taken],
    )


EFFECTS: Final[dict[str, Effect]] = {
    "held": _held,
    "late_commit": _late_commit,
    "reset_before_commit": _reset_before_commit,
    "reset_after_commit": _reset_after_commit,
    "dropped_write": _dropped_write,
    "rows_deleted": _rows_deleted,
    "mapping_changed": _mapping_changed,
}
