"""Answers as they are documented. One in another shape is said to be so where it comes in, and asked for again later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NotRequired, TypedDict

from linker.core.errors import ConfigurationError, StateError, TransientError
from linker.core.keys import guid_texts, row_key, row_keys
from linker.core.linking.shards import MAX_SHOWN, Claim, ClaimRow, fold_customers, is_customer
from linker.core.model import CustomerId, Link, RowKey, Source, Target
from linker.core.names import CUSTOMER_COLUMN, PROFILE_KEY
from linker.core.odata import LABEL, MappingColumns
from linker.core.serialization import from_json, parse_time

Fields = dict[str, Any]
"""A row whose members are not validated yet."""

Page = TypedDict("Page", {"value": list[Fields], "@odata.nextLink": NotRequired[str | None]})
"""Rows of one response, and where the next ones are."""
NEXT_LINK = "@odata.nextLink"

MAX_NAME = 400  # characters of a data source or table: its pairs stand in one query
MAX_PARTITION = 1_024  # characters of a partition


@dataclass(frozen=True, slots=True)
class LiveLink:
    """The link on a source row as it is now. `label` is its formatted value, the CustomerId of a live link, if one came."""

    link: Link | None
    label: str | None
    etag: str


class Stamped(TypedDict):
    """A row with the time and the version of its last change."""

    modifiedon: NotRequired[str | None]
    versionnumber: NotRequired[int | None]


def read[T](kind: type[T], found: object, what: str = "Dataverse") -> T:
    """Return an answer, or a part of it, as `kind` describes it: a TypedDict, a list of them. Raises TransientError.

    Halves of characters, which JSON can carry and nothing else, are replaced in its texts: they can be shown and stored.
    """
    try:
        whole = _in_whole_characters(found)
    except RecursionError:
        raise odd("it is nested too deeply", what) from None
    return check_model(kind, whole, what)


def _in_whole_characters(found: Any) -> Any:
    """Return a JSON value whose texts can all be encoded."""
    match found:
        case str():
            return found if is_sendable(found) else found.encode(errors="replace").decode()
        case dict():
            return {_in_whole_characters(name): _in_whole_characters(value) for name, value in found.items()}
        case list():
            return [_in_whole_characters(one) for one in found]
    return found


def check_model[T](kind: type[T], found: object, what: str = "Dataverse") -> T:
    """Return an answer as `kind` describes it with its texts as they are: they are compared. Raises TransientError."""
    try:
        return from_json(kind, found)
    except StateError as error:
        raise odd(str(error), what) from None


def rows_in[T](kind: type[T], answer: object) -> list[T]:
    """Return the rows of an answer as `kind` describes each. Raises TransientError."""
    return read(list[kind], page_in(answer)["value"])  # type: ignore[valid-type]  # a variable as a type, at runtime


def page_in(answer: Any) -> Page:
    """Return an answer as the page of rows that it is, with its texts as they are. Raises TransientError.

    Every row of a run comes through here, so its shape is looked at without a copy.
    """
    rows, link = (answer.get("value"), answer.get(NEXT_LINK)) if isinstance(answer, dict) else (None, None)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise odd("value: not a list of rows")
    if link is not None and not isinstance(link, str):
        raise odd(f"{NEXT_LINK}: not a link")
    return {"value": rows, "@odata.nextLink": link}


def odd(why: str, what: str = "Dataverse") -> TransientError:
    """Return the error for an answer that is not as documented."""
    return TransientError(
        f"{what} sent an answer in another shape than documented ({why[:300]}). It was not used. If this stays, look for "
        "something between the app and the service that changes answers, and report it."
    )


def keys_in(rows: Iterable[Fields], column: str) -> list[RowKey]:
    """Return the primary key of each row. Raises TransientError when one is not a GUID."""
    return _complete(row_keys(row.get(column) for row in rows), column)


def guids_in(rows: Iterable[Fields], column: str) -> list[str]:
    """Return a guid of each row as canonical text. Raises TransientError when one is none."""
    return _complete(guid_texts(row.get(column) for row in rows), column)


def guid_in(row: Fields, column: str) -> str:
    """Return a guid of a row as canonical text. Raises TransientError when it is none."""
    return guids_in([row], column)[0]


def _complete[T](found: list[T | None], column: str) -> list[T]:
    complete = [one for one in found if one is not None]
    if len(complete) < len(found):
        raise odd(f"{column}: a row without its key")
    return complete


def profiles_in(rows: Sequence[Fields]) -> list[tuple[CustomerId, str, Link]]:
    """Return the CustomerId of each profile that has one, as it is compared and as it is stored, and how a lookup addresses
    it. Raises TransientError when such a row has no key.
    """
    customers = fold_customers(row.get(CUSTOMER_COLUMN) for row in rows)
    guids = guid_texts(row.get(PROFILE_KEY) for row in rows)
    found: list[tuple[CustomerId, str, Link]] = []
    for row, customer, guid in zip(rows, customers, guids, strict=True):
        if customer is None:
            continue
        if guid is None:
            raise odd(f"{PROFILE_KEY}: a row without its key")
        link = Link(guid, normalize_partition(guid, row.get("partitionid")))
        found.append((customer, row[CUSTOMER_COLUMN], link))
    return found


def normalize_partition(profile: str, found: object) -> str:
    """Return a partition as it is compared: empty for the default one, which shows as nothing or as the profile's own id."""
    if not isinstance(found, str) or not found or found == profile or row_key(found) == row_key(profile):
        return ""
    return found


