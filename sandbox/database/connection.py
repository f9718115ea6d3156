"""One SQLite connection, one writer: transactions, row versions, and statements for the modules of this package."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from sandbox.database import ddl
from sandbox.database.collation import SORT_KEYS, guid_key
from sandbox.database.sqlite import open_file
from sandbox.database.stored_schema import CREATE
from sandbox.database.values import Stored
from sandbox.schema.column_types import TEXT_TYPES, Column
from sandbox.schema.model import Schema, Table

_CREATE_VERSION: Final = "CREATE TABLE IF NOT EXISTS _version (value INTEGER NOT NULL, string_order TEXT NOT NULL)"
FIRST_VERSION: Final = 1_000_000
_CHUNK: Final = 30_000  # below SQLite's default limit of 32,766 parameters


def utc_now() -> datetime:
    """Return the time; tests pass another clock."""
    return datetime.now(UTC)


def ticks(moment: datetime) -> int:
    """Return a time as .NET counts it: tenths of microseconds since the year 1."""
    return (moment - _YEAR_ONE) // _MICROSECOND * 10


_YEAR_ONE: Final = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Grants:
    """The privileges of a user in lower case; `everything` for a System Administrator."""

    names: frozenset[str]
    everything: bool

    def allow(self, privilege: str) -> bool:
        """Return whether the privilege is granted."""
        return self.everything or privilege.lower() in self.names


class Connection:
    """Transactions, row versions, and statements. Not for use by several threads at once.

    `path` None keeps everything in memory. Row versions rise with each write of any row, as a SQL Server rowversion.
    """

    def __init__(self, path: str | None, clock: Callable[[], datetime], string_order: str) -> None:
        self.clock = clock
        self.string_order = string_order
        self.grants: dict[bytes, Grants] = {}
        """What users may do, until a pair of a many-to-many relationship changes."""
        self.stale: dict[str, float] = {}
        """Elastic tables of which other sessions still see old rows, and until when, in seconds of `clock`."""
        self._connection = open_file(path)
        self._schema = Schema()
        self._depth = 0
        self._ticks = 0
        self._version = self._stored_version()

    def close(self) -> None:
        """Close the file; nothing can be asked afterwards."""
        self._connection.close()

    # -- transactions and versions

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[None]:
        """All or nothing. Transactions nest; only the outermost one commits, or rolls back without `keep`."""
        if self._depth:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        schema, self._depth = self._schema, 1
        try:
            yield
            self._connection.execute("UPDATE _version SET value = ?", (self._version,))
            self._connection.execute("COMMIT" if keep else "ROLLBACK")
        except BaseException:
            self._connection.execute("ROLLBACK")
            self._schema = schema
            raise
        finally:
            self._depth = 0

    def current_version(self, table: Table) -> int:
        """Return the highest version that a row of a table can have."""
        if not table.elastic:
            return self._version
        self._ticks = max(self._ticks, ticks(self.clock()))  # what is written from now on has a higher one
        return self._ticks

    def next_version(self, table: Table | None = None) -> int:
        """Return a row version that is higher than all before."""
        return self.take_versions(1, table).start

    def take_versions(self, count: int, table: Table | None = None) -> range:
        """Return `count` row versions: those of elastic tables are ticks of time, of others numbers of SQL Server."""
        if table is not None and table.elastic:
            first = max(self._ticks + 1, ticks(self.clock()))
            self._ticks = first + count - 1
        else:
            first = self._version + 1
            self._version += count
        return range(first, first + count)

    def _stored_version(self) -> int:
        self._connection.execute(_CREATE_VERSION)
        self._connection.execute(CREATE)
        self._connection.execute(ddl.CREATE_DELETED)
        row = self._connection.execute("SELECT value FROM _version").fetchone()
        if row is None:
            self._connection.execute("INSERT INTO _version VALUES (?, ?)", (FIRST_VERSION, self.string_order))
        return int(row[0]) if row else FIRST_VERSION

    # -- SQL for the other modules of this package

    def with_keys(self, table: Table, values: Mapping[str, Stored]) -> dict[str, Stored]:
        """Return values by SQL column: texts whose sort key is stored bring it with them."""
        written = dict(values)
        for name, value in values.items():
            column = table.columns[name]
            if ddl.is_keyed(column) and (value is None or isinstance(value, str)):
                written[ddl.key_name(column)] = SORT_KEYS[ddl.order_of(column, self.string_order)](value)
        return written

    def execute(self, sql: str, parameters: Sequence[Stored] = ()) -> list[tuple[Stored, ...]]:
        """Run one statement and return its rows."""
        return self._connection.execute(sql, parameters).fetchall()

    def execute_many(self, sql: str, rows: Iterable[Sequence[Stored]]) -> int:
        """Run a statement for each row; returns how many rows it touched."""
        return self._connection.executemany(sql, rows).rowcount

    def iterate(self, sql: str, parameters: Sequence[Stored] = ()) -> Iterator[tuple[Stored, ...]]:
        """Run one statement and yield its rows without keeping them."""
        return iter(self._connection.execute(sql, parameters))

    def rows_of(self, table: Table, columns: Sequence[str], keys: Sequence[bytes]) -> dict[bytes, tuple[Stored, ...]]:
        """Return the wanted columns of the rows that exist, by key."""
        names = ", ".join(map(ddl.quoted, (table.primary_id, *columns)))
        found: dict[bytes, tuple[Stored, ...]] = {}
        for start in range(0, len(keys), _CHUNK):
            chunk = keys[start : start + _CHUNK]
            marks = ", ".join("?" * len(chunk))
            sql = f"SELECT {names} FROM {ddl.rows_from(table)} WHERE {ddl.quoted(table.primary_id)} IN ({marks})"  # noqa: S608
            found.update((row[0], row[1:]) for row in self._connection.execute(sql, chunk))
        return found

    def keys_with(self, table: Table, values: Mapping[str, Stored]) -> list[bytes]:
        """Return the keys of the rows that hold these values; texts compare as Dataverse compares them."""
        tests = " AND ".join(self._equality(table.columns[name]) for name in values)
        sql = f"SELECT {ddl.quoted(table.primary_id)} FROM {ddl.quoted(table.logical_name)} WHERE {tests}"  # noqa: S608
        return [key for (key,) in self._connection.execute(sql, list(values.values()))]

    def _equality(self, column: Column) -> str:
        mark = "?"
        if column.type in TEXT_TYPES:
            mark = ddl.key_expression(ddl.order_of(column, self.string_order), mark)
        return f"{ddl.sort_expression(column, self.string_order)} = {mark}"


def new_key() -> bytes:
    """Return the key of a new random guid."""
    return guid_key(str(uuid4()))
