"""SQL that shapes tables: names, columns and indexes."""

from collections.abc import Iterator
from typing import Final

from sandbox.schema.model import (
    FLAG_TYPES,
    FRACTION_TYPES,
    GUID_TYPES,
    TEXT_TYPES,
    WHOLE_TYPES,
    Column,
    ColumnType,
    Index,
    ManyToMany,
    Table,
)

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


def sort_expression(column: Column, order: str, source: str = "") -> str:
    """Return the SQL expression by which a column is compared and ordered; it is the one that is indexed."""
    if is_keyed(column):
        return f"{source}{quoted(key_name(column))}"
    name = f"{source}{quoted(column.logical_name)}"
    return f"{order}_key({name})" if column.type in TEXT_TYPES else name


def is_keyed(column: Column) -> bool:
    """Return whether a column's sort key is stored beside it; computing a million keys for a scan takes seconds."""
    return column.type in TEXT_TYPES and (column.indexed or column.keyed) and not column.joined


def key_name(column: Column) -> str:
    """Return the name of the SQL column with the sort key of a text."""
    return f"{column.logical_name}~key"


def compute_keys(table: Table, column: Column, order: str) -> str:
    """Return the UPDATE that computes the sort keys of a column anew."""
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
    single = [Index((column.logical_name,)) for column in table.columns.values() if _is_indexed(column)]
    for index in (*single, *table.indexes):
        name = quoted(f"{table.logical_name}.{'.'.join(index.columns)}")
        parts = [sort_expression(table.columns[part], order) for part in (*index.columns, table.primary_id)]
        wanted = ", ".join([*parts, *map(quoted, index.included)])
        yield name, f"CREATE INDEX IF NOT EXISTS {name} ON {quoted(table.logical_name)} ({wanted})"


def _is_indexed(column: Column) -> bool:
    return column.indexed or (column.type is ColumnType.LOOKUP and not column.read_only)