def claim_row(row: Fields, columns: MappingColumns) -> ClaimRow:
    """Return what one mapping row says; a row without a usable key or CustomerId keeps the text to show."""
    text, stored = row.get(columns.key), row.get(columns.customer)
    key = row_key(text) if isinstance(text, str) else None
    if key is None or not is_customer(stored):
        shown = show_text(text)
        identity = row_key(str(row.get(columns.id) or "")) or blake2b(shown.encode(), digest_size=16).digest()
        return ClaimRow(None, Claim(""), shown, identity)
    value = f"_{columns.lookup}_value"
    profile, partition = row.get(value), row.get(f"{columns.lookup}pid")
    if not isinstance(profile, str) or row_key(profile) is None:
        return ClaimRow(key, Claim(str(stored)), "", b"")
    own, partition = guid_in(row, value), partition if is_partition(partition) else ""
    return ClaimRow(key, Claim(str(stored), own, normalize_partition(own, partition)), "", b"")


def is_partition(found: object) -> bool:
    """Return whether a value can be a partition: text that can be sent, of the length that Dataverse allows."""
    return isinstance(found, str) and len(found) <= MAX_PARTITION and is_sendable(found)


def show_text(value: object) -> str:
    """Return what stands in the place of a key as it can be shown and stored: of bounded length, in whole characters."""
    return str("" if value is None else value)[:MAX_SHOWN].encode(errors="replace").decode()


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
    if len(names) < 2 or max(map(len, names)) > MAX_NAME:
        raise ConfigurationError(
            f"A row of the mapping names the data source {str(data_source)[:40]!r} and the table {str(table)[:40]!r}, "
            "which cannot be names. Nothing was written. Look at msdynci_alternatekey, and run unification again."
        )
    return Source(*names)


def links_in(rows: Sequence[Fields], target: Target) -> dict[RowKey, LiveLink]:
    """Return the link of each row by its key. Raises TransientError when the answer has another shape."""
    keys = keys_in(rows, target.key)
    return {key: link_in(row, target) for key, row in zip(keys, rows, strict=True)}


def link_in(row: Fields, target: Target) -> LiveLink:
    """Return the link of a row. Raises TransientError when the answer has another shape.

    Every written row is read back through here, so its few members are checked by hand.
    """
    value = f"_{target.lookup}_value"
    pid = row.get(target.partition_column) if target.partition_column else None
    profile, label, etag = row.get(value), row.get(value + LABEL), row.get("@odata.etag")
    for name, found in ((value, profile), (target.partition_column, pid), (value + LABEL, label)):
        if found is not None and not isinstance(found, str):
            raise odd(f"{name}: not a text")
    if not isinstance(etag, str):
        raise odd("@odata.etag: a row without its version")
    link = Link(profile.lower(), normalize_partition(profile.lower(), pid)) if profile else None
    return LiveLink(link, label, etag)


def time_in(text: str) -> float:
    """Return the epoch seconds of a Dataverse time such as '2026-11-23T20:15:00Z'. Raises TransientError when it is none."""
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise odd(f"{text[:40]!r} is not a time") from None
