"""SQL that shapes tables: names, columns and indexes."""

from collections.abc import Iterator
from typing import Final

from sandbox.schema.column_types import (
    FLAG_TYPES,
    FRACTION_TYPES,
    GUID_TYPES,
    TEXT_TYPES,
    WHOLE_TYPES,
    Column,
    ColumnType,
)
from sandbox.schema.kinds import PARTITION
from sandbox.schema.model import Index, ManyToMany, Table

_AFFINITY: Final = {
    **dict.fromkeys(TEXT_TYPES, "TEXT"),
    **dict.fromkeys(WHOLE_TYPES | FLAG_TYPES, "INTEGER"),
    **dict.fromkeys(FRACTION_TYPES, "REAL"),
    **dict.fromkeys(GUID_TYPES, "BLOB"),
    ColumnType.DATETIME: "TEXT",
    ColumnType.DATE: "TEXT",
}

CREATE_DELETED: Final = (
    "CREATE TABLE IF NOT EXISTS _deleted "
    "(owner TEXT NOT NULL, version INTEGER NOT NULL, key BLOB NOT NULL, PRIMARY KEY (owner, version)) WITHOUT ROWID"
)
"""Which rows are gone since when, for readers who track changes."""


def quoted(name: str) -> str:
    """Return an identifier that SQL reads as a name, whatever it contains."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def rows_from(table: Table) -> str:
    """Return the SQL name of what the rows of a table are read from."""
    return quoted(table.source or table.logical_name)


def order_of(column: Column, order: str) -> str:
    """Return the order in which the texts of a column compare: its own, else that of the database."""
    return column.collation or order


def sort_expression(column: Column, order: str, source: str = "") -> str:
    """Return the SQL expression by which a column is compared and ordered; it is the one that is indexed."""
    if is_keyed(column):
        return f"{source}{quoted(key_name(column))}"
    name = f"{source}{quoted(column.logical_name)}"
    return key_expression(order_of(column, order), name) if column.type in TEXT_TYPES else name


def shown_expression(table: Table, column: Column, partitions: str, source: str = "") -> str:
    """Return the SQL expression of what clients see of a column.

    A partition that is not stored is the default one: that of a row is its own key, that of a lookup the key that the
    lookup holds. `partitions` says how it is written: `lower`, `upper` or `null`.
    """
    name = f"{source}{quoted(column.logical_name)}"
    key = column.attribute_of or (table.primary_id if table.elastic and column.logical_name == PARTITION else "")
    return f"coalesce({name}, partition_{partitions}({source}{quoted(key)}))" if key else name


def guid_order(name: str) -> str:
    """Return the SQL expression by which guids order as their texts do, which elastic tables compare."""
    return " || ".join(f"substr(hex({name}), {place + 1}, {length})" for place, length in _TEXT_ORDER)


_TEXT_ORDER: Final = ((30, 2), (28, 2), (26, 2), (24, 2), (22, 2), (20, 2), (18, 2), (16, 2), (12, 4), (0, 12))


def key_expression(order: str, text: str) -> str:
    """Return the SQL expression of the sort key of a text."""
    return text if order == "exact" else f"{order}_key({text})"


def is_keyed(column: Column) -> bool:
    """Return whether a column's sort key is stored beside it; computing a million keys for a scan takes seconds."""
    if column.collation == "exact":
        return False  # the text itself is its key
    return column.type in TEXT_TYPES and (column.indexed or column.keyed) and not column.joined


def key_name(column: Column) -> str:
    """Return the name of the SQL column with the sort key of a text."""
    return f"{column.logical_name}~key"


def compute_keys(table: Table, column: Column, order: str) -> str:
    """Return the UPDATE that computes the sort keys of a column again."""
    name, key = quoted(column.logical_name), quoted(key_name(column))
    return f"UPDATE {quoted(table.logical_name)} SET {key} = {order}_key({name})"  # noqa: S608


def create_table(table: Table) -> str:
    """Return CREATE TABLE. Rows lie in the order of their keys, as in SQL Server, which is the default order."""
    columns = [column_definition(table, column) for column in table.columns.values()]
    columns += [f"{quoted(key_name(column))} BLOB" for column in table.columns.values() if is_keyed(column)]
    return f"CREATE TABLE {quoted(table.logical_name)} ({', '.join(columns)}) WITHOUT ROWID"


def column_definition(table: Table, column: Column) -> str:
    """Return the definition of one column."""
    name = f"{quoted(column.logical_name)} {_AFFINITY[column.type]}"
    if column.joined:
        parts = " || ' ' || ".join(f"coalesce({quoted(part)}, '')" for part in column.joined)
        return f"{name} GENERATED ALWAYS AS (nullif(trim({parts}), '')) STORED"
    return f"{name} NOT NULL PRIMARY KEY" if column.logical_name == table.primary_id else name


def create_intersect(relationship: ManyToMany) -> str:
    """Return CREATE TABLE for the pairs of a many-to-many relationship."""
    first, second = quoted(relationship.entity1_attribute), quoted(relationship.entity2_attribute)
    return (
        f"CREATE TABLE {quoted(relationship.intersect_entity)} "
        f"({first} BLOB NOT NULL, {second} BLOB NOT NULL, PRIMARY KEY ({first}, {second})) WITHOUT ROWID"
    )


def indexes(table: Table, order: str) -> Iterator[tuple[str, str]]:
    """Yield (name, CREATE INDEX) of every index besides the key's; each ends in the key, for paging."""
    single = [Index((column.logical_name,)) for column in table.columns.values() if _is_indexed(table, column)]
    for index in (*single, *table.indexes):
        name = quoted(f"{table.logical_name}.{'.'.join(index.columns)}")
        parts = [sort_expression(table.columns[part], order) for part in (*index.columns, table.primary_id)]
        wanted = ", ".join([*parts, *map(quoted, index.included)])
        yield name, f"CREATE INDEX IF NOT EXISTS {name} ON {quoted(table.logical_name)} ({wanted})"


def _is_indexed(table: Table, column: Column) -> bool:
    """Return whether a column has an index of its own; deleting a parent looks for its children in standard tables."""
    if column.indexed:
        return True
    return table.standard and column.type is ColumnType.LOOKUP and not column.read_only
