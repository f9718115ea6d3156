"""What the linker asks of Dataverse about tables and about itself (docs/reference/dataverse.md 7, 8 and 11)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, NotRequired, TypedDict
from urllib.parse import quote

import httpx
from pydantic import Field

from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.patient_reads import Unread, ask_optional
from linker.adapters.dataverse.response_models import Fields
from linker.core import odata
from linker.core.errors import DataverseError
from linker.core.names import MAPPING_TABLE, PROFILE_TABLE
from linker.core.odata import MappingColumns
from linker.core.requirements.facts import DataverseTable

_TABLE_FACTS = (
    "LogicalName,SchemaName,EntitySetName,PrimaryIdAttribute,TableType"
    ",CanCreateAttributes,CanBeRelatedEntityInRelationship,CanBePrimaryEntityInRelationship"
)


class Attribute(TypedDict):
    """A column of a table (docs/reference/dataverse.md 7)."""

    LogicalName: str
    AttributeType: NotRequired[str | None]
    AttributeOf: NotRequired[str | None]
    DisplayName: NotRequired[Fields | None]
    IsPrimaryId: NotRequired[bool | None]
    IsValidForRead: NotRequired[bool | None]


class _Flag(TypedDict):
    Value: bool


class _Definition(TypedDict):
    LogicalName: str
    SchemaName: str
    EntitySetName: str | None
    PrimaryIdAttribute: str | None
    TableType: NotRequired[str | None]
    CanCreateAttributes: NotRequired[_Flag | None]
    CanBeRelatedEntityInRelationship: NotRequired[_Flag | None]
    CanBePrimaryEntityInRelationship: NotRequired[_Flag | None]


class _Person(TypedDict, total=False):
    fullname: str | None
    domainname: str | None


class _Values(TypedDict):
    Values: Annotated[list[int], Field(min_length=1)]


class _Counts(TypedDict):
    EntityRecordCountCollection: _Values


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The Dataverse user behind the app's token."""

    id: str
    name: str


async def service_account(dataverse: Dataverse, user: str) -> ServiceAccount:
    """Return who writes: the systemuser behind the app's token (docs/reference/dataverse.md 11)."""
    found = await dataverse.one(f"systemusers({user})" + odata.query(select="fullname,domainname"), _Person)
    return ServiceAccount(user, found.get("fullname") or found.get("domainname") or user)


async def mapping_columns(dataverse: Dataverse) -> MappingColumns | None:
    """Return the columns of the mapping, None when Dataverse has no mapping to read.

    The name of the source table is in one of two columns (docs/reference/customer-insights.md section 2).
    """
    present = {row["LogicalName"] for row in await attributes(dataverse, MAPPING_TABLE, "LogicalName")}
    name = next((name for name in ("msdynci_tablename", "msdynci_entityname") if name in present), None)
    return MappingColumns(name) if name else None


async def profile_schema(dataverse: Dataverse) -> str:
    """Return a fingerprint of the profile table's columns: another one means that its schema changed. Empty when it cannot be
    read, from which nothing follows.
    """
    rows = await ask_optional(dataverse, lambda alone: attributes(alone, PROFILE_TABLE, "LogicalName,AttributeType"))
    if isinstance(rows, Unread) or not rows:
        return ""
    columns = sorted(f"{row['LogicalName']}:{row.get('AttributeType')}" for row in rows)
    return blake2b("\n".join(columns).encode(), digest_size=8).hexdigest()


async def primary_name(dataverse: Dataverse, table: str) -> str:
    """Return the column that a table shows as the label of its rows, empty when that is not known."""
    path = f"EntityDefinitions(LogicalName={odata.literal(table)})" + odata.query(select="PrimaryNameAttribute")
    try:
        return str((await dataverse.one(path, Fields)).get("PrimaryNameAttribute") or "")
    except DataverseError:
        return ""


async def attributes(dataverse: Dataverse, table: str, select: str) -> list[Attribute]:
    """Return some facts on each column of a table, nothing when the table does not exist."""
    path = f"EntityDefinitions(LogicalName={odata.literal(table)})/Attributes"
    try:
        return await dataverse.first(path + odata.query(select=select), Attribute)
    except DataverseError as error:
        if error.status != 404:
            raise
        return []


