"""Reads live what a row reaches through its link: its profile by `$expand`, related tables, and measures by CustomerId."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict

from linker import odata
from linker.core.keys import key_text
from linker.dataverse import metadata, shapes
from linker.dataverse.client import Dataverse
from linker.dataverse.shapes import Fields
from linker.errors import DataverseError, LinkerError
from linker.model import LOOKUP_SCHEMA_NAME, PROFILE_TABLE, RowKey, Target
from linker.reach import (
    CUSTOMER,
    MEASURE_TABLE,
    MEASURES,
    Column,
    Reach,
    RelatedRows,
    RelatedTable,
    Unreachable,
    columns_in,
    lookups_in,
    measures_in,
    related_in,
    values_in,
)

MEASURE_SET = "msdynci_customermeasures"
MOST_TABLES = 20  # that one look reads
MOST_ROWS = 5  # of each
_FORMATTED = 'odata.include-annotations="OData.Community.Display.V1.FormattedValue"'
_COLUMN_FACTS = "LogicalName,AttributeType,AttributeOf,DisplayName,IsPrimaryId,IsValidForRead"
_LINK = f"_{LOOKUP_SCHEMA_NAME}_value"
_HIDDEN = Unreachable(
    PROFILE_TABLE, "Dataverse shows no profile behind the link: it is gone, or the app may not see it."
)


class _Lookup(TypedDict):
    ReferencingEntity: str
    ReferencingAttribute: str


class _Definition(TypedDict):
    LogicalName: str
    EntitySetName: NotRequired[str | None]
    DisplayCollectionName: NotRequired[Fields | None]
    Attributes: NotRequired[list[Fields] | None]


class _Profile(TypedDict):
    msdynci_customerid: NotRequired[str | None]


async def reach(dataverse: Dataverse, target: Target, key: RowKey) -> Reach | None:
    """Return what a row reaches now, None when there is no such row. A part that cannot be read is named, with the reason.

    Raises what Connection.send raises when the row itself cannot be read.
    """
    row, denied = await _row(dataverse, target, key)
    if row is None:
        return None
    if row.get(_LINK) is None:
        return Reach()
    link, expanded = shapes.guid_in(row, _LINK), row.get(target.navigation)
    profile = shapes.read(Fields, expanded) if expanded is not None else None
    customer = shapes.read(_Profile, profile).get("msdynci_customerid") if profile else None
    parts = await asyncio.gather(
        *([_attributes(dataverse, profile)] if profile else []),
        _related(dataverse, link, customer),
        _measures(dataverse, customer),
    )
    hidden = () if profile or denied else (_HIDDEN,)
    return sum(parts, Reach(link, customer, unreachable=(*denied, *hidden)))


async def columns_of(dataverse: Dataverse, table: str) -> tuple[Column, ...]:
    """Return the columns of a table, none when there is no such table."""
    return columns_in(await metadata.attributes(dataverse, table, _COLUMN_FACTS))


async def made_columns(dataverse: Dataverse, table: str) -> tuple[Column, ...]:
    """Return the columns that somebody made on a table; of the profile: attributes, and measures that are columns."""
    return tuple(column for column in await columns_of(dataverse, table) if column.is_made)


async def related_tables(dataverse: Dataverse) -> tuple[RelatedTable, ...]:
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
                expand=f"Attributes($select=LogicalName;$filter=LogicalName eq {odata.literal(CUSTOMER)})",
            ),
            _Definition,
        ),
    )
    return related_in(tables, lookups_in(relationships))


async def _row(dataverse: Dataverse, target: Target, key: RowKey) -> tuple[Fields | None, tuple[Unreachable, ...]]:
    """Return the row with its profile, None when it is gone; without the profile when that may not be read.

    The profile comes with all its columns: there can be more of them than fit into an address.
    """
    path = f"{target.entity_set}({key_text(key)})"
    try:
        found = await dataverse.get(path + odata.query(select=_LINK, expand=target.navigation), prefer=_FORMATTED)
        return shapes.read(Fields, found), ()
    except DataverseError as error:
        if error.status == 404:
            return None, ()
        return await dataverse.one(path + odata.query(select=_LINK), Fields), (_because(PROFILE_TABLE, error),)


async def _attributes(dataverse: Dataverse, profile: dict[str, Any]) -> Reach:
    try:
        columns = await made_columns(dataverse, PROFILE_TABLE)
    except LinkerError as error:
        return Reach(unreachable=(_because(PROFILE_TABLE, error),))
    readable = [column for column in columns if column.is_readable]
    return Reach(attributes=values_in(profile, readable), unreachable=_left_out(PROFILE_TABLE, columns))


async def _related(dataverse: Dataverse, profile: str, customer: str | None) -> Reach:
    try:
        tables = await related_tables(dataverse)
    except LinkerError as error:
        return Reach(unreachable=(_because("related tables", error),))
    read = await asyncio.gather(*(_of_table(dataverse, table, profile, customer) for table in tables[:MOST_TABLES]))
    beyond = tuple(Unreachable(table.name, f"One look reads {MOST_TABLES} tables.") for table in tables[MOST_TABLES:])
    return sum(read, Reach(unreachable=beyond))


async def _of_table(dataverse: Dataverse, table: RelatedTable, profile: str, customer: str | None) -> Reach:
    if not table.lookup and customer is None:
        return Reach(unreachable=(_no_customer(table.name),))
    try:
        columns = await made_columns(dataverse, table.name)
        shown = [column for column in columns if column.is_readable and column.name not in (table.lookup, CUSTOMER)]
        rows = await _rows_of(dataverse, table, shown, profile, customer)
    except LinkerError as error:
        return Reach(unreachable=(_because(table.name, error),))
    values = tuple(values_in(row, shown) for row in rows[:MOST_ROWS])
    found = RelatedRows(table.name, table.label, values, more=len(rows) > MOST_ROWS)
    return Reach(related=(found,), unreachable=_left_out(table.name, columns))


async def _rows_of(
    dataverse: Dataverse, table: RelatedTable, columns: Sequence[Column], profile: str, customer: str | None
) -> list[dict[str, Any]]:
    whose = f"_{table.lookup}_value eq {profile}" if table.lookup else odata.is_in(CUSTOMER, [customer or ""])
    select = ",".join(column.property_name for column in columns)
    path = table.entity_set + odata.query(select=select, filter=whose, top=MOST_ROWS + 1)
    return shapes.rows_in(Fields, await dataverse.get(path, prefer=_FORMATTED))


async def _measures(dataverse: Dataverse, customer: str | None) -> Reach:
    """Read the table that knows the CustomerId only: no lookup leads there, so no `$expand` (customer-insights.md 2)."""
    if customer is None:
        return Reach(unreachable=(_no_customer(MEASURE_TABLE),))
    path = MEASURE_SET + odata.query(select=MEASURES, filter=odata.is_in(CUSTOMER, [customer]), top=1)
    try:
        rows = await dataverse.first(path, Fields)
    except LinkerError as error:
        return Reach(unreachable=(_because(MEASURE_TABLE, error),))
    texts = [text for row in rows if isinstance(text := row.get(MEASURES), str) and text]
    return Reach(measures=tuple(value for text in texts for value in measures_in(text)))


def _left_out(table: str, columns: Sequence[Column]) -> tuple[Unreachable, ...]:
    return tuple(
        Unreachable(f"{table}.{column.name}", f"A column of type {column.type} is not read with the others.")
        for column in columns
        if not column.is_readable
    )


def _because(what: str, error: LinkerError) -> Unreachable:
    return Unreachable(what, str(error))


def _no_customer(what: str) -> Unreachable:
    return Unreachable(what, "The CustomerId of the profile is not known, by which this would be found.")
