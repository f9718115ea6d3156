"""What elastic tables do otherwise: rows that succeed or fail alone, session tokens, no joins (dataverse.md 2.8, 15)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from sandbox.collation import guid_text
from sandbox.database import Database
from sandbox.webapi.errors import ApiError
from sandbox.webapi.payloads import Payload

MAX_PAGE: Final = 500  # dataverse.md 5.1
_DETAILS: Final = "Plugin.BulkApiErrorDetails"


@dataclass(frozen=True, slots=True)
class Row:
    """One target of a bulk request: its place there, its key and what it sets."""

    index: int
    key: bytes
    payload: Payload = Payload({})


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


def partial_failure(outcomes: Sequence[Outcome], database: Database) -> ApiError | None:
    """Return the answer to a bulk request of which rows failed, None if all were written.

    Status, code and text are those of the first row that failed; the details list every row.
    """
    ordered = sorted(outcomes, key=lambda outcome: outcome.row.index)
    first = next((outcome.error for outcome in ordered if outcome.error), None)
    if first is None:
        return None
    details = {_DETAILS: orjson.dumps([outcome.detail for outcome in ordered]).decode()}
    return ApiError(first.status, first.code, first.message, session_token(database), details)


def session_token(database: Database) -> dict[str, str]:
    """Return the header that a write answers; reads here are never stale, with the token or without."""
    return {"x-ms-session-token": f"240:8#{database.next_version()}#7=-1"}
