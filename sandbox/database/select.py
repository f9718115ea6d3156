"""Reads rows: a query over one table becomes one SELECT, paged by the key of the last row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.database import ddl
from sandbox.database.database import Database
from sandbox.database.dialect import Dialect, Place
from sandbox.database.filter_compiler import Compiler
from sandbox.database.values import Stored
from sandbox.query.syntax import Condition, Order, Path
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.insights_tables import PROFILES
from sandbox.schema.model import Schema, Table

COUNT_LIMIT: Final = 5000  # docs/reference/dataverse.md 5.3


@dataclass(frozen=True, slots=True)
class Query:
    """What is wanted of one table. `after` are the ordering values and the key of the last row already seen."""

    table: Table
    columns: Sequence[Column] = ()
    condition: Condition | None = None
    orders: tuple[Order, ...] = ()
    limit: int = COUNT_LIMIT
    after: tuple[Stored, ...] | None = None
    links: tuple[tuple[str, Sequence[bytes]], ...] = ()
    """Columns whose value must be one of some keys: rows of a parent, rows of a many-to-many side."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as (version, key, wanted columns...), and what the next page starts after; None on the last one."""

    rows: list[tuple[Stored, ...]]
    next_after: tuple[Stored, ...] | None
    first: tuple[Stored, ...] | None


@dataclass(frozen=True, slots=True)
class _Term:
    """One ordering: `raw` is what a cookie keeps, `expression` is what is compared; by its `place`, None for the key."""

    raw: str
    expression: str
    column: Column
    descending: bool
    place: Place | None = None


def select_page(database: Database, schema: Schema, query: Query, dialect: Dialect) -> Page:
    """Return one page of rows in the wanted order; the key decides between equal rows.

    Raises sandbox.query.syntax.QueryError for a query that cannot be answered.
    """
    compiler, condition = _compiled(schema, query, dialect)
    terms = _terms(compiler, query)
    if query.after is not None:
        condition += f" AND {_beyond(terms, query.after, compiler)}"
    place = compiler.root
    wanted = [place.sql(c) for c in (query.table.columns["versionnumber"], query.table.primary_key)]
    wanted += [compiler.dialect.shown(place, c) if c.attribute_of else place.sql(c) for c in query.columns]
    cookie = [term.raw for term in terms[:-1]]  # the last term is the key, which is selected anyway
    direction = {True: " DESC", False: ""}
    order = ", ".join(f"{term.expression}{direction[term.descending]}" for term in terms)
    sql = (
        f"SELECT {', '.join(wanted + cookie)} FROM {ddl.rows_from(query.table)} AS {place.alias}"  # noqa: S608
        f"{compiler.joins} WHERE {condition} ORDER BY {order} LIMIT {query.limit + 1}"
    )
    rows = database.execute(sql, compiler.parameters)
    more = len(rows) > query.limit
    del rows[query.limit :]
    width = len(wanted)
    return Page(
        rows if not cookie else [row[:width] for row in rows],
        (*rows[-1][width:], rows[-1][1]) if more and rows else None,
        (*rows[0][width:], rows[0][1]) if rows else None,
    )


def count_groups(  # a query, its groups, and a part of them
    database: Database,
    schema: Schema,
    query: Query,
    columns: Sequence[Column],
    dialect: Dialect,
    part: tuple[int, int],
) -> list[tuple[Stored, ...]]:
    """Return the values of some columns with the number of their rows, in their order; `part` is limit and offset."""
    compiler, condition = _compiled(schema, query, dialect)
    keys = ", ".join(compiler.dialect.sort_expression(compiler.root, column) for column in columns)
    shown = ", ".join(f"min({compiler.dialect.shown(compiler.root, column)})" for column in columns)
    source = f"{ddl.rows_from(query.table)} AS {compiler.root.alias}{compiler.joins}"
    sql = f"SELECT {shown}, count(*) FROM {source} WHERE {condition} GROUP BY {keys} ORDER BY {keys} LIMIT ? OFFSET ?"  # noqa: S608
    return database.execute(sql, [*compiler.parameters, *part])


