"""Makes our own publisher, solution, tables and rows, and removes them again, whatever state they are in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from linker.adapters.dataverse import Dataverse, lookup_column
from linker.core import odata
from linker.core.errors import DataverseError, TransientError
from linker.core.requirements.facts import DataverseTable
from tests.live import own as names
from tests.live.own import Own
from tests.live.site import BULK, Pause, Site, bulk_key, patiently, send

OPTION_PREFIX = 71_340  # a publisher must have one; nothing here uses it
_TEXT = "Microsoft.Dynamics.CRM.ComplexStringAttributeMetadata"


async def make(dataverse: Dataverse, own: Own, bulk: int, pause: Pause) -> Site:
    """Make everything that the checks need and return it. What fails on the way leaves the rest to be removed."""
    publisher = await _created(dataverse, "publishers", _publisher(own))
    await _created(dataverse, "solutions", _solution(own, publisher))
    profiles = await patiently(partial(_table, dataverse, own, own.profile, ()), pause)
    rows = await patiently(partial(_table, dataverse, own, own.row, (own.customer,)), pause)
    navigation = await patiently(partial(_lookup, dataverse, own, rows), pause)
    site = Site(dataverse, own, rows, profiles, navigation, bulk, pause)
    await patiently(partial(_seen, site), pause)
    await site.create(rows, (site.row(BULK, bulk_key(number)) for number in range(bulk)))
    return site


async def remove(dataverse: Dataverse, own: Own, pause: Pause, say: Callable[[str], None]) -> None:
    """Remove whatever there is of a proof: the tables with their rows first, the publisher, by which it is found, last."""
    for entity_set, key in (
        ("sdkmessageprocessingsteps", "sdkmessageprocessingstepid"),
        ("serviceendpoints", "serviceendpointid"),
    ):
        for row in await patiently(partial(_called, dataverse, entity_set, key, own.publisher), pause):
            await patiently(partial(_deleted, dataverse, f"{entity_set}({row[key]})"), pause)
            say(f"Removed '{own.publisher}' from {entity_set}.")
    await _remove_jobs(dataverse, own, pause, say)
    for table in own.tables:
        if await patiently(partial(_dropped, dataverse, table), pause):
            say(f"Removed table '{table}'.")
    for entity_set, key in (("solutions", "solutionid"), ("publishers", "publisherid")):
        named = f"uniquename eq {odata.literal(own.publisher)}"
        for row in await patiently(partial(_named, dataverse, entity_set, named), pause):
            await patiently(partial(_deleted, dataverse, f"{entity_set}({row[key]})"), pause)
            say(f"Removed '{own.publisher}' from {entity_set}.")


async def leftovers(dataverse: Dataverse, user: str) -> tuple[list[Own], list[Own]]:
    """Return what earlier proofs left: those of this user, and those of others, which may be at work."""
    found = await _named(dataverse, "publishers", f"startswith(uniquename,{odata.literal(names.MARK)})")
    known = [(names.of_publisher(row["uniquename"]), str(row["_createdby_value"]).lower() == user) for row in found]
    mine = [own for own, is_mine in known if own and is_mine]
    return mine, [own for own, is_mine in known if own and not is_mine]


# ---- making ----


def _publisher(own: Own) -> dict[str, object]:
    return {
        "uniquename": own.publisher,
        "friendlyname": f"Linker live proof {own.tag}",
        "customizationprefix": own.prefix,
        "customizationoptionvalueprefix": OPTION_PREFIX,
    }


def _solution(own: Own, publisher: str) -> dict[str, object]:
    return {
        "uniquename": own.publisher,
        "friendlyname": f"Linker live proof {own.tag}",
        "version": "1.0.0.0",
        "publisherid@odata.bind": f"/publishers({publisher})",
    }


async def _created(dataverse: Dataverse, entity_set: str, body: dict[str, object]) -> str:
    answer = await send(dataverse, "POST", entity_set, body)
    return str(answer.headers["OData-EntityId"]).rpartition("(")[2].rstrip(")")


async def make_elastic(site: Site) -> DataverseTable:
    """Return an elastic table of our own, made if it is not there."""
    table = await patiently(partial(_table, site.dataverse, site.own, site.own.elastic, (), "Elastic"), site.pause)
    await patiently(partial(_seen_at, site.dataverse, table.entity_set, table.primary_id), site.pause)
    return table


async def _table(
    dataverse: Dataverse, own: Own, name: str, columns: tuple[str, ...], kind: str = "Standard"
) -> DataverseTable:
    """Return a table, made if it is not there. The request is the one of Microsoft's SDK (docs/reference/dataverse.md 17.5)."""
    found = await find(dataverse, name)
    if found is None:
        path = f"CreateEntities?SolutionUniqueName={own.publisher}"
        await send(dataverse, "POST", path, {"Entities": [_definition(own, name, columns) | {"TableType": kind}]})
        found = await find(dataverse, name)
    if found is None:
        raise TransientError(f"Table '{name}' was made and does not show yet.")
    return found


def _definition(own: Own, name: str, columns: tuple[str, ...]) -> dict[str, Any]:
    label = f"Live proof {name}"
    return {
        "@odata.type": "Microsoft.Dynamics.CRM.ComplexEntityMetadata",
        "SchemaName": name,
        "DisplayName": _label(label, own.language),
        "DisplayCollectionName": _label(label, own.language),
        "Description": _label("Made by a live proof of the customer profile linker; it may be deleted.", own.language),
        "OwnershipType": "UserOwned",
        "HasActivities": False,
        "HasNotes": False,
        "IsActivity": False,
        "Attributes": [_text(own, own.name, primary=True), *(_text(own, name) for name in columns)],
    }


