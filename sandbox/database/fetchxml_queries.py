"""Runs a FetchXML query: one SELECT over a table and those that are joined to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sandbox.database import ddl
from sandbox.database.database import Database
from sandbox.database.dialect import Dialect, Place
from sandbox.database.fetchxml_conditions import condition_of
from sandbox.database.filter_compiler import MAX_CONDITIONS, Compiler
from sandbox.database.joins import join_works
from sandbox.database.values import Stored
from sandbox.query.fetchxml import Fetch, Link
from sandbox.query.fetchxml_filter import Filter
from sandbox.query.syntax import QueryError, TooManyConditionsError, UnsupportedQueryError
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.model import Schema, Table

type Row = tuple[Stored, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What one table gives to each row; `alias` is empty for the table of the query itself."""

    alias: str
    table: Table
    columns: tuple[Column, ...]

    @property
    def width(self) -> int:
        """How many values: version, key and columns."""
        return len(self.columns) + 2


@dataclass(frozen=True, slots=True)
class _Joined:
    part: Part
    place: Place
    join: str
    filter: Filter | None


def parts_of(schema: Schema, fetch: Fetch, dialect: Dialect) -> list[Part]:
    """Return the tables of a query, the query's own first. Raises QueryError for an unknown table or column."""
    return [joined.part for joined in _joined(schema, fetch, dialect)]


def select_fetch(
    database: Database, schema: Schema, fetch: Fetch, dialect: Dialect, limit: int, offset: int = 0
) -> list[list[Row]]:
    """Return the rows of each part, at most `limit` after `offset`; rows of the same place belong together.

    A part that an outer join found nothing for holds only nulls.
    """
    root, *others = list(_joined(schema, fetch, dialect))
    compiler = Compiler(schema, root.place, dialect)
    parameters: list[Stored] = []
    joins = [f"{one.join}{_filtered(schema, one, dialect, parameters)}" for one in others]
    where = f"1{_filtered(schema, root, dialect, parameters)}"
    if sum(1 for one in (root, *others) if one.filter for _ in one.filter.tests()) > MAX_CONDITIONS:
        raise TooManyConditionsError("Number of conditions in query exceeded maximum limit.")
    wanted = ", ".join(name for one in (root, *others) for name in _selected(compiler, one))
    source = f"{ddl.rows_from(compiler.root.table)} AS {compiler.root.alias}{''.join(joins)}"
    order = ", ".join(_terms(compiler, fetch))
    sql = f"SELECT {wanted} FROM {source} WHERE {where} ORDER BY {order} LIMIT {limit} OFFSET {offset}"  # noqa: S608
    return _split(database.execute(sql, parameters), [one.part for one in (root, *others)])


def _filtered(schema: Schema, joined: _Joined, dialect: Dialect, parameters: list[Stored]) -> str:
    """Return what the filter of one table adds to its join or to WHERE; its parameters are appended in order."""
    if joined.filter is None:
        return ""
    compiler = Compiler(schema, joined.place, dialect, parameters)
    return f" AND {compiler.condition(condition_of(joined.place.table, joined.filter))}"


def _joined(schema: Schema, fetch: Fetch, dialect: Dialect) -> Iterator[_Joined]:
    root = Place(_table(schema, fetch.table), "t0")
    names = fetch.attributes or tuple(column.logical_name for column in root.table.served)
    yield _Joined(Part("", root.table, _columns(root.table, names)), root, "", fetch.filter)
    places = {id(link): root for link in fetch.links}
    for number, link in enumerate(fetch.all_links(), 1):
        outer = places[id(link)]
        place = Place(_table(schema, link.table), f"t{number}")
        works = join_works(dialect.joins, outer.table, place.table)
        places |= {id(inner): place for inner in link.links}
        part = Part(link.alias, place.table, _columns(place.table, link.attributes))
        yield _Joined(part, place, _join(link, outer, place, works=works), link.filter)


def _join(link: Link, outer: Place, place: Place, *, works: bool) -> str:
    """Return a join; one that does not work finds no row, and keeps those of the outer table."""
    near, far = _column(outer.table, link.target), _column(place.table, link.source)
    kind = "LEFT JOIN" if link.outer or not works else "JOIN"
    test = f"{place.sql(far)} = {outer.sql(near)}" if works else "0"
    return f" {kind} {ddl.rows_from(place.table)} AS {place.alias} ON {test}"


def _table(schema: Schema, name: str) -> Table:
    if name not in schema.tables:
        raise QueryError(f"The entity with a name = '{name}' was not found in the MetadataCache.")
    return schema.tables[name]


def _columns(table: Table, names: Sequence[str]) -> tuple[Column, ...]:
    return tuple(_column(table, name) for name in dict.fromkeys(names) if name != table.primary_id)


def _column(table: Table, name: str) -> Column:
    if name not in table.columns or table.columns[name].hidden:
        raise QueryError(f"'{table.logical_name}' entity doesn't contain attribute with Name = '{name}'.")
    return table.columns[name]


def _selected(compiler: Compiler, joined: _Joined) -> list[str]:
    table, place = joined.part.table, joined.place
    fixed = [place.sql(column) for column in (table.columns["versionnumber"], table.primary_key)]
    return fixed + [compiler.dialect.shown(place, column) for column in joined.part.columns]


def _terms(compiler: Compiler, fetch: Fetch) -> Iterator[str]:
    place = compiler.root
    for order in fetch.orders:
        column = _column(place.table, order.attribute)
        if column.type is ColumnType.LOOKUP:
            raise UnsupportedQueryError("FetchXML ordered by a lookup")
        yield f"{compiler.dialect.sort_expression(place, column)}{' DESC' if order.descending else ''}"
    yield place.sql(place.table.primary_key)


def _split(rows: Sequence[Row], parts: Sequence[Part]) -> list[list[Row]]:
    found, start = [], 0
    for part in parts:
        found.append([row[start : start + part.width] for row in rows])
        start += part.width
    return found