def count_matching(database: Database, schema: Schema, query: Query, dialect: Dialect, limit: int) -> int:
    """Return how many rows match, at most `limit`; -1 means without a limit."""
    compiler, condition = _compiled(schema, query, dialect)
    source = f"{ddl.rows_from(query.table)} AS {compiler.root.alias}{compiler.joins}"
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {source} WHERE {condition} LIMIT {limit})"  # noqa: S608
    (row,) = database.execute(sql, compiler.parameters)
    return int(row[0] or 0)


def _compiled(schema: Schema, query: Query, dialect: Dialect) -> tuple[Compiler, str]:
    compiler = Compiler(schema, Place(query.table, "t0"), dialect)
    parts = [compiler.condition(query.condition)] if query.condition else []
    if dialect.least_profile is not None and query.table.logical_name == PROFILES:
        parts.append(f"{compiler.root.sql(query.table.primary_key)} >= ?")
        compiler.parameters.append(dialect.least_profile)
    for name, keys in query.links:
        marks = ", ".join("?" * len(keys))
        parts.append(f"{compiler.root.sql(query.table.columns[name])} IN ({marks})")
        compiler.parameters.extend(keys)
    return compiler, " AND ".join(parts) or "1"


def _terms(compiler: Compiler, query: Query) -> list[_Term]:
    terms = [_term(compiler, order) for order in query.orders]
    key = query.table.primary_key
    name = compiler.root.sql(key)
    # The same direction as the term before lets one index serve both.
    return [*terms, _Term(name, name, key, bool(terms) and terms[-1].descending)]


def _term(compiler: Compiler, order: Order) -> _Term:
    place, column = compiler.column(order.path)
    labels = _labels(compiler, order, place, column) if column.type is ColumnType.LOOKUP else []
    shown = labels or [(place, column)]
    raw = [compiler.dialect.shown(place, column) for place, column in shown]
    keys = [compiler.dialect.sort_expression(place, column) for place, column in shown]
    return _Term(_first_of(raw), _first_of(keys), shown[0][1], order.descending, shown[0][0])


def _labels(compiler: Compiler, order: Order, place: Place, lookup: Column) -> list[tuple[Place, Column]]:
    """Return the name columns of a lookup's targets: its label orders rows, not its id (docs/reference/dataverse.md 5.2)."""
    *before, _ = order.path.names
    found = compiler.schema.lookups(place.table.logical_name)
    targets = [
        (r.lookup_navigation, compiler.schema.tables[r.referenced_entity].primary_name)
        for r in found
        if r.referencing_attribute == lookup.logical_name
    ]
    return [compiler.column(Path((*before, *target))) for target in targets]


def _first_of(expressions: Sequence[str]) -> str:
    """Return the one that is not null: of the parents that a lookup may point at, one is found at most."""
    return expressions[0] if len(expressions) == 1 else f"coalesce({', '.join(expressions)})"


def _beyond(terms: Sequence[_Term], after: Sequence[Stored], compiler: Compiler) -> str:
    """Return the condition of rows that come after the given ones; nulls come first, as in SQL Server."""
    keyed = [_comparable(term, value, compiler) for term, value in zip(terms, after, strict=True)]
    if len(terms) == 1:
        return _past(terms[0], keyed[0], compiler)
    choices = []
    for last, term in enumerate(terms):
        equal = [f"{terms[i].expression} IS {_bind(compiler, keyed[i])}" for i in range(last)]
        choices.append(" AND ".join([*equal, _past(term, keyed[last], compiler)]))
    return f"({' OR '.join(choices)})"


def _past(term: _Term, value: Stored, compiler: Compiler) -> str:
    if value is None:
        return "0" if term.descending else f"{term.expression} IS NOT NULL"
    if term.descending:
        mark = _bind(compiler, value)
        return f"({term.expression} < {mark} OR {term.expression} IS NULL)"
    return f"{term.expression} > {_bind(compiler, value)}"


def _comparable(term: _Term, value: Stored, compiler: Compiler) -> Stored:
    return value if term.place is None else compiler.dialect.sort_key(term.place, term.column, value)


def _bind(compiler: Compiler, value: Stored) -> str:
    compiler.parameters.append(value)
    return "?"
