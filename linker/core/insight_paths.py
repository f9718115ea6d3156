"""What a row reaches through its link: columns of its profile, and measures (docs/reference/customer-insights.md 2)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from linker.core.model import WIRE
from linker.core.names import LOOKUP_SCHEMA_NAME, MAPPING_TABLE, PROFILE_TABLE
from linker.core.odata import LABEL, is_name

MEASURE_TABLE = "msdynci_customermeasure"
MEASURES = "msdynci_measures"
_OURS = "msdynci_"  # what Customer Insights - Data writes
_NOT_RELATED = frozenset({PROFILE_TABLE, MAPPING_TABLE, MEASURE_TABLE})
_LOOKUPS = frozenset({"Lookup", "Customer", "Owner"})
_PLAIN = frozenset(
    {"BigInt", "Boolean", "DateTime", "Decimal", "Double", "Integer", "Memo", "Money", "Picklist", "State", "Status",
     "String", "Uniqueidentifier"}
)  # fmt: skip

MAX_TEXT: Final = 10_000  # characters of one value that are shown

type Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column as metadata describes it; `type` is its AttributeType."""

    name: str
    label: str
    type: str

    @property
    def is_made(self) -> bool:
        """Whether it is a custom column: those have a publisher's prefix, those of the platform have none."""
        return "_" in self.name

    @property
    def is_readable(self) -> bool:
        """Whether a query may name it: files, images and lists of choices are read in other ways."""
        return self.type in _PLAIN | _LOOKUPS

    @property
    def property_name(self) -> str:
        """Its name in a query; a lookup has one of its own (docs/reference/dataverse.md 7)."""
        return f"_{self.name}_value" if self.type in _LOOKUPS else self.name


@dataclass(frozen=True, slots=True)
class RelatedTable:
    """A table with rows about a customer: it has a lookup to the profile, a column for the CustomerId, or both."""

    name: str
    label: str
    entity_set: str
    lookup: str = ""
    has_customer: bool = False


@dataclass(frozen=True, slots=True)
class Value:
    """One value. `type` is the AttributeType of its column, empty for a measure without one; `text` as a person reads it."""

    __pydantic_config__ = WIRE
    name: str
    label: str
    type: str
    value: Plain
    text: str = ""


@dataclass(frozen=True, slots=True)
class RelatedRows:
    """Rows of one related table; `more` says that there are others beside these."""

    __pydantic_config__ = WIRE
    table: str
    label: str
    rows: tuple[tuple[Value, ...], ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A part that could not be read, and why."""

    __pydantic_config__ = WIRE
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Reach:
    """What a row reaches now. Without a `profile` the row has no link; `customer` is the CustomerId of the profile."""

    profile: str | None = None
    customer: str | None = None
    attributes: tuple[Value, ...] = ()
    related: tuple[RelatedRows, ...] = ()
    measures: tuple[Value, ...] = ()
    unreachable: tuple[Unreachable, ...] = ()

    def __add__(self, other: Reach) -> Reach:
        return Reach(
            self.profile or other.profile,
            self.customer or other.customer,
            self.attributes + other.attributes,
            self.related + other.related,
            self.measures + other.measures,
            self.unreachable + other.unreachable,
        )


def columns_in(rows: Iterable[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Return the columns of attribute metadata by name, without the key and without those that only accompany another one.

    `rows` are of the shape linker.adapters.dataverse.metadata.Attribute. A name that could be no name of a column is left out.
    """
    found = (
        Column(
            row["LogicalName"], label_in(row.get("DisplayName")) or row["LogicalName"], row.get("AttributeType") or ""
        )
        for row in rows
        if row.get("IsValidForRead") and row.get("AttributeOf") is None and not row.get("IsPrimaryId")
    )
    return tuple(sorted((column for column in found if is_name(column.name)), key=lambda column: column.name))


def label_in(label: object) -> str:
    """Return the text of a label of metadata, empty when it has none."""
    localized = label.get("UserLocalizedLabel") if isinstance(label, Mapping) else None
    text = localized.get("Label") if isinstance(localized, Mapping) else None
    return text if isinstance(text, str) else ""


def find_related_in(tables: Iterable[Mapping[str, Any]], lookups: Mapping[str, str]) -> tuple[RelatedTable, ...]:
    """Return the related tables among definitions that carry the attributes named CustomerId they have, by name.

    `lookups` are the columns that point at the profile, by table. A table that no query can name is left out.
    """
    found = (
        RelatedTable(
            name,
            label_in(row.get("DisplayCollectionName")) or name,
            row.get("EntitySetName") or "",
            lookups.get(name, ""),
            has_customer=bool(row.get("Attributes")),
        )
        for row in tables
        if (name := row["LogicalName"]) in lookups or row.get("Attributes")
    )
    related = (table for table in found if is_related(table.name) and is_name(table.name) and is_name(table.entity_set))
    return tuple(sorted(related, key=lambda table: table.name))


def is_related(table: str) -> bool:
    """Whether Customer Insights writes a table, and it is none of those with a meaning of their own."""
    return table.startswith(_OURS) and table not in _NOT_RELATED


def lookups_in(relationships: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the column by which each table points at the profile; our own link is not meant. Of several the first by name."""
    pairs = sorted(((row["ReferencingAttribute"], row["ReferencingEntity"]) for row in relationships), reverse=True)
    return {table: column for column, table in pairs if column != LOOKUP_SCHEMA_NAME and is_name(column)}


def values_in(row: Mapping[str, Any], columns: Iterable[Column]) -> tuple[Value, ...]:
    """Return the values of a row, with the text that Dataverse formatted."""
    return tuple(
        Value(
            column.name,
            column.label,
            column.type,
            plain(row.get(column.property_name)),
            str(row.get(column.property_name + LABEL) or "")[:MAX_TEXT],
        )
        for column in columns
    )


def plain(value: object) -> Plain:
    """Return a value as JSON can carry it: lists and objects as text, a number that is none as text, long texts cut."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value[:MAX_TEXT]
    try:
        return json.dumps(value, ensure_ascii=False)[:MAX_TEXT]
    except RecursionError:
        return "(nested too deep to be shown)"


def measures_in(text: str) -> tuple[Value, ...]:
    """Return the measures in a text of keys and values: a JSON object, or a list of objects with key or name, and value.

    How the text is built is not documented; another one is one value of its own.
    """
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    pairs = parsed.items() if isinstance(parsed, dict) else _list_pairs(parsed)
    return tuple(_measure(str(name), value) for name, value in pairs) or (_measure(MEASURES, text),)


def _list_pairs(parsed: object) -> list[tuple[object, object]]:
    entries = [entry for entry in parsed if isinstance(entry, dict)] if isinstance(parsed, list) else []
    return [
        (name, entry["value"])
        for entry in entries
        if "value" in entry and (name := entry.get("key") or entry.get("name"))
    ]


def _measure(name: str, value: object) -> Value:
    return Value(name[:MAX_TEXT], name[:MAX_TEXT], "", plain(value))
