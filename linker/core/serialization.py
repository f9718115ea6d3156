"""How values are written: as JSON (camelCase, plain dicts) wherever they cross a durable call, the state or the API.

Times are ISO 8601 in UTC, or epoch seconds.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from linker.core.errors import StateError

MAX_BYTES = 4_096  # what an activity may take or return


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(kind)  # type: ignore[arg-type]  # any class or generic alias


def _hashable(kind: Any) -> Hashable:
    return kind  # type: ignore[no-any-return]  # classes are; their stubs do not say so


def to_json(value: object) -> dict[str, Any]:
    """Return a frozen value as a plain dict that json can write."""
    return _adapter(_hashable(type(value))).dump_python(value, mode="json", by_alias=True)  # type: ignore[no-any-return]


def from_json[T](kind: type[T], data: object) -> T:
    """Return the value of `kind` in a plain dict. Raises StateError when the dict has another shape."""
    try:
        return _adapter(_hashable(kind)).validate_python(data, strict=False)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise _misshapen(kind, error) from error


def dumps(value: object) -> str:
    """Return a frozen value as compact JSON text."""
    return json.dumps(to_json(value), separators=(",", ":"), ensure_ascii=False)


def brief(value: object) -> str:
    """Return a frozen value as compact JSON text without the members that have their default; `loads` puts them back."""
    return _adapter(_hashable(type(value))).dump_json(value, by_alias=True, exclude_defaults=True).decode()


def loads[T](kind: type[T], text: str) -> T:
    """Return the value of `kind` in a JSON text. Raises StateError when it is damaged."""
    try:
        return _adapter(_hashable(kind)).validate_json(text)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise _misshapen(kind, error) from error


def _misshapen(kind: type, error: ValidationError) -> StateError:
    return StateError(f"Not a valid {kind.__name__}: {error.errors(include_url=False, include_input=False)}")


# ---- times ----


def iso(epoch_s: float) -> str:
    """Return epoch seconds as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse_time(text: str) -> float:
    """Return a time such as '2026-11-23T20:15:00Z' in epoch seconds. Raises ValueError and OverflowError for another text."""
    return datetime.fromisoformat(text).timestamp()


def find_time(text: str | None) -> float:
    """Return a time of Customer Insights in epoch seconds, 0 when the text has none. Without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def seconds_between(start: str, end: str) -> float:
    """Return the seconds from one time to another, both as ISO 8601."""
    return parse_time(end) - parse_time(start)
