"""What a sandbox starts with: tables with rows, and the answers of the Customer Insights API."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sandbox.data.lookup_column import ensure_link_column
from sandbox.database import Database, Stamp, bulk_load, count_rows
from sandbox.database.collation import guid_key
from sandbox.database.staging import load_empty
from sandbox.database.values import ColumnValueError, Row, lenient
from sandbox.identity.accounts import ADMIN, VENDOR
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.definition import define_table
from sandbox.schema.insights_tables import MAPPING, NAME_COLUMNS, PROFILES
from sandbox.schema.kinds import make_like
from sandbox.schema.model import Table

type Document = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TableData:
    """Rows of one table by logical column names. `rows` may be called several times and is never kept in memory.

    `columns` are those to add to a table that exists, or those of a new custom table with this `key` and `entity_set`.
    """

    name: str
    rows: Callable[[], Iterable[Row]]
    columns: tuple[Column, ...] = ()
    key: str | None = None
    entity_set: str | None = None
    linked: bool = False
    """Whether its rows hold links to profiles already."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A finished unification: its source tables, profiles and mapping, and the answers of the Customer Insights API.

    `{dataverse_url}` in `instance` stands for the sandbox's address.
    """

    tables: tuple[TableData, ...]
    instance: Document
    datasources: Sequence[Document]
    outside: tuple[str, ...] = ()
    """Files of a folder of which no table is made."""


class DataError(ValueError):
    """A value does not fit its column; its table was not loaded. The message names table, row (from 1) and column."""


def store(dataset: Dataset, database: Database, age_s: float = 0.0) -> dict[str, int]:
    """Create what is missing and load all rows, as if they had been written so many seconds ago; returns how many by table."""
    return {data.name: _store_table(_fitted(data, database), database, age_s) for data in dataset.tables}


def _fitted(data: TableData, database: Database) -> TableData:
    """Return the mapping with its table names in the column that the mapping table has, other data as they are."""
    if data.name != MAPPING:
        return data
    columns = database.schema.tables[MAPPING].columns
    wanted, other = sorted(NAME_COLUMNS, key=lambda name: name not in columns)

    def rows() -> Iterator[Row]:
        for row in data.rows():
            yield row if wanted in row else {wanted if name == other else name: row[name] for name in row}

    return replace(data, rows=rows, columns=tuple(c for c in data.columns if c.logical_name != other))


def _store_table(data: TableData, database: Database, age_s: float) -> int:
    table = _ensure_table(data, database)
    writer = VENDOR if data.name.startswith("msdynci_") else ADMIN
    stamp = Stamp(database.clock() - timedelta(seconds=age_s), guid_key(writer.systemuser_id))
    try:
        if count_rows(database, table):
            bulk_load(database, data.name, data.rows(), stamp)
        else:
            load_empty(database, table, data.rows(), stamp)
    except ColumnValueError as error:
        raise DataError(f"{data.name}, row {_row_of(data, error.column)}: {error}") from error
    return count_rows(database, table)  # of rows with the same key the last one stays


def _row_of(data: TableData, column: Column) -> int:
    """Return the number of the first row whose value does not fit; rows were read many at once."""
    for number, row in enumerate(data.rows(), 1):
        try:
            lenient(column, row.get(column.logical_name))
        except ColumnValueError:
            return number
    return 0


def _ensure_table(data: TableData, database: Database) -> Table:
    """Return the table of some data, with all its columns; it is created if it does not exist."""
    table = database.schema.tables.get(data.name)
    if table is None:
        database.create_table(_custom_table(data, database))
    else:
        database.add_columns(table, [column for column in data.columns if column.logical_name not in table.columns])
    if data.linked:
        ensure_link_column(database, data.name, PROFILES)
    return database.schema.tables[data.name]


def _custom_table(data: TableData, database: Database) -> Table:
    """Return a new table; measures that Customer Insights writes are of the kind of the profiles."""
    owner = Column("ownerid", ColumnType.LOOKUP, "OwnerId", "Owner", targets=("systemuser",))
    columns = [owner, *data.columns]
    table = define_table(data.name, columns, entity_set=data.entity_set, primary_id=data.key, custom=True)
    written = data.name.startswith("msdynci_")
    return make_like(table, database.schema.tables[PROFILES]) if written else table