async def find_tables(dataverse: Dataverse, name: str) -> list[DataverseTable]:
    """Return the Dataverse tables whose logical, schema or entity set name is `name`, in any case."""
    columns = ("LogicalName", "SchemaName", "EntitySetName")
    texts = dict.fromkeys((name, name.lower()))
    matches = " or ".join(f"{column} eq {odata.literal(text)}" for column in columns for text in texts)
    return await _tables(dataverse, matches)


async def tables_of_key(dataverse: Dataverse, column: str) -> list[DataverseTable]:
    """Return the tables whose primary key column is `column`, in any case; activities share one."""
    matches = f"PrimaryIdAttribute eq {odata.literal(column.lower())}"
    return await _tables(dataverse, matches)


async def custom_tables(dataverse: Dataverse) -> list[DataverseTable]:
    """Return every table that may own the keys of a source whose name fits nothing."""
    filters = "IsPrivate eq false and IsCustomEntity eq true"
    return await _tables(dataverse, filters)


async def existing_keys(dataverse: Dataverse, table: DataverseTable, keys: Iterable[str]) -> int:
    """Return how many of some guid texts are keys of rows in a table."""
    expression = odata.is_in(table.primary_id, keys)
    return len(
        await dataverse.first(table.entity_set + odata.query(select=table.primary_id, filter=expression), Fields)
    )


async def total_rows(dataverse: Dataverse, table: str) -> int:
    """Return how many rows a table has, as of some moment of the last day (docs/reference/dataverse.md 5.3)."""
    names = quote(json.dumps([table]), safe="")
    found = await dataverse.one(f"RetrieveTotalRecordCount(EntityNames=@p1)?@p1={names}", _Counts)
    return found["EntityRecordCountCollection"]["Values"][0]


async def supports_update_multiple(dataverse: Dataverse, table: str) -> bool:
    """Return whether UpdateMultiple works on a table: then it has a message filter (docs/reference/dataverse.md 2.3)."""
    expression = f"sdkmessageid/name eq 'UpdateMultiple' and primaryobjecttypecode eq {odata.literal(table)}"
    path = "sdkmessagefilters" + odata.query(select="sdkmessagefilterid", filter=expression)
    return bool(await dataverse.first(path, Fields, strong=True))


async def _tables(dataverse: Dataverse, expression: str) -> list[DataverseTable]:
    path = "EntityDefinitions" + odata.query(select=_TABLE_FACTS, filter=expression)
    return [_table(row) for row in await dataverse.first(path, _Definition)]


def _table(row: _Definition) -> DataverseTable:
    return DataverseTable(
        logical_name=row["LogicalName"],
        schema_name=row["SchemaName"],
        entity_set=row["EntitySetName"] or "",
        primary_id=row["PrimaryIdAttribute"] or "",
        table_type=row.get("TableType") or "Standard",
        can_create_columns=_allows(row.get("CanCreateAttributes")),
        can_be_related=_allows(row.get("CanBeRelatedEntityInRelationship")),
        can_be_primary=_allows(row.get("CanBePrimaryEntityInRelationship")),
    )


def _allows(managed: _Flag | None) -> bool:
    """Whether a managed property allows it; a missing one does not forbid (docs/reference/dataverse.md 8.3)."""
    return managed is None or managed["Value"]


async def send_json(
    dataverse: Dataverse, method: str, path: str, body: object = None, *, etag: str = "*", solution: str | None = None
) -> httpx.Response:
    """Send a request. A PATCH never creates a row: it holds for one that exists and has this ETag ("*": any).

    What is created belongs to `solution`, if one is named. Raises what Connection.send raises.
    """
    headers = {"Content-Type": "application/json"} | ({"If-Match": etag} if method == "PATCH" else {})
    headers |= {"MSCRM.SolutionUniqueName": solution} if solution else {}
    sent = json.dumps(body).encode() if body is not None else None
    return await dataverse.connection.send(dataverse.meter, method, path, body=sent, headers=headers)
