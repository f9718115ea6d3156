"""The lookup column of a source table: find it, create it, or say why a table cannot have one.

A column is known here by its navigation property for @odata.bind and $expand: case-sensitive, as metadata has it, never built
(docs/reference/dataverse.md 7 and 8).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

from linker.adapters.dataverse import metadata
from linker.adapters.dataverse.client import Dataverse
from linker.core import odata
from linker.core.capabilities import TableKind
from linker.core.errors import ConfigurationError, DataverseError, ThrottledError, TransientError, UnknownOutcomeError
from linker.core.model import Target
from linker.core.names import LOOKUP_DISPLAY_NAME, LOOKUP_SCHEMA_NAME, PROFILE_TABLE
from linker.core.requirements.facts import DataverseTable

_UNFIT = {  # docs/reference/dataverse.md 8.6
    "Elastic": "nothing would empty its links when profiles are deleted",
    "Virtual": "its rows are kept outside Dataverse",
}
LAG_WAIT_S = 10.0  # another server may know a new column up to 30 s later (docs/reference/dataverse.md 8.2)


class _Relationship(TypedDict):
    ReferencedEntity: str
    ReferencingEntityNavigationPropertyName: str


class _Child(TypedDict):
    ReferencingEntity: str
    ReferencingEntityNavigationPropertyName: str


class _Solution(TypedDict):
    ismanaged: bool


async def find_or_plan(
    dataverse: Dataverse, table: DataverseTable, solution: str | None, known: str | None = None
) -> str | None:
    """Return the lookup column of a table, None when it has none and can be given one. Writes nothing. One that is `known`
    is not looked for.

    Raises ConfigurationError when a column of that name is something else, or the table cannot have or use one.
    """
    _refuse_type(table)
    column = known or await find(dataverse, table.logical_name)
    if column is None:
        await plan(dataverse, table, solution)
    return column


async def plan(dataverse: Dataverse, table: DataverseTable, solution: str | None) -> None:
    """Raise ConfigurationError when a table without the lookup column cannot be given one. Writes nothing."""
    _refuse_type(table)
    await _refuse_other_kind(dataverse, table.logical_name)
    _refuse_table(table)
    await _refuse_solution(dataverse, table.logical_name, solution)


async def find_partition_column(dataverse: Dataverse, table: Target, *, is_new: bool = False) -> str:
    """Return the companion column of the lookup, which holds the partition of an elastic profile; empty when there is none
    that can be read on rows. Raises TransientError while a server does not know a new one yet.
    """
    found = await metadata.attributes(dataverse, table.table, "LogicalName,AttributeOf,AttributeType")
    named = {row["LogicalName"]: row for row in found}
    name = next(
        (n for n, row in named.items() if row.get("AttributeOf") == LOOKUP_SCHEMA_NAME and n.endswith("pid")), ""
    )
    name = name or (f"{LOOKUP_SCHEMA_NAME}pid" if f"{LOOKUP_SCHEMA_NAME}pid" in named else "")
    if not name:
        return ""
    try:
        await dataverse.get(table.entity_set + odata.query(select=name, top=1))
    except DataverseError as error:
        if is_new and error.status == 400 and not await _is_left_out(dataverse, table, name):
            raise not_known_yet(table.table) from error
        return ""
    return name


async def _is_left_out(dataverse: Dataverse, table: Target, name: str) -> bool:
    """Return whether a server knows the lookup and yet refuses its companion: then the Web API does not have that column."""
    columns = (f"_{LOOKUP_SCHEMA_NAME}_value", name)
    paths = [table.entity_set + odata.query(select=column, top=1) for column in columns]
    return await dataverse.read_statuses(paths) == [200, 400]


async def await_seen(dataverse: Dataverse, table: Target) -> None:
    """Raise TransientError while the server that answers does not know a new column yet (docs/reference/dataverse.md 8.2)."""
    select = f"_{LOOKUP_SCHEMA_NAME}_value"
    try:
        await dataverse.get(table.entity_set + odata.query(select=select, top=1))
    except DataverseError as error:
        if error.status != 400:
            raise
        raise not_known_yet(table.table) from error


def not_known_yet(table: str) -> TransientError:
    """Return the passing fault of a column that some servers do not know yet (docs/reference/dataverse.md 8.2)."""
    return TransientError(
        f"The lookup column of table '{table}' is new, and not all servers of Dataverse know it yet.", wait_s=LAG_WAIT_S
    )


async def find(dataverse: Dataverse, table: str) -> str | None:
    """Return the lookup column of a table, None when it has none. Raises ConfigurationError when it points elsewhere."""
    expression = f"ReferencingAttribute eq {odata.literal(LOOKUP_SCHEMA_NAME)}"
    select = "SchemaName,ReferencedEntity,ReferencingAttribute,ReferencingEntityNavigationPropertyName"
    path = f"EntityDefinitions(LogicalName={odata.literal(odata.name(table))})/ManyToOneRelationships"
    found = await dataverse.first(path + odata.query(select=select, filter=expression), _Relationship, strong=True)
    ours = [row for row in found if row["ReferencedEntity"] == PROFILE_TABLE]
    if found and not ours:
        raise ConfigurationError(
            f"Column '{LOOKUP_SCHEMA_NAME}' of table '{table}' points to '{found[0]['ReferencedEntity']}', not to "
            f"'{PROFILE_TABLE}'. Nothing was written to the table. Remove or rename that column; the next run creates its own."
        )
    return ours[0]["ReferencingEntityNavigationPropertyName"] if ours else None


async def find_all(dataverse: Dataverse) -> dict[str, str]:
    """Return the lookup columns of all tables by the table's logical name."""
    expression = f"ReferencingAttribute eq {odata.literal(LOOKUP_SCHEMA_NAME)}"
    select = "SchemaName,ReferencingEntity,ReferencingEntityNavigationPropertyName"
    path = f"EntityDefinitions(LogicalName={odata.literal(PROFILE_TABLE)})/OneToManyRelationships"
    found = await dataverse.first(path + odata.query(select=select, filter=expression), _Child, strong=True)
    return {row["ReferencingEntity"]: row["ReferencingEntityNavigationPropertyName"] for row in found}