def _text(own: Own, name: str, *, primary: bool = False) -> dict[str, Any]:
    return {
        "@odata.type": _TEXT,
        "SchemaName": name,
        "DisplayName": _label(name, own.language),
        "RequiredLevel": {"Value": "None"},
        "MaxLength": 400,
        "FormatName": {"Value": "Text"},
        "IsPrimaryName": primary,
    }


def _label(text: str, language: int) -> dict[str, Any]:
    localized = {"@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", "Label": text, "LanguageCode": language}
    return {"@odata.type": "Microsoft.Dynamics.CRM.Label", "LocalizedLabels": [localized]}


async def find(dataverse: Dataverse, name: str) -> DataverseTable | None:
    """Return a table of ours, None when it is not there; asked so that no server answers from memory."""
    select = "LogicalName,SchemaName,EntitySetName,PrimaryIdAttribute,TableType"
    query = odata.query(select=select, filter=f"LogicalName eq {odata.literal(name)}")
    rows = (await dataverse.get("EntityDefinitions" + query, strong=True))["value"]
    return next((_described(row) for row in rows), None)


def _described(row: dict[str, Any]) -> DataverseTable:
    names = (row["LogicalName"], row["SchemaName"], row["EntitySetName"], row["PrimaryIdAttribute"])
    return DataverseTable(*names, table_type=str(row.get("TableType")))


def lookup(own: Own, rows: DataverseTable, *, name: str = "") -> dict[str, Any]:
    """Return the linker's own definition of its lookup, but to our own profiles; with another `name` for the column."""
    body = lookup_column.definition(rows, "RemoveLink", own.language)
    body |= {"ReferencedEntity": own.profile, "ReferencedAttribute": f"{own.profile}id"}
    if name:
        body |= {"SchemaName": f"{own.prefix}_row_{name}", "Lookup": {**body["Lookup"], "SchemaName": name}}
    return body


async def _lookup(dataverse: Dataverse, own: Own, rows: DataverseTable) -> str:
    """Return the navigation property of the lookup that the checks write, made if it is not there."""
    attribute = f"{own.prefix}_link"
    found = await navigation(dataverse, rows, attribute)
    if found is None:
        body = lookup(own, rows, name=attribute)
        await send(dataverse, "POST", "RelationshipDefinitions", body, {"MSCRM.SolutionUniqueName": own.publisher})
        found = await navigation(dataverse, rows, attribute)
    if found is None:
        raise TransientError(f"Column '{attribute}' was made and does not show yet.")
    return found


async def navigation(dataverse: Dataverse, rows: DataverseTable, attribute: str) -> str | None:
    """Return the navigation property of a lookup column, None when the column is missing."""
    path = f"EntityDefinitions(LogicalName={odata.literal(rows.logical_name)})/ManyToOneRelationships"
    wanted = f"ReferencingAttribute eq {odata.literal(attribute)}"
    query = odata.query(select="ReferencingEntityNavigationPropertyName", filter=wanted)
    found = (await dataverse.get(path + query, strong=True))["value"]
    return str(found[0]["ReferencingEntityNavigationPropertyName"]) if found else None


async def _seen(site: Site) -> None:
    await _seen_at(site.dataverse, site.rows.entity_set, site.link)
    await _seen_at(site.dataverse, site.profiles.entity_set, site.profiles.primary_id)


async def _seen_at(dataverse: Dataverse, entity_set: str, column_name: str) -> None:
    """Raise TransientError while the server does not know a new table or column (docs/reference/dataverse.md 8.2)."""
    try:
        await dataverse.get(entity_set + odata.query(select=column_name, top=1))
    except DataverseError as error:
        if error.status not in (400, 404):
            raise
        raise TransientError(
            "Our tables are new, and not all servers know them.", wait_s=lookup_column.LAG_WAIT_S
        ) from error


# ---- removing ----


async def _dropped(dataverse: Dataverse, name: str) -> bool:
    """Delete a table that is there, with its rows and relationships."""
    if await find(dataverse, name) is None:
        return False
    await send(dataverse, "DELETE", f"EntityDefinitions(LogicalName={odata.literal(name)})")
    return True


async def _called(dataverse: Dataverse, entity_set: str, key: str, name: str) -> list[dict[str, Any]]:
    """Return rows of a name; nothing where the environment has no such table."""
    try:
        query = odata.query(select=key, filter=f"name eq {odata.literal(name)}")
        return list((await dataverse.get(entity_set + query))["value"])
    except DataverseError as error:
        if error.status not in (404, 501):
            raise
        return []


async def _remove_jobs(dataverse: Dataverse, own: Own, pause: Pause, say: Callable[[str], None]) -> None:
    """Cancel and delete the system jobs of our steps, which bear their name; a job that refuses is left and named."""
    jobs = await patiently(partial(_called, dataverse, "asyncoperations", "asyncoperationid", own.publisher), pause)
    left = 0
    for row in jobs:
        path = f"asyncoperations({row['asyncoperationid']})"
        try:
            await patiently(partial(send, dataverse, "PATCH", path, _CANCELED, {"If-Match": "*"}), pause)
            await patiently(partial(_deleted, dataverse, path), pause)
        except DataverseError:
            left += 1
    if jobs:
        say(f"Removed {len(jobs) - left:,} system jobs of '{own.publisher}'. {left:,} could not be removed.")


_CANCELED = {"statecode": 3, "statuscode": 32}


async def _deleted(dataverse: Dataverse, path: str) -> None:
    try:
        await send(dataverse, "DELETE", path)
    except DataverseError as error:
        if error.status != 404:
            raise


async def _named(dataverse: Dataverse, entity_set: str, expression: str) -> list[dict[str, Any]]:
    query = odata.query(select="uniquename,_createdby_value", filter=expression)
    return list((await dataverse.get(entity_set + query))["value"])
