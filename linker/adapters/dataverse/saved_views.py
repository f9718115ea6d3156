"""System views of Dataverse: the columns that one can show, and the one that is ours, looked for, written and published."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from linker.adapters.dataverse import lookup_column
from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.insight_reader import columns_of, find_related_tables, made_columns
from linker.adapters.dataverse.metadata import send_json
from linker.adapters.dataverse.response_models import Fields
from linker.core import odata
from linker.core.errors import ConfigurationError, DataverseError
from linker.core.insight_paths import label_in
from linker.core.insight_views import Columns, ListTable, View, same_xml
from linker.core.names import PROFILE_TABLE

_SET = "savedqueries"
_PUBLIC = 0  # querytype of a view that everybody sees in the list
_FACTS = "LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,ObjectTypeCode,DisplayCollectionName"
_DESCRIPTION = "Made by 'python -m linker view', which overwrites it when it is asked for the same name again."


_View = TypedDict(
    "_View",
    {
        "savedqueryid": str,
        "name": str,
        "fetchxml": NotRequired[str | None],
        "layoutxml": NotRequired[str | None],
        "@odata.etag": NotRequired[str],
    },
)


class _Table(TypedDict):
    LogicalName: str
    EntitySetName: str
    PrimaryIdAttribute: str
    PrimaryNameAttribute: NotRequired[str | None]
    DisplayCollectionName: NotRequired[Fields | None]
    ObjectTypeCode: int


@dataclass(frozen=True, slots=True)
class Stored:
    """Our view as it is in Dataverse."""

    etag: str
    name: str
    fetchxml: str
    layoutxml: str

    def shows(self, view: View) -> bool:
        """Whether there is nothing to write."""
        same = same_xml(self.fetchxml, view.fetchxml) and same_xml(self.layoutxml, view.layoutxml)
        return same and self.name == view.name


async def columns(dataverse: Dataverse, table: str) -> Columns:
    """Return what a view of a table can show. Raises ConfigurationError when the table has no lookup to the profile."""
    listed = await _list_table(dataverse, table)
    own, profile, related = await asyncio.gather(
        columns_of(dataverse, table), made_columns(dataverse, PROFILE_TABLE), find_related_tables(dataverse)
    )
    of_related = await asyncio.gather(*(made_columns(dataverse, found.name) for found in related))
    return Columns(listed, own, profile, dict(zip(related, of_related, strict=True)))


async def look(dataverse: Dataverse, view: View) -> Stored | None:
    """Return our view, None when there is none. Raises ConfigurationError when another view has the name."""
    named = f"returnedtypecode eq {odata.literal(view.table.name)} and name eq {odata.literal(view.name)}"
    ours = f"savedqueryid eq {view.id}"
    select = "name,fetchxml,layoutxml"
    rows = await dataverse.first(_SET + odata.query(select=select, filter=f"{ours} or ({named})"), _View)
    if any(row["savedqueryid"] != view.id and row["name"].casefold() == view.name.casefold() for row in rows):
        raise ConfigurationError(
            f"Table '{view.table.name}' has a view '{view.name}' that this command did not make. Nothing was written. Choose "
            "another name with --name."
        )
    found = next((row for row in rows if row["savedqueryid"] == view.id), None)
    return _to_stored(found) if found else None


def _to_stored(row: _View) -> Stored:
    """Without an ETag any version is overwritten: nothing else writes our view."""
    return Stored(row.get("@odata.etag", "*"), row["name"], row.get("fetchxml") or "", row.get("layoutxml") or "")


async def save(dataverse: Dataverse, view: View, stored: Stored | None, solution: str | None) -> None:
    """Create our view, or overwrite it as it was looked at."""
    body = {
        "name": view.name,
        "description": _DESCRIPTION,
        "fetchxml": view.fetchxml,
        "layoutxml": view.layoutxml,
    }
    if stored is not None:
        await send_json(dataverse, "PATCH", f"{_SET}({view.id})", body, etag=stored.etag)
        return
    new = {"savedqueryid": view.id, "returnedtypecode": view.table.name, "querytype": _PUBLIC}
    await send_json(dataverse, "POST", _SET, new | body, solution=solution)


async def publish(dataverse: Dataverse, table: str) -> None:
    """Publish the table, with whatever else of it waits for that (docs/reference/dataverse.md 8.2)."""
    xml = f"<importexportxml><entities><entity>{odata.name(table)}</entity></entities></importexportxml>"
    await send_json(dataverse, "POST", "PublishXml", {"ParameterXml": xml})


async def _list_table(dataverse: Dataverse, table: str) -> ListTable:
    path = f"EntityDefinitions(LogicalName={odata.literal(odata.name(table))})"
    try:
        row = await dataverse.one(path + odata.query(select=_FACTS), _Table)
    except DataverseError as error:
        if error.status != 404:
            raise
        raise ConfigurationError(
            f"Dataverse has no table '{table}'. Nothing was written. Give the logical name, such as lead."
        ) from error
    if await lookup_column.find(dataverse, table) is None:
        raise ConfigurationError(
            f"Table '{table}' has no lookup to the profile yet, over which a view reaches it. Nothing was written. "
            "The first run that links the table creates it."
        )
    return ListTable(
        name=row["LogicalName"],
        entity_set=row["EntitySetName"],
        key=row["PrimaryIdAttribute"],
        primary_name=row.get("PrimaryNameAttribute") or row["PrimaryIdAttribute"],  # not every table has names
        label=label_in(row.get("DisplayCollectionName")) or row["LogicalName"],
        type_code=row["ObjectTypeCode"],
    )