async def find_linked_table(dataverse: Dataverse, table: str) -> Target:
    """Return a table that has the lookup column now, by its logical name. Raises ConfigurationError when there is none."""
    tables = [found for found in await metadata.find_tables(dataverse, table) if found.logical_name == table]
    column = await find(dataverse, table) if tables else None
    if column is None:
        raise ConfigurationError(f"Dataverse has no table '{table}' with the column '{LOOKUP_SCHEMA_NAME}' now.")
    target = Target(table, tables[0].entity_set, tables[0].primary_id, column)
    try:
        return replace(target, partition_column=await find_partition_column(dataverse, target))
    except DataverseError:  # columns may not be read: the profile's id alone has to do
        return target


async def _refuse_other_kind(dataverse: Dataverse, table: str) -> None:
    path = f"EntityDefinitions(LogicalName={odata.literal(table)})/Attributes"
    expression = f"LogicalName eq {odata.literal(LOOKUP_SCHEMA_NAME)}"
    select = odata.query(select="LogicalName,AttributeType", filter=expression)
    for row in await dataverse.first(path + select, metadata.Attribute):
        if row["LogicalName"] == LOOKUP_SCHEMA_NAME:
            raise ConfigurationError(
                f"Column '{LOOKUP_SCHEMA_NAME}' of table '{table}' is of type {row.get('AttributeType')}, not a lookup to "
                f"'{PROFILE_TABLE}'. Nothing was written to the table. Remove that column; the next run creates its own."
            )


def _refuse_type(table: DataverseTable) -> None:
    name = table.logical_name
    if table.table_type != "Standard":
        raise ConfigurationError(
            f"Table '{name}' is {table.table_type.lower()}: {_UNFIT.get(table.table_type, 'only standard tables are linked')}. "
            "Nothing was written to it. There is nothing to change here: its rows cannot be linked."
        )


def _refuse_table(table: DataverseTable) -> None:
    for allowed, property_name in (
        (table.can_create_columns, "CanCreateAttributes"),
        (table.can_be_related, "CanBeRelatedEntityInRelationship"),
    ):
        if not allowed:
            raise ConfigurationError(
                f"Table '{table.logical_name}' takes no new columns ({property_name} is false), so it has no place for links. "
                "Nothing was written to it. Allow customisation of the table, or take it out of unification."
            )


async def _refuse_solution(dataverse: Dataverse, table: str, solution: str | None) -> None:
    if solution is None:
        return
    path = "solutions" + odata.query(select="ismanaged", filter=f"uniquename eq {odata.literal(solution)}")
    found = await dataverse.first(path, _Solution)
    why = "does not exist" if not found else "is managed" if found[0]["ismanaged"] else ""
    if why:
        raise ConfigurationError(
            f"The lookup column of table '{table}' belongs into solution '{solution}' (LINKER_SOLUTION), which {why}. Nothing "
            "was written to it. Name an unmanaged solution by its unique name, or leave the setting empty."
        )


