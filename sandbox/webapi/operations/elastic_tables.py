"""Elastic tables: rows that succeed or fail alone, session tokens, no joins (docs/reference/dataverse.md 2.8, 15)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import orjson

from sandbox.database import Database
from sandbox.database.collation import guid_text
from sandbox.database.connection import ticks
from sandbox.database.select import COUNT_LIMIT
from sandbox.database.values import Stored
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.model import Table
from sandbox.switches.tables import DetailsForm
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError
from sandbox.webapi.protocol.payloads import Payload

DEFAULT_PAGE: Final = 500  # docs/reference/dataverse.md 5.1
_DETAILS: Final = "Plugin.BulkApiErrorDetails"


@dataclass(frozen=True, slots=True)
class Row:
    """One target of a bulk request: its place there, its key and what it sets."""

    index: int
    key: bytes
    payload: Payload = Payload({})
    partition: Stored = None
    """The partition that names an elastic row, None for the default one."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row that was written alone; `error` is why it was refused."""

    row: Row
    error: ApiError | None = None

    @property
    def detail(self) -> dict[str, object]:
        """The entry in the error details."""
        status = self.error.status if self.error else 200
        return {"RequestIndex": self.row.index, "Id": guid_text(self.row.key), "StatusCode": status}


def write_alone(rows: Sequence[Row], write: Callable[[Sequence[Row]], int]) -> tuple[int, tuple[Outcome, ...]]:
    """Write each row by itself; returns in how many rows a value changed, and what became of each."""
    changed, outcomes = 0, []
    for row in rows:
        try:
            changed += write([row])
            outcomes.append(Outcome(row))
        except ApiError as error:
            outcomes.append(Outcome(row, error))
    return changed, tuple(outcomes)


def partial_failure(outcomes: Sequence[Outcome], database: Database, form: DetailsForm) -> ApiError | None:
    """Return the answer to a bulk request of which rows failed, None if all were written.

    Status, code and text are those of the first row that failed; the details list every row.
    """
    ordered = sorted(outcomes, key=lambda outcome: outcome.row.index)
    first = next((outcome.error for outcome in ordered if outcome.error), None)
    if first is None:
        return None
    details = _details([outcome.detail for outcome in ordered], form)
    return ApiError(first.status, first.code, first.message, session_token(database), details)


def _details(rows: Sequence[Mapping[str, object]], form: DetailsForm) -> dict[str, object]:
    """Return the error details in the form of the switch: SDKs carry them as text, and no public source shows their JSON."""
    if form == "absent":
        return {}
    return {_DETAILS: rows if form == "list" else orjson.dumps(rows).decode()}


def etags(table: Table, versions: Sequence[object]) -> list[str]:
    """Return the ETags of row versions; those of elastic rows have the form of Cosmos DB (output of Microsoft's sample)."""
    return [etag(table, version) for version in versions]


def etag(table: Table, version: object) -> str:
    """Return the ETag of one row version: for an elastic row a number that differs, and the seconds since 1970."""
    if not table.elastic or not isinstance(version, int):
        return f'W/"{version}"'
    mark = version * _SPREAD & 0xFFFFFFFF
    return f'W/"{mark:08x}-0000-0200-0000-{(version - _UNIX) // 10_000_000:08x}0000"'


_SPREAD: Final = 2_654_435_761  # odd, so that all versions of some minutes get different marks
_UNIX: Final = ticks(datetime(1970, 1, 1, tzinfo=UTC))


def throttle(call: Call, table: Table) -> None:
    """Raise the 429 answer with which an elastic table itself refuses each tenth request, if a switch says so."""
    mode = call.environment.config.elastic_throttle
    if mode == "off" or not table.elastic:
        return
    call.environment.elastic_requests += 1
    if call.environment.elastic_requests % _THROTTLED == 0:
        raise table_throttled({"Retry-After": "1"} if mode == "wait" else {})


def table_throttled(headers: Mapping[str, str]) -> ApiError:
    """Return the 429 answer of an elastic table, apart from service protection; its code is the bare number."""
    text = "Request rate is large. More Request Units may be needed, so no changes were made. Please retry this request later."
    return ApiError(429, "429", text, dict(headers))


_THROTTLED: Final = 10


def count_limit(call: Call, table: Table) -> int:
    """Return up to how many rows `$count` counts. Raises the 400 answer if a table does not count."""
    if table.standard or call.environment.config.elastic_count == "capped":
        return COUNT_LIMIT
    if call.environment.config.elastic_count == "400":
        raise ApiError(400, PROVIDER_ERROR, f"$count is not supported for '{table.logical_name}'.")
    return _ALL


_ALL: Final = 2**53


def check_countable(call: Call, table: Table) -> None:
    """Raise the 400 answer of RetrieveTotalRecordCount for a table whose rows are not in SQL."""
    if not table.standard:
        text = _COUNT_REFUSALS[call.environment.config.record_count_refusal].format(table.logical_name)
        raise ApiError(400, _NOT_COUNTABLE, text)


_NOT_COUNTABLE: Final = "0x80040216"
_COUNT_REFUSALS: Final = {
    "virtual": "Entity {0} is a virtual entity, which is not supported.",
    "method": "The 'RetrieveTotalRecordCount' method does not support entities of type '{0}'.",
}


def check_orders(call: Call, table: Table, columns: Sequence[Column | None]) -> None:
    """Raise the 400 answer for an order that needs a composite index or goes by a lookup (Microsoft's maker page)."""
    if table.standard:
        return
    column = columns[0] if columns else None
    if len(columns) > 1:
        raise ApiError(400, PROVIDER_ERROR, _ORDER_REFUSALS[call.environment.config.elastic_orderby])
    if column is not None and column.type is ColumnType.LOOKUP:
        raise ApiError(400, PROVIDER_ERROR, f"Sorting by the lookup column '{column.logical_name}' is not supported.")


_ORDER_REFUSALS: Final = {
    "index": "The order by query does not have a corresponding composite index that it can be served from.",
    "plain": "Only one order by column is supported.",
}
PROVIDER_ERROR: Final = "0x80048d0b"
"""The code with which a data provider refuses anything; only its text says what."""


def session_token(database: Database) -> dict[str, str]:
    """Return the header that a write answers: who sends it as `MSCRM.SessionToken` reads what was written."""
    return {"x-ms-session-token": f"207:30#{database.next_version()}#7=-1"}
