"""The database of the sandbox: its schema, how it changes, and what servers with a lagging cache still see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sandbox.database import ddl
from sandbox.database.connection import FIRST_VERSION, Connection, utc_now
from sandbox.database.stored_schema import load_schema, save_schema
from sandbox.schema.builtin import builtin_schema, with_lookups, with_partitions
from sandbox.schema.column_types import Column
from sandbox.schema.model import ManyToMany, OneToMany, Schema, Table
from sandbox.switches.config import DEFAULTS, SandboxConfig


@dataclass(frozen=True, slots=True)
class _Replaced:
    """A schema that was replaced at a moment by a change on a virtual web server."""

    moment: datetime
    schema: Schema
    server: int


class Database(Connection):
    """Rows, schema and versions. Not for use by several threads at once.

    `path` None keeps everything in memory. `config` says of which kinds the tables of a new database are.
    """

    def __init__(
        self,
        path: str | None = None,
        *,
        clock: Callable[[], datetime] = utc_now,
        config: SandboxConfig = DEFAULTS,
    ) -> None:
        super().__init__(path, clock, config.string_order)
        self.table_listeners: list[Callable[[Table], None]] = []
        self.changing_server = 0
        """The virtual web server that runs the present change of metadata."""
        self._replaced: list[_Replaced] = []
        self._changes = 0
        self._schema = load_schema(self._connection) or Schema()
        self.use_string_order(config.string_order)
        if not self._schema.tables:
            self._create_all(builtin_schema(config))

    @property
    def schema(self) -> Schema:
        """The schema as it is now."""
        return self._schema

    @property
    def metadata_version(self) -> int:
        """A number that rises with each change of metadata."""
        return FIRST_VERSION + self._changes

    def schema_as_of(self, moment: datetime, informed: int | None = None) -> Schema:
        """Return the schema that was current at a moment (a server whose metadata cache lags, docs/reference/dataverse.md 8.2).

        The server `informed` knows all that was changed up to its own last change. What was dropped is known everywhere at
        once, because its values are gone.
        """
        own = [number for number, change in enumerate(self._replaced, 1) if change.server == informed]
        unknown = (change.schema for change in self._replaced[max(own, default=0) :] if change.moment > moment)
        return next(unknown, self._schema).limited_to(self._schema)

    def create_table(self, table: Table) -> None:
        """Create a table, its indexes and the relationships of its lookups; `table_listeners` are called with it."""
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