# A column or relationship of that name exists: another process created it first (docs/reference/dataverse.md 8.4).
TAKEN = frozenset({"0x8004432b", "0x80047013", "0x80060304", "0x80044363", "0x80060890", "0x80072551"})
ENGLISH = 1033


class _Organization(TypedDict):
    languagecode: NotRequired[int | None]


async def create(dataverse: Dataverse, table: DataverseTable, solution: str | None, profile_kind: TableKind) -> str:
    """Create the lookup column with the documented names and return it as metadata has it.

    Deleting a standard profile empties the links to it (RemoveLink). Elastic and virtual profiles allow no cascade at all.
    When two create the column at the same time, the second one finds that of the first. Raises TransientError while another
    customization runs, and while the column does not show in metadata.
    """
    headers = {"Content-Type": "application/json"} | ({"MSCRM.SolutionUniqueName": solution} if solution else {})
    language, unclear = await base_language(dataverse), ""
    try:
        await _send_definition(dataverse, definition(table, cascade_for(profile_kind), language), headers)
    except DataverseError as error:
        if error.code.lower() not in TAKEN:
            raise
    except UnknownOutcomeError as error:  # it may be there, or come later: metadata shows it
        unclear = str(error)
    except ThrottledError:
        raise
    except TransientError as error:
        raise TransientError(
            f"The lookup column of table '{table.logical_name}' could not be created yet; no row was written. It is tried "
            f"again in this run and the next. A solution import, for one, keeps others from it while it lasts. {error}",
            wait_s=error.wait_s,
        ) from error
    column = await find(dataverse, table.logical_name)
    if column is None:
        raise TransientError(
            f"The lookup column of table '{table.logical_name}' does not show in its metadata yet. No row was written. If this "
            f"stays, check whether another column has the name of its relationship. {unclear}".rstrip(),
            wait_s=LAG_WAIT_S,
        )
    return column


def cascade_for(profile_kind: TableKind) -> str:
    """Return what deleting a profile is to do to the links to it: elastic tables refuse everything but NoCascade."""
    return "RemoveLink" if profile_kind is TableKind.STANDARD else "NoCascade"


async def _send_definition(dataverse: Dataverse, body: dict[str, Any], headers: dict[str, str]) -> None:
    """Create the relationship, once more without any cascade when the environment refuses the first one for its cascade."""

    async def send(delete: str) -> None:
        sent = {**body, "CascadeConfiguration": {**body["CascadeConfiguration"], "Delete": delete}}
        connection, content = dataverse.connection, json.dumps(sent).encode()
        await connection.send(dataverse.meter, "POST", "RelationshipDefinitions", body=content, headers=headers)

    wanted = body["CascadeConfiguration"]["Delete"]
    try:
        await send(wanted)
    except DataverseError as error:
        if wanted == "NoCascade" or error.status != 400 or error.code.lower() in TAKEN:
            raise
        await send("NoCascade")


async def base_language(dataverse: Dataverse) -> int:
    """Return the language code of the environment's labels; English where it is unknown."""
    try:
        rows = await dataverse.first("organizations" + odata.query(select="languagecode", top=1), _Organization)
    except DataverseError:
        return ENGLISH
    return (rows[0].get("languagecode") if rows else None) or ENGLISH


def definition(table: DataverseTable, delete: str, language: int) -> dict[str, Any]:
    """Return the relationship that makes the lookup column, as it is sent (docs/reference/dataverse.md 8.1)."""
    return {
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "SchemaName": f"msdynci_{table.logical_name}_customerprofile"[:100],
        "ReferencedEntity": PROFILE_TABLE,
        "ReferencedAttribute": f"{PROFILE_TABLE}id",
        "ReferencingEntity": table.logical_name,
        "CascadeConfiguration": {
            "Assign": "NoCascade", "Delete": delete, "Merge": "NoCascade",
            "Reparent": "NoCascade", "Share": "NoCascade", "Unshare": "NoCascade",
        },
        "Lookup": {
            "@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata",
            "SchemaName": LOOKUP_SCHEMA_NAME,
            "AttributeType": "Lookup",
            "AttributeTypeName": {"Value": "LookupType"},
            "DisplayName": _label(LOOKUP_DISPLAY_NAME, language),
            "Description": _label("The unified customer profile of this row, filled after each unification.", language),
            "RequiredLevel": {
                "Value": "None",
                "CanBeChanged": True,
                "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
            },
        },
    }  # fmt: skip


def _label(text: str, language: int) -> dict[str, Any]:
    localized = {"@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", "Label": text, "LanguageCode": language}
    return {"@odata.type": "Microsoft.Dynamics.CRM.Label", "LocalizedLabels": [localized]}
