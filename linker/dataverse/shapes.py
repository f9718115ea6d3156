"""Answers as they are documented. One in another shape is said to be so where it comes in, and asked for again later."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from linker.core.keys import key_text, row_key
from linker.errors import ConfigurationError, StateError, TransientError
from linker.model import CustomerId, RowKey, Source, Target
from linker.wire import from_json

Fields = dict[str, Any]
"""A row whose members nobody has looked at yet."""

Page = TypedDict("Page", {"value": list[Fields], "@odata.nextLink": NotRequired[str | None]})
"""Rows of one response, and where the next ones are."""

MOST_NAME = 400  # characters of a data source or table: its pairs stand in one query
MOST_CUSTOMER = 100  # characters; a CustomerId has 32 (customer-insights.md 2), and hundreds of them stand in one query


@dataclass(frozen=True, slots=True)
class LiveLink:
    """The link on a source row as it is now. `customer` is the CustomerId of the linked profile."""

    profile: str | None
    customer: CustomerId | None
    etag: str


class Stamped(TypedDict):
    """A row with the time and the version of its last change."""

    modifiedon: NotRequired[str | None]
    versionnumber: NotRequired[int | None]


Linked = TypedDict("Linked", {"profile": str | None, "expanded": Fields | None, "@odata.etag": str})


def read[T](kind: type[T], found: object, what: str = "Dataverse") -> T:
    """Return an answer, or a part of it, as `kind` describes it: a TypedDict, a list of them. Raises TransientError.

    Halves of characters, which JSON can carry and nothing else, are replaced in its texts: they can be shown and stored.
    """
    try:
        whole = json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
    except RecursionError:
        raise odd("it is nested beyond all measure", what) from None
    return checked(kind, whole, what)


def checked[T](kind: type[T], found: object, what: str = "Dataverse") -> T:
    """Return an answer as `kind` describes it with its texts as they are: they are compared. Raises TransientError."""
    try:
        return from_json(kind, found)
    except StateError as error:
        raise odd(str(error), what) from None


def rows_in[T](kind: type[T], answer: object) -> list[T]:
    """Return the rows of an answer as `kind` describes each. Raises TransientError."""
    return read(list[kind], checked(Page, answer)["value"])  # type: ignore[valid-type]  # a variable as a type, at runtime


def odd(why: str, what: str = "Dataverse") -> TransientError:
    """Return the error for an answer that is not as documented."""
    return TransientError(
        f"{what} sent an answer in another shape than documented ({why[:300]}). It was not used. If this stays, look for "
        "something between the app and the service that changes answers, and report it."
    )


def key_in(row: Fields, column: str) -> RowKey:
    """Return the primary key of a row. Raises TransientError when it is no guid."""
    found = row.get(column)
    key = row_key(found) if isinstance(found, str) else None
    if key is None:
        raise odd(f"{column}: a row without its key")
    return key


def guid_in(row: Fields, column: str) -> str:
    """Return a guid of a row as canonical text. Raises TransientError when it is none."""
    return key_text(key_in(row, column))


def customer_in(found: object) -> CustomerId | None:
    """Return a CustomerId as it is compared, None for what cannot be one: no text, empty, endless, or not to be sent."""
    if not isinstance(found, str) or not is_sendable(found):
        return None
    customer = found.strip().lower()
    return customer if 0 < len(customer) <= MOST_CUSTOMER else None


def is_sendable(text: str) -> bool:
    """Whether a text can be part of a request at all: JSON can carry halves of characters, which UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def source_in(data_source: object, table: object) -> Source:
    """Return a pair as the mapping names it. Raises ConfigurationError when a name is none that could be asked for."""
    names = [name for name in (data_source, table) if isinstance(name, str) and is_sendable(name)]
    if len(names) < 2 or max(map(len, names)) > MOST_NAME:
        raise ConfigurationError(
            f"A row of the mapping names the data source {str(data_source)[:40]!r} and the table {str(table)[:40]!r}, "
            "which cannot be names. Nothing was written. Look at msdynci_alternatekey, and run unification again."
        )
    return Source(*names)


def link_in(row: Fields, target: Target, column: str) -> LiveLink:
    """Return the link of a row that was read with its profile expanded. Raises TransientError."""
    found = checked(Linked, {"profile": row.get(f"_{column}_value"), "expanded": row.get(target.navigation), **row})
    customer = customer_in((found["expanded"] or {}).get("msdynci_customerid"))
    return LiveLink(found["profile"] and found["profile"].lower(), customer, found["@odata.etag"])


def time_in(text: str) -> float:
    """Return the epoch seconds of a Dataverse time such as '2026-11-23T20:15:00Z'. Raises TransientError when it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        raise odd(f"{text[:40]!r} is no time") from None
