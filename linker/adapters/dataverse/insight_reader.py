"""Reads live what a row reaches through its link: its profile, related tables, and measures.

The same requests work on standard, elastic and virtual tables: one row by its address, and equality filters on one column.
Nothing is joined or expanded, because Dataverse may refuse that on tables that are not standard
(docs/reference/elastic-tables.md, 2.3, 3 and 4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NotRequired, TypedDict

from linker.adapters.dataverse import metadata, response_models
from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.response_models import Fields
from linker.core import odata
from linker.core.errors import DataverseError, LinkerError
from linker.core.insight_paths import (
    MEASURE_TABLE,
    MEASURES,
    Column,
    Reach,
    RelatedRows,
    RelatedTable,
    Unreachable,
    columns_in,
    find_related_in,
    lookups_in,
    measures_in,
    values_in,
)
from linker.core.keys import row_key
from linker.core.model import Link, RowKey, Target
from linker.core.names import CUSTOMER_COLUMN, LOOKUP_SCHEMA_NAME, PROFILE_KEY, PROFILE_SET, PROFILE_TABLE

MEASURE_SET = "msdynci_customermeasures"
MAX_TABLES = 20  # that one look reads
MAX_ROWS = 5  # of each
_MEASURED = RelatedTable(MEASURE_TABLE, "", MEASURE_SET, "msdynci_lookupfield_customer", has_customer=True)
_COLUMN_FACTS = "LogicalName,AttributeType,AttributeOf,DisplayName,IsPrimaryId,IsValidForRead"
# What the address of an elastic row in another partition gets, and an address that is not understood.
_NOT_FOUND_BY_ADDRESS = frozenset({400, 404})
_HIDDEN = Unreachable(
    PROFILE_TABLE, "Dataverse shows no profile behind the link: it is gone, or the app may not see it."
)
_SEVERAL = Unreachable(PROFILE_TABLE, "Several profiles in different partitions have the id that the link names.")


class _Lookup(TypedDict):
    ReferencingEntity: str
    ReferencingAttribute: str


class _Definition(TypedDict):
    LogicalName: str
    EntitySetName: NotRequired[str | None]
    DisplayCollectionName: NotRequired[Fields | None]
    Attributes: NotRequired[list[Fields] | None]


async def reach(dataverse: Dataverse, target: Target, key: RowKey) -> Reach | None:
    """Return what a row reaches now, None without such a row. A part that cannot be read is named, with the reason.

    Raises what Connection.send raises when the row itself cannot be read.
    """
    try:
        link = (await dataverse.link(target, key)).link
    except DataverseError as error:
        if error.status != 404:
            raise
        return None
    if link is None:
        return Reach()
    _check_link(link)
    profile, missing = await _profile(dataverse, link)
    customer = profile.get(CUSTOMER_COLUMN) if profile else None
    customer = customer if isinstance(customer, str) and customer else None
    parts = await asyncio.gather(
        *([_attributes(dataverse, profile)] if profile else []),
        _find_related(dataverse, link.profile, customer),
        _measures(dataverse, link.profile, customer),
    )
    return sum(parts, Reach(link.profile, customer, unreachable=missing))


async def columns_of(dataverse: Dataverse, table: str) -> tuple[Column, ...]:
    """Return the columns of a table, none when the table does not exist."""
    return columns_in(await metadata.attributes(dataverse, table, _COLUMN_FACTS))


async def made_columns(dataverse: Dataverse, table: str) -> tuple[Column, ...]:
    """Return the custom columns of a table; of the profile: attributes, and measures that are columns."""
    return tuple(column for column in await columns_of(dataverse, table) if column.is_made)


async def find_related_tables(dataverse: Dataverse) -> tuple[RelatedTable, ...]:
    """Return the tables with rows about a customer: they point at the profile, or carry a CustomerId."""
    relationships, tables = await asyncio.gather(
        dataverse.first(
            f"EntityDefinitions(LogicalName={odata.literal(PROFILE_TABLE)})/OneToManyRelationships"
            + odata.query(select="ReferencingEntity,ReferencingAttribute"),
            _Lookup,
        ),
        dataverse.first(
            "EntityDefinitions"
            + odata.query(
                select="LogicalName,EntitySetName,DisplayCollectionName",
                filter="IsPrivate eq false and IsCustomEntity eq true",
                expand=f"Attributes($select=LogicalName;$filter=LogicalName eq {odata.literal(CUSTOMER_COLUMN)})",
            ),
            _Definition,
        ),
    )
    return find_related_in(tables, lookups_in(relationships))


def _check_link(link: Link) -> None:
    """Raise TransientError for a link that no request can carry."""
    if row_key(link.profile) is None or (link.partition and not response_models.is_partition(link.partition)):
        raise response_models.odd(f"{LOOKUP_SCHEMA_NAME}: a link that names no profile")


async def _profile(dataverse: Dataverse, link: Link) -> tuple[Fields | None, tuple[Unreachable, ...]]:
    """Return the profile that a link names with all its columns, or None and why.

    There can be more columns than fit into an address, so none are selected.
    """
    try:
        rows = await _profiles(dataverse, link)
    except LinkerError as error:
        return None, (_because(PROFILE_TABLE, error),)
    if len(rows) == 1:
        return rows[0], ()
    return None, (_SEVERAL if rows else _HIDDEN,)


async def _profiles(dataverse: Dataverse, link: Link) -> list[Fields]:
    """Return the profiles that a link can mean: the one at its address, else those that have its id.

    An elastic row in a partition that the link does not name is not found at that address, only by a query.
    """
    address = odata.address(PROFILE_SET, PROFILE_KEY, link.profile, link.partition)[1:]
    try:
        return [response_models.read(Fields, await dataverse.get(address, prefer=odata.WITH_LABELS))]
    except DataverseError as error:
        if error.status not in _NOT_FOUND_BY_ADDRESS:
            raise
    path = PROFILE_SET + odata.query(filter=f"{PROFILE_KEY} eq {link.profile}", top=2)
    return response_models.rows_in(Fields, await dataverse.get(path, prefer=odata.WITH_LABELS))


async def _attributes(dataverse: Dataverse, profile: Fields) -> Reach:
    try:
        columns = await made_columns(dataverse, PROFILE_TABLE)
    except LinkerError as error:
        return Reach(unreachable=(_because(PROFILE_TABLE, error),))
    readable = [column for column in columns if column.is_readable]
    return Reach(attributes=values_in(profile, readable), unreachable=_find_left_out(PROFILE_TABLE, columns))


async def _find_related(dataverse: Dataverse, profile: str, customer: str | None) -> Reach:
    try:
        tables = await find_related_tables(dataverse)
    except LinkerError as error:
        return Reach(unreachable=(_because("related tables", error),))
    read = await asyncio.gather(*(_of_table(dataverse, table, profile, customer) for table in tables[:MAX_TABLES]))
    beyond = tuple(Unreachable(table.name, f"One look reads {MAX_TABLES} tables.") for table in tables[MAX_TABLES:])
    return sum(read, Reach(unreachable=beyond))


async def _of_table(dataverse: Dataverse, table: RelatedTable, profile: str, customer: str | None) -> Reach:
    try:
        columns = await made_columns(dataverse, table.name)
        shown = [
            column for column in columns if column.is_readable and column.name not in (table.lookup, CUSTOMER_COLUMN)
        ]
        select = ",".join(column.property_name for column in shown)
        rows = await _rows_of(dataverse, table, select, MAX_ROWS + 1, _filters(table, profile, customer))
    except LinkerError as error:
        return Reach(unreachable=(_because(table.name, error),))
    if rows is None:
        return Reach(unreachable=(_no_customer(table.name),))
    values = tuple(values_in(row, shown) for row in rows[:MAX_ROWS])
    found = RelatedRows(table.name, table.label, values, more=len(rows) > MAX_ROWS)
    return Reach(related=(found,), unreachable=_find_left_out(table.name, columns))


async def _measures(dataverse: Dataverse, profile: str, customer: str | None) -> Reach:
    """Read the table that has all measures of a customer in one text."""
    try:
        rows = await _rows_of(dataverse, _MEASURED, MEASURES, 1, _filters(_MEASURED, profile, customer))
    except LinkerError as error:
        return Reach(unreachable=(_because(MEASURE_TABLE, error),))
    texts = [text for row in rows or () if isinstance(text := row.get(MEASURES), str) and text]
    return Reach(measures=tuple(value for text in texts for value in measures_in(text)))


def _filters(table: RelatedTable, profile: str, customer: str | None) -> list[str]:
    """Return the filters that can find a customer's rows, in the order to try them: each is an equality on one column.

    Microsoft's samples use the CustomerId. The lookup finds rows without one; a virtual table
    refuses to filter by it, and an elastic table may (docs/reference/elastic-tables.md 2.3).
    """
    by_customer = [_is_customer(customer)] if table.has_customer and customer else []
    by_lookup = [f"_{table.lookup}_value eq {profile}"] if table.lookup else []
    return by_customer + by_lookup


def _is_customer(customer: str) -> str:
    """Compare by `eq`, which every kind of table knows; by In where `eq` could take the text for a pattern."""
    if odata.may_be_pattern(customer):
        return odata.is_in(CUSTOMER_COLUMN, [customer])
    return f"{CUSTOMER_COLUMN} eq {odata.literal(customer)}"


async def _rows_of(
    dataverse: Dataverse, table: RelatedTable, select: str, top: int, filters: Sequence[str]
) -> list[Fields] | None:
    """Return the rows of the first filter that finds some, None without a filter. Raises the refusal if none is answered."""
    answer: list[Fields] | None = None
    refused: DataverseError | None = None
    for expression in filters:
        path = table.entity_set + odata.query(select=select, filter=expression, top=top)
        try:
            answer = response_models.rows_in(Fields, await dataverse.get(path, prefer=odata.WITH_LABELS))
        except DataverseError as error:
            refused = refused or error
        if answer:
            break
    if answer is None and refused is not None:
        raise refused
    return answer


def _find_left_out(table: str, columns: Sequence[Column]) -> tuple[Unreachable, ...]:
    return tuple(
        Unreachable(f"{table}.{column.name}", f"A column of type {column.type} is not read with the others.")
        for column in columns
        if not column.is_readable
    )


def _because(what: str, error: LinkerError) -> Unreachable:
    return Unreachable(what, str(error))


def _no_customer(what: str) -> Unreachable:
    return Unreachable(what, "The CustomerId of the profile is not known, by which this would be found.")
