"""The database of the sandbox: one SQLite connection, one writer, all SQL behind it."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

from sandbox.collation import LIKES, PARTITIONS, SORT_KEYS, guid_key
from sandbox.config import DEFAULTS, SandboxConfig
from sandbox.database import ddl
from sandbox.database.stored_schema import CREATE, load_schema, save_schema
from sandbox.database.values import Stored
from sandbox.schema.builtin import builtin_schema, with_lookups, with_partitions
from sandbox.schema.model import TEXT_TYPES, Column, ManyToMany, OneToMany, Schema, Table

_PRAGMAS: Final = (
    "locking_mode=EXCLUSIVE",  # one process owns the file; measured, a write takes half the time of WAL's
    "journal_mode=PERSIST",
    "synchronous=OFF",  # a sandbox need not survive a power cut; a killed process loses nothing
    "cache_size=-131072",
    "temp_store=FILE",  # sorting a million rows shall not take memory
)
_CREATE_VERSION: Final = "CREATE TABLE IF NOT EXISTS _version (value INTEGER NOT NULL, string_order TEXT NOT NULL)"
_FIRST_VERSION: Final = 1_000_000
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


@dataclass(frozen=True, slots=True)
class _Replaced:
    """A schema that was replaced at a moment by a change on a virtual web server."""

    moment: datetime
    schema: Schema
    server: int


class Database:
    """Rows, schema and versions. Not for use by several threads at once.

    `path` None keeps everything in memory. `config` says of which kinds the tables of a new database are. Row versions
    rise with each write of any row, as a SQL Server rowversion.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        config: SandboxConfig = DEFAULTS,
    ) -> None:
        self.clock = clock
        self.string_order: str = config.string_order
        self.grants: dict[bytes, Grants] = {}
        """What users may do, until a pair of a many-to-many relationship changes."""
        self.stale: dict[str, float] = {}
        """Elastic tables of which other sessions still see old rows, and until when, in seconds of `clock`."""
        self.table_listeners: list[Callable[[Table], None]] = []
        self._connection = _connect(path)
        self._depth = 0
        self._ticks = 0
        self._version = self._stored_version()
        self.changing_server = 0
        """The virtual web server that runs the present change of metadata."""
        self._replaced: list[_Replaced] = []
        self._changes = 0
        self._schema = load_schema(self._connection) or Schema()
        self.use_string_order(config.string_order)
        if not self._schema.tables:
            self._create_all(builtin_schema(config))

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
            self._connection.execute("INSERT INTO _version VALUES (?, ?)", (_FIRST_VERSION, self.string_order))
        return int(row[0]) if row else _FIRST_VERSION

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

    # -- schema

    @property
    def schema(self) -> Schema:
        """The schema as it is now."""
        return self._schema

    @property
    def metadata_version(self) -> int:
        """A number that rises with each change of metadata."""
        return _FIRST_VERSION + self._changes

    def schema_as_of(self, moment: datetime, informed: int | None = None) -> Schema:
        """Return the schema that was current at a moment (a server whose metadata cache lags, dataverse.md 8.2).

        The server `informed` knows all that was changed up to its own last change. What was dropped is known everywhere at
        once, because its values are gone.
        """
        own = [number for number, change in enumerate(self._replaced, 1) if change.server == informed]
        unknown = (change.schema for change in self._replaced[max(own, default=0) :] if change.moment > moment)
        return next(unknown, self._schema).limited_to(self._schema)

    def create_table(self, table: Table) -> None:
        """Create a table, its indexes and the relationships of its lookups; `table_listeners` hear of it."""
        table = with_partitions(self._schema, table)
        with self.transaction():
            self._connection.execute(ddl.create_table(table))
            self.create_indexes(table)
            self._change(with_lookups(self._schema, table))
            for listener in self.table_listeners:
                listener(table)

    def drop_table(self, table: Table) -> None:
        """Drop a table with its rows and the relationships that touch it; lookups elsewhere lose their columns."""
        with self.transaction():
            for relationship in list(self._schema.children(table.logical_name)):
                if relationship.referencing_entity != table.logical_name:
                    self.drop_relationship(relationship)
            for pairs in list(self._schema.many_to_many(table.logical_name)):
                self.drop_relationship(pairs)
            self._connection.execute(f"DROP TABLE {ddl.quoted(table.logical_name)}")
            self._change(self._schema.without_table(table.logical_name))

    def add_columns(self, table: Table, columns: Sequence[Column]) -> None:
        """Add columns; existing rows hold null."""
        with self.transaction():
            grown = table.with_columns(columns)
            for column in columns:
                definition = ddl.column_definition(grown, column)
                self._connection.execute(f"ALTER TABLE {ddl.quoted(table.logical_name)} ADD COLUMN {definition}")
            self.create_indexes(grown)
            self._change(self._schema.with_table(grown))

    def drop_column(self, table: Table, column: Column) -> None:
        """Drop a column with what it held."""
        with self.transaction():
            self.drop_indexes(table)
            self._connection.execute(
                f"ALTER TABLE {ddl.quoted(table.logical_name)} DROP COLUMN {ddl.quoted(column.logical_name)}"
            )
            shrunk = table.without_column(column.logical_name)
            self.create_indexes(shrunk)
            self._change(self._schema.with_table(shrunk))

    def replace_table(self, table: Table) -> None:
        """Keep a changed description of a table; its columns stay what they are in SQL, new indexes are built."""
        with self.transaction():
            self.create_indexes(table)
            self._change(self._schema.with_table(table))

    def add_relationship(self, relationship: OneToMany | ManyToMany) -> None:
        """Keep a relationship; a many-to-many one gets its intersect table. Lookup columns are added before."""
        with self.transaction():
            if isinstance(relationship, ManyToMany):
                self._connection.execute(ddl.create_intersect(relationship))
            self._change(self._schema.with_relationship(relationship))

    def drop_relationship(self, relationship: OneToMany | ManyToMany) -> None:
        """Drop a relationship with its lookup column, and the partition beside it, or its intersect table."""
        with self.transaction():
            self._change(self._schema.without_relationship(relationship.schema_name))
            if isinstance(relationship, ManyToMany):
                self._connection.execute(f"DROP TABLE {ddl.quoted(relationship.intersect_entity)}")
                return
            table = self._schema.tables[relationship.referencing_entity]
            if (partition := table.partition_of(relationship.referencing_attribute)) is not None:
                self.drop_column(table, partition)
                table = self._schema.tables[table.logical_name]
            self.drop_column(table, table.columns[relationship.referencing_attribute])

    def use_string_order(self, order: str) -> None:
        """Compare and order strings by `word` or `ordinal` from now on; stored keys and indexes are rebuilt."""
        self.string_order = order
        if [(order,)] == self.execute("SELECT string_order FROM _version"):
            return
        with self.transaction():
            self._connection.execute("UPDATE _version SET string_order = ?", (order,))
            for table in self._schema.tables.values():
                self.drop_indexes(table)
                for column in filter(ddl.is_keyed, table.columns.values()):
                    if not column.collation:
                        self._connection.execute(ddl.compute_keys(table, column, order))
                self.create_indexes(table)

    def create_indexes(self, table: Table) -> None:
        """Create the indexes that are missing."""
        for _, sql in ddl.indexes(table, self.string_order):
            self._connection.execute(sql)

    def drop_indexes(self, table: Table) -> None:
        """Drop all indexes."""
        for name, _ in ddl.indexes(table, self.string_order):
            self._connection.execute(f"DROP INDEX IF EXISTS {name}")

    def _change(self, schema: Schema) -> None:
        self._replaced = [*self._replaced[-100:], _Replaced(self.clock(), self._schema, self.changing_server)]
        self._changes += 1
        self._schema = schema
        save_schema(self._connection, schema)

    def _create_all(self, schema: Schema) -> None:
        with self.transaction():
            for table in schema.tables.values():
                self._connection.execute(ddl.create_table(table))
                self.create_indexes(table)
            for relationship in schema.relationships.values():
                if isinstance(relationship, ManyToMany):
                    self._connection.execute(ddl.create_intersect(relationship))
            self._schema = schema
            save_schema(self._connection, schema)


def new_key() -> bytes:
    """Return the key of a new random guid."""
    return guid_key(str(uuid4()))


def _connect(path: str | None) -> sqlite3.Connection:
    connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    for order, function in SORT_KEYS.items():
        connection.create_function(f"{order}_key", 1, function, deterministic=True)
    for shown, partition in PARTITIONS.items():
        connection.create_function(f"partition_{shown}", 1, partition, deterministic=True)
    for order, matches in LIKES.items():
        connection.create_function(f"{order}_like", 2, matches, deterministic=True)
    return connection


type Row = Mapping[str, object]
