"""Loading and changing many rows at once, outside the Web API: data files and the unification simulator."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from sandbox.database import ddl
from sandbox.database.collation import SORT_KEYS, guid_key
from sandbox.database.connection import new_key
from sandbox.database.database import Database
from sandbox.database.rows import Change, Stamp, delete_rows, owners_of, update_rows
from sandbox.database.values import Stored, iso_time, lenient, shown
from sandbox.schema.column_types import Column
from sandbox.schema.definition import SYSTEM_NAMES
from sandbox.schema.model import Table


def bulk_load(database: Database, table_name: str, rows: Iterable[Mapping[str, object]], stamp: Stamp) -> int:
    """Insert rows given by logical column names; texts are read as the column's type, "" is null.

    A missing key is made up; a row whose key exists is replaced. Returns how many rows were loaded. An empty table is
    filled several times faster by `staging.load_empty`.
    Raises KeyError for an unknown table, ColumnValueError for a value that does not fit.
    """
    table = database.schema.tables[table_name]
    columns = [c for c in table.columns.values() if c.logical_name not in SYSTEM_NAMES and not c.joined]
    keyed = [column for column in columns if ddl.is_keyed(column)]
    names = [*(c.logical_name for c in columns), *map(ddl.key_name, keyed), *SYSTEM_NAMES]
    marks = ", ".join("?" * len(names))
    target = f"{ddl.quoted(table.logical_name)} ({', '.join(map(ddl.quoted, names))})"
    loaded = _rows_to_load(database, table, columns, rows, stamp)
    with database.transaction():
        return database.execute_many(f"INSERT OR REPLACE INTO {target} VALUES ({marks})", loaded)  # noqa: S608


def _rows_to_load(
    database: Database, table: Table, columns: Sequence[Column], rows: Iterable[Mapping[str, object]], stamp: Stamp
) -> Iterator[list[Stored]]:
    now = iso_time(stamp.moment)
    names = [column.logical_name for column in columns]
    readers = [partial(lenient, column) for column in columns]
    keys = [(place, _key_reader(database, column)) for place, column in enumerate(columns) if ddl.is_keyed(column)]
    owners = [(names.index(name), owner) for name, owner in owners_of(database, table, stamp).items()]
    for row in rows:
        values = [read(row.get(name)) for name, read in zip(names, readers, strict=True)]
        for place, owner in owners:
            values[place] = owner if values[place] is None else values[place]
        if values[0] is None:  # the key is the first column of every table
            values[0] = new_key()
        values += [read_key(values[place]) for place, read_key in keys]
        values += (row.get("createdon") or now, now, stamp.user, stamp.user, None, database.next_version(table))  # type: ignore[arg-type]  # a text
        yield values


def _key_reader(database: Database, column: Column) -> Callable[[Any], str | bytes | None]:
    sort_key = SORT_KEYS[ddl.order_of(column, database.string_order)]
    return lru_cache(maxsize=1024)(sort_key) if column.repeats else sort_key


def bulk_update(database: Database, table_name: str, rows: Iterable[Mapping[str, object]], stamp: Stamp) -> int:
    """Update rows that name their primary id. Returns how many of them exist.

    Times and versions change as for any write.
    """
    table = database.schema.tables[table_name]
    changes = [_change(table, row) for row in rows]
    with database.transaction():
        return len(changes) - len(update_rows(database, table, changes, stamp).missing)


def _change(table: Table, row: Mapping[str, object]) -> Change:
    values = {name: lenient(table.columns[name], value) for name, value in row.items() if name != table.primary_id}
    return Change(guid_key(str(row[table.primary_id])), values)


def bulk_delete(database: Database, table_name: str, ids: Iterable[str]) -> int:
    """Delete rows by guid text; lookups that point at them are emptied (RemoveLink). Returns how many existed."""
    table = database.schema.tables[table_name]
    with database.transaction():
        return delete_rows(database, table, [guid_key(row_id) for row_id in ids])


def scan(
    database: Database, table_name: str, columns: Sequence[str], where: Mapping[str, object] | None = None
) -> Iterator[tuple[object, ...]]:
    """Yield the JSON values of columns (logical names) in key order; `where` compares columns for equality.

    Texts in `where` compare exactly (case and accents count): this is for our own bookkeeping, not for queries.
    """
    table = database.schema.tables[table_name]
    wanted = [table.columns[name] for name in columns]
    names = ", ".join(ddl.quoted(name) for name in columns)
    tests = [(ddl.quoted(name), lenient(table.columns[name], value)) for name, value in (where or {}).items()]
    condition = " AND ".join(f"{name} IS ?" for name, _ in tests) or "1"
    sql = f"SELECT {names} FROM {ddl.quoted(table_name)} WHERE {condition} ORDER BY {ddl.quoted(table.primary_id)}"  # noqa: S608
    for row in database.iterate(sql, [value for _, value in tests]):
        yield tuple(shown(column, value) for column, value in zip(wanted, row, strict=True))


def count_rows(database: Database, table: Table) -> int:
    """Return how many rows a table has."""
    (row,) = database.execute(f"SELECT count(*) FROM {ddl.quoted(table.logical_name)}")  # noqa: S608
    return int(row[0] or 0)
