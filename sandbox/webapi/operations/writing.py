"""Runs writes: all checks first, then one transaction, then what follows from it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from sandbox.database import Database
from sandbox.runtime import Environment, WriteKind, WriteOperation
from sandbox.schema.model import Table
from sandbox.webapi.operations.automation import Firing, execute, firings
from sandbox.webapi.operations.elastic_tables import Outcome, partial_failure, session_token
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import CUSTOMIZATION_LOCK, ApiError
from sandbox.webapi.protocol.messages import ApiResponse

_LOCKED: Final = (
    "Cannot start another [EntityCustomization] because there is a previous [EntityCustomization] running at this "
    "moment. Use Solution History for more details."
)


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did: the answer, and in how many rows a value really differs from before."""

    response: ApiResponse
    rows_changed: int = 0
    outcomes: tuple[Outcome, ...] = ()
    """What became of each row of a bulk request on an elastic table, where rows are refused alone."""


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """A write whose request was understood. `apply` runs inside the transaction and may refuse with ApiError.

    Changes of metadata have no operation: they fire no automation and count no rows.
    """

    apply: Callable[[], Written]
    operation: WriteOperation | None = None
    firings: tuple[Firing, ...] = ()
    url: str = ""
    """The URL of the row that it writes, for `$n` references within a change set."""
    customizes: bool = False
    """Whether it changes metadata, which takes the environment-wide lock (docs/reference/dataverse.md 8.4)."""
    elastic: bool = False


def planned(
    call: Call,
    kind: WriteKind,
    table: Table,
    row_ids: Sequence[str],
    columns: frozenset[str],
    apply: Callable[[], Written],
) -> PlannedWrite:
    """Return a write of rows with the automation that it fires. Raises the 403 answer for a bypass not allowed."""
    request = call.request
    operation = WriteOperation(
        kind, table.logical_name, tuple(row_ids), columns, call.user_id, request.headers, request.path
    )
    url = f"{call.api_url}/{table.entity_set}({row_ids[0]})" if row_ids else ""
    tokened = table.elastic and kind != "Delete"
    apply = _with_token(call.environment.database, apply) if tokened else apply
    return PlannedWrite(apply, operation, firings(call, operation), url, elastic=table.elastic)


def without_automation(write: PlannedWrite) -> PlannedWrite:
    """Return a write that fires nothing, as an upsert of an elastic row."""
    return replace(write, firings=())


def _with_token(database: Database, apply: Callable[[], Written]) -> Callable[[], Written]:
    def applied() -> Written:
        written = apply()
        written.response.headers.update(session_token(database))
        return written

    return applied


async def run_writes(environment: Environment, writes: Sequence[PlannedWrite]) -> list[ApiResponse]:
    """Run writes in one transaction, all or nothing. Raises ApiError of the one that is refused.

    Rows of a bulk request on an elastic table are kept although others of it are refused; that raises as well.
    """
    if any(write.customizes for write in writes):
        async with customization(environment):
            return await _run(environment, writes)
    return await _run(environment, writes)


@asynccontextmanager
async def customization(environment: Environment) -> AsyncIterator[None]:
    """Hold the lock of metadata changes for as long as one takes. Raises the 429 answer while another holds it."""
    if environment.customizing or environment.config.customizing:
        raise ApiError(429, CUSTOMIZATION_LOCK, _LOCKED)
    environment.customizing = True
    try:
        await asyncio.sleep(environment.config.customization_ms / 1000 / environment.config.time_scale)
        yield
    finally:
        environment.customizing = False


async def _run(environment: Environment, writes: Sequence[PlannedWrite]) -> list[ApiResponse]:
    operations = [write.operation for write in writes if write.operation]
    accepted = [await environment.hooks.before_write(operation) for operation in operations]
    for write in writes:
        await execute(environment, write.firings)
    written = _apply(environment.database, writes, keep=all(accepted))
    if all(accepted):
        _count(environment, writes, written)
    for operation in operations:
        await environment.hooks.after_commit(operation)
    outcomes = [outcome for result in written for outcome in result.outcomes]
    failure = partial_failure(outcomes, environment.database, environment.config.bulk_details)
    if failure:
        raise failure
    return [result.response for result in written]


def _apply(database: Database, writes: Sequence[PlannedWrite], *, keep: bool) -> list[Written]:
    """Apply all writes; without `keep` they are rolled back, for a fault that drops what was accepted."""
    with database.transaction(keep=keep):
        return [write.apply() for write in writes]


def _count(environment: Environment, writes: Sequence[PlannedWrite], written: Sequence[Written]) -> None:
    for write, result in zip(writes, written, strict=True):
        if write.operation:
            counters = environment.counters.of(write.operation.table)
            counters.rows_written += write.operation.rows - sum(1 for one in result.outcomes if one.error)
            counters.rows_changed += result.rows_changed
        for firing in write.firings:
            environment.counters.automation.count(firing.kind, firing.name, firing.executions)
