"""Between JSON values, CSV texts and what SQLite keeps: guids as ordered 16 bytes, times as ISO text, flags as 0/1."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from sandbox.database.collation import guid_key, guid_text, guid_texts
from sandbox.schema.column_types import (
    FLAG_TYPES,
    FRACTION_TYPES,
    GUID_TYPES,
    TEXT_TYPES,
    WHOLE_TYPES,
    Column,
    ColumnType,
)

type Stored = str | int | float | bytes | None
type Row = Mapping[str, object]

_TRUE: Final = frozenset({"true", "1", "yes"})
_FALSE: Final = frozenset({"false", "0", "no"})
_TOO_LARGE: Final = float("inf")  # what JSON readers make of 1e400


class ColumnValueError(ValueError):
    """A value does not fit its column; the message says which column and why."""

    def __init__(self, column: Column, reason: str) -> None:
        super().__init__(f"{column.logical_name}: {reason}")
        self.column = column


class TooLongError(ColumnValueError):
    """A text is longer than its column allows."""


def iso_time(moment: datetime) -> str:
    """Return the text of a time as Dataverse keeps it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def stored(column: Column, value: object) -> Stored:
    """Return what SQLite keeps for a JSON value.

    Raises ColumnValueError if the type is wrong, TooLongError if a text exceeds the column's length.
    """
    return None if value is None else _CHECKS[column.type](column, value)


def _text(column: Column, value: object) -> Stored:
    if not isinstance(value, str):
        raise ColumnValueError(column, f"Cannot convert the literal '{value}' to the expected type 'Edm.String'.")
    # Like SQL Server, by UTF-16 units; a text of half the length cannot have too many.
    if len(value) > column.max_length // 2 and len(value.encode("utf-16-le")) > 2 * column.max_length:
        raise TooLongError(column, f"longer than {column.max_length}")
    return value


def _whole(column: Column, value: object) -> Stored:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # pandas-based clients send whole numbers as floats (docs/reference/dataverse.md 17.3)
    bits = 63 if column.type is ColumnType.BIGINT else 31
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**bits) <= value < 2**bits:
        raise ColumnValueError(
            column, f"Cannot convert the literal '{value}' to the expected type 'Edm.Int{bits + 1}'."
        )
    return value


def _fraction(column: Column, value: object) -> Stored:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _TOO_LARGE:
        raise ColumnValueError(column, f"Cannot convert the literal '{value}' to the expected type 'Edm.Decimal'.")
    return float(value)


def _flag(column: Column, value: object) -> Stored:
    if isinstance(value, dict):  # a managed property comes as an object (docs/reference/dataverse.md 8.3)
        value = value.get("Value")
    if not isinstance(value, bool):
        raise ColumnValueError(column, f"Cannot convert the literal '{value}' to the expected type 'Edm.Boolean'.")
    return int(value)


def _time(column: Column, value: object) -> Stored:
    try:
        return _utc(datetime.fromisoformat(value if isinstance(value, str) else ""))
    except (ValueError, OverflowError):
        raise ColumnValueError(
            column, f"Cannot convert the literal '{value}' to the expected type 'Edm.DateTimeOffset'."
        ) from None


def _utc(moment: datetime) -> str:
    return iso_time(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _date(column: Column, value: object) -> Stored:
    """A time counts for its day, which is how clients send a date as well."""
    try:
        return datetime.fromisoformat(value if isinstance(value, str) else "").date().isoformat()
    except ValueError:
        raise ColumnValueError(
            column, f"Cannot convert the literal '{value}' to the expected type 'Edm.Date'."
        ) from None


def _guid(column: Column, value: object) -> Stored:
    try:
        return guid_key(str(value))
    except ValueError:
        raise ColumnValueError(
            column, f"Cannot convert the literal '{value}' to the expected type 'Edm.Guid'."
        ) from None


_CHECKS: Final[dict[ColumnType, Callable[[Column, object], Stored]]] = {
    **dict.fromkeys(TEXT_TYPES, _text),
    **dict.fromkeys(WHOLE_TYPES, _whole),
    **dict.fromkeys(FRACTION_TYPES, _fraction),
    **dict.fromkeys(FLAG_TYPES, _flag),
    **dict.fromkeys(GUID_TYPES, _guid),
    ColumnType.DATETIME: _time,
    ColumnType.DATE: _date,
}


def lenient(column: Column, value: object) -> Stored:
    """Return what SQLite keeps for a value of a data file: texts are read as the column's type, "" is null.

    Raises ColumnValueError if it cannot be read.
    """
    if value is None or value == "":
        return None
    if column.type is ColumnType.STRING and isinstance(value, str) and len(value) <= column.max_length:
        return value
    return stored(column, _from_text(column, value)) if isinstance(value, str) else stored(column, value)


def _from_text(column: Column, text: str) -> object:
    try:
        if column.type in WHOLE_TYPES:
            return int(text)
        if column.type in FRACTION_TYPES:
            return float(text)
    except ValueError:
        raise ColumnValueError(column, f"'{text}' is not a number") from None
    if column.type in FLAG_TYPES and text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    return text


def _shown_flag(value: Stored) -> object:
    return None if value is None else bool(value)


def _shown_guid(value: Stored) -> object:
    return guid_text(value) if isinstance(value, bytes) else None


def _shown_managed(value: Stored) -> object:
    return None if value is None else {"Value": bool(value), "CanBeChanged": True, "ManagedPropertyLogicalName": ""}


_SHOWN: Final[dict[ColumnType, Callable[[Stored], object]]] = {
    ColumnType.GUID: _shown_guid,
    ColumnType.LOOKUP: _shown_guid,
    ColumnType.BOOLEAN: _shown_flag,
    ColumnType.MANAGED: _shown_managed,
}


def shown_column(column: Column, values: Sequence[Stored]) -> Iterable[object]:
    """Return the JSON values of one column of many rows; the inverse of `stored`."""
    if column.type in GUID_TYPES:
        return _shown_guids(values)
    show = _SHOWN.get(column.type)
    return values if show is None else map(show, values)


def _shown_guids(values: Sequence[Stored]) -> Iterable[object]:
    different = set(values)
    if len(different) * 8 < len(values):  # owners, say, are the same for a whole page
        return map({value: _shown_guid(value) for value in different}.__getitem__, values)
    texts = iter(guid_texts([value for value in values if isinstance(value, bytes)]))
    return (next(texts) if isinstance(value, bytes) else None for value in values)


def shown(column: Column, value: Stored) -> object:
    """Return the JSON value of one stored value."""
    show = _SHOWN.get(column.type)
    return value if show is None else show(value)
