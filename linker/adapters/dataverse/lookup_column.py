"""The lookup column of a source table: find it, and say why a table cannot have one (docs/reference/dataverse.md 7 and 8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypedDict

from linker.adapters.dataverse import metadata
from linker.adapters.dataverse.client import Dataverse
from linker.core import odata
from linker.core.errors import ConfigurationError, DataverseError, TransientError
from linker.core.model import Target
from linker.core.names import LOOKUP_SCHEMA_NAME, PROFILE_TABLE
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


@dataclass(frozen=True, slots=True)
class LookupColumn:
    """The lookup column of one table, as metadata has it."""

    navigation: str  # for @odata.bind and $expand; case-sensitive, never built


async def find_or_plan(
    dataverse: Dataverse, table: DataverseTable, solution: str | None, known: LookupColumn | None = None
) -> LookupColumn | None:
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


async def find(dataverse: Dataverse, table: str) -> LookupColumn | None:
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
    return LookupColumn(ours[0]["ReferencingEntityNavigationPropertyName"]) if ours else None


async def find_all(dataverse: Dataverse) -> dict[str, LookupColumn]:
    """Return the lookup columns of all tables by the table's logical name."""
    expression = f"ReferencingAttribute eq {odata.literal(LOOKUP_SCHEMA_NAME)}"
    select = "SchemaName,ReferencingEntity,ReferencingEntityNavigationPropertyName"
    path = f"EntityDefinitions(LogicalName={odata.literal(PROFILE_TABLE)})/OneToManyRelationships"
    found = await dataverse.first(path + odata.query(select=select, filter=expression), _Child, strong=True)
    return {row["ReferencingEntity"]: LookupColumn(row["ReferencingEntityNavigationPropertyName"]) for row in found}


async def find_linked_table(dataverse: Dataverse, table: str) -> Target:
    """Return a table that has the lookup column now, by its logical name. Raises ConfigurationError when there is none."""
    tables = [found for found in await metadata.find_tables(dataverse, table) if found.logical_name == table]
    column = await find(dataverse, table) if tables else None
    if column is None:
        raise ConfigurationError(f"Dataverse has no table '{table}' with the column '{LOOKUP_SCHEMA_NAME}' now.")
    target = Target(table, tables[0].entity_set, tables[0].primary_id, column.navigation)
    try:
        return replace(target, partition_column=await find_partition_column(dataverse, target))
    except DataverseError:  # columns may not be read: the profile's id alone has to do
        return target


async def _refuse_other_kind(dataverse: Dataverse, table: str) -> None:
    path = f"EntityDefinitions(LogicalName={odata.literal(table)})/Attributes"
    expression = f"LogicalName eq {odata.literal(LOOKUP_SCHEMA_NAME)}"
    select = odata.query(select="LogicalName,AttributeType", filter=expression)
    rows = await dataverse.first(path + select, metadata.Attribute)
    for row in rows:
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
