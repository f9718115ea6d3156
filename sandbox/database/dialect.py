"""How queries of a request are understood: how columns compare, are ordered, and are shown."""

from collections.abc import Callable
from dataclasses import dataclass

from sandbox.database import ddl
from sandbox.database.collation import SORT_KEYS, guid_text
from sandbox.database.values import Stored
from sandbox.schema.column_types import GUID_TYPES, TEXT_TYPES, Column
from sandbox.schema.kinds import PARTITION
from sandbox.schema.model import Table
from sandbox.switches.tables import Joins


@dataclass(frozen=True, slots=True)
class Place:
    """A table within a statement, under its alias."""

    table: Table
    alias: str

    def sql(self, column: Column) -> str:
        """Return the column's SQL name."""
        return f"{self.alias}.{ddl.quoted(column.logical_name)}"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How queries are understood, and who asks (for EqualUserId).

    `joins`, `text_in` and `text_ranges` are about tables that are not standard, `lookup_filters` about lookups from one
    elastic table to another; `partitions` is how a default partition is written. Of profiles only those with keys from
    `least_profile` on are visible, None for all. `readable` says which columns the caller may read.
    """

    string_order: str = "word"
    guid_ranges: bool = False
    user: bytes | None = None
    joins: Joins = "refuse"
    text_in: bool = True
    text_ranges: bool = True
    lookup_filters: bool = True
    partitions: str = "lower"
    least_profile: bytes | None = None
    readable: Callable[[Table, Column], bool] = lambda _table, _column: True

    def sort_expression(self, place: Place, column: Column) -> str:
        """Return the expression by which a column is compared and ordered."""
        if column.attribute_of or (place.table.elastic and column.logical_name == PARTITION):
            order = ddl.order_of(column, self.string_order)
            return ddl.key_expression(order, self.shown(place, column))
        if column.type in GUID_TYPES and place.table.elastic:
            return ddl.guid_order(place.sql(column))
        return ddl.sort_expression(column, self.string_order, f"{place.alias}.")

    def shown(self, place: Place, column: Column) -> str:
        """Return the expression of what clients see of a column."""
        return ddl.shown_expression(place.table, column, self.partitions, f"{place.alias}.")

    def sort_key(self, place: Place, column: Column, value: Stored) -> Stored:
        """Return the value that `sort_expression` has for a stored value."""
        if isinstance(value, str) and column.type in TEXT_TYPES:
            return SORT_KEYS[ddl.order_of(column, self.string_order)](value)
        if isinstance(value, bytes) and place.table.elastic:
            return guid_text(value).replace("-", "").upper()
        return value
