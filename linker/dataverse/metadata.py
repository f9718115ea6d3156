"""What the linker asks of Dataverse about tables and columns, and the one column it creates (dataverse.md 7 and 8)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from linker import odata
from linker.dataverse.client import Dataverse
from linker.eligibility import DataverseTable
from linker.errors import ConfigurationError, DataverseError
from linker.model import LOOKUP_DISPLAY_NAME, LOOKUP_SCHEMA_NAME, MAPPING_TABLE, PROFILE_TABLE
from linker.odata import MappingColumns

_TABLE_FACTS = "LogicalName,SchemaName,EntitySetName,PrimaryIdAttribute,TableType,CanCreateAttributes"
_LABEL = "Microsoft.Dynamics.CRM.Label"
# A column or relationship of that name exists: a run on another host was faster (dataverse.md 8.4).
_TAKEN = frozenset({"0x8004432b", "0x80047013", "0x80060304"})


@dataclass(frozen=True, slots=True)
class LookupColumn:
    """The lookup column of one table, as metadata has it."""

    navigation: str  # for @odata.bind and $expand; case-sensitive, never built


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """The Dataverse user behind the app's token."""

    id: str
    name: str


async def service_account(dataverse: Dataverse) -> ServiceAccount:
    """Return who writes: WhoAmI and the systemuser behind it (dataverse.md 11)."""
    user = (await dataverse.get("WhoAmI"))["UserId"]
    found = await dataverse.get(f"systemusers({user})" + odata.query(select="fullname,domainname"))
    return ServiceAccount(user, found.get("fullname") or found.get("domainname") or user)


async def mapping_columns(dataverse: Dataverse) -> MappingColumns:
    """Return the columns of the mapping. The table name is in one of two columns (customer-insights.md section 2)."""
    path = f"EntityDefinitions(LogicalName='{MAPPING_TABLE}')/Attributes" + odata.query(select="LogicalName")
    try:
        present = {row["LogicalName"] for row in (await dataverse.get(path))["value"]}
    except DataverseError as error:
        if error.status != 404:
            raise
        present = set()
    for name in ("msdynci_tablename", "msdynci_entityname"):
        if name in present:
            return MappingColumns(name)
    raise ConfigurationError(
        f"Dataverse has no table '{MAPPING_TABLE}' with a column for the table name, so there is no mapping to read. "
        "Nothing was written. Run unification once with Dataverse as output; the next event or timer tries again."
    )


async def profile_schema(dataverse: Dataverse) -> str:
    """Return a fingerprint of the profile table's columns: another one means that its schema changed."""
    path = f"EntityDefinitions(LogicalName='{PROFILE_TABLE}')/Attributes"
    rows = (await dataverse.get(path + odata.query(select="LogicalName,AttributeType")))["value"]
    columns = sorted(f"{row['LogicalName']}:{row.get('AttributeType')}" for row in rows)
    return blake2b("\n".join(columns).encode(), digest_size=8).hexdigest()


async def find_tables(dataverse: Dataverse, name: str) -> list[DataverseTable]:
    """Return the Dataverse tables whose logical, schema or entity set name is `name`, in any case."""
    columns = ("LogicalName", "SchemaName", "EntitySetName")
    texts = dict.fromkeys((name, name.lower()))
    matches = " or ".join(f"{column} eq {odata.literal(text)}" for column in columns for text in texts)
    answer = await dataverse.get("EntityDefinitions" + odata.query(select=_TABLE_FACTS, filter=matches))
    return [_table(row) for row in answer["value"]]


async def custom_tables(dataverse: Dataverse) -> list[DataverseTable]:
    """Return every table that may own the keys of a source whose name fits nothing."""
    filters = "IsPrivate eq false and IsCustomEntity eq true"
    answer = await dataverse.get("EntityDefinitions" + odata.query(select=_TABLE_FACTS, filter=filters))
    return [_table(row) for row in answer["value"]]


async def existing_keys(dataverse: Dataverse, table: DataverseTable, keys: Iterable[str]) -> int:
    """Return how many of some guid texts are keys of rows in a table."""
    expression = odata.is_in(table.primary_id, keys)
    answer = await dataverse.get(table.entity_set + odata.query(select=table.primary_id, filter=expression))
    return len(answer["value"])


async def supports_update_multiple(dataverse: Dataverse, table: str) -> bool:
    """Return whether UpdateMultiple works on a table: it has a message filter of its own then (dataverse.md 2.3)."""
    expression = f"sdkmessageid/name eq 'UpdateMultiple' and primaryobjecttypecode eq {odata.literal(table)}"
    path = "sdkmessagefilters" + odata.query(select="sdkmessagefilterid", filter=expression)
    return bool((await dataverse.get(path, strong=True))["value"])


async def lookup_column(dataverse: Dataverse, table: str) -> LookupColumn | None:
    """Return the lookup column of a table, None when it has none.

    Raises ConfigurationError when a column of that name points somewhere else, or is no lookup.
    """
    expression = f"ReferencingAttribute eq {odata.literal(LOOKUP_SCHEMA_NAME)}"
    select = "SchemaName,ReferencedEntity,ReferencingAttribute,ReferencingEntityNavigationPropertyName"
    path = f"EntityDefinitions(LogicalName={odata.literal(odata.name(table))})/ManyToOneRelationships"
    found = (await dataverse.get(path + odata.query(select=select, filter=expression), strong=True))["value"]
    ours = [row for row in found if row["ReferencedEntity"] == PROFILE_TABLE]
    if found and not ours:
        raise ConfigurationError(
            f"Column '{LOOKUP_SCHEMA_NAME}' of table '{table}' points to '{found[0]['ReferencedEntity']}', not to "
            f"'{PROFILE_TABLE}'. Nothing was written to the table. Remove or rename that column; the next run creates its own."
        )
    if not ours:
        await _refuse_other_kind(dataverse, table)
        return None
    return LookupColumn(ours[0]["ReferencingEntityNavigationPropertyName"])


async def _refuse_other_kind(dataverse: Dataverse, table: str) -> None:
    """Raise ConfigurationError when the name of the lookup is taken by a column of another kind."""
    path = f"EntityDefinitions(LogicalName={odata.literal(table)})/Attributes"
    expression = f"LogicalName eq {odata.literal(LOOKUP_SCHEMA_NAME)}"
    rows = (await dataverse.get(path + odata.query(select="LogicalName,AttributeType", filter=expression)))["value"]
    for row in rows:
        if row["LogicalName"] == LOOKUP_SCHEMA_NAME:
            raise ConfigurationError(
                f"Column '{LOOKUP_SCHEMA_NAME}' of table '{table}' is of type {row.get('AttributeType')}, not a lookup to "
                f"'{PROFILE_TABLE}'. Nothing was written to the table. Remove that column; the next run creates its own."
            )


async def create_lookup_column(dataverse: Dataverse, table: DataverseTable, solution: str | None) -> LookupColumn:
    """Create the lookup column with the documented names and return it as metadata has it.

    Deleting a profile empties the links to it (RemoveLink), nothing else cascades. Raises ConfigurationError when the table
    takes no new columns, TransientError while another customisation runs.
    """
    if not table.can_create_columns:
        raise ConfigurationError(
            f"Table '{table.logical_name}' takes no new columns (CanCreateAttributes is false), so it has no place for links. "
            "Nothing was written to it. Allow customisation of the table, or leave it out of LINKER runs."
        )
    headers = {"Content-Type": "application/json"} | ({"MSCRM.SolutionUniqueName": solution} if solution else {})
    body = json.dumps(_relationship(table)).encode()
    try:
        await dataverse.connection.send(dataverse.meter, "POST", "RelationshipDefinitions", body=body, headers=headers)
    except DataverseError as error:
        if error.code.lower() not in _TAKEN:
            raise
    column = await lookup_column(dataverse, table.logical_name)
    if column is None:
        raise ConfigurationError(
            f"The lookup column of table '{table.logical_name}' was created but does not show in its metadata. "
            "No row was written. Check whether its relationship name is taken by another column; the next run looks again."
        )
    return column


def _relationship(table: DataverseTable) -> dict[str, Any]:
    return {
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "SchemaName": f"msdynci_{table.logical_name}_customerprofile"[:100],
        "ReferencedEntity": PROFILE_TABLE,
        "ReferencedAttribute": f"{PROFILE_TABLE}id",
        "ReferencingEntity": table.logical_name,
        "CascadeConfiguration": {
            "Assign": "NoCascade", "Delete": "RemoveLink", "Merge": "NoCascade",
            "Reparent": "NoCascade", "Share": "NoCascade", "Unshare": "NoCascade",
        },
        "Lookup": {
            "@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata",
            "SchemaName": LOOKUP_SCHEMA_NAME,
            "AttributeType": "Lookup",
            "AttributeTypeName": {"Value": "LookupType"},
            "DisplayName": _label(LOOKUP_DISPLAY_NAME),
            "Description": _label("The unified customer profile of this row, filled after each unification."),
            "RequiredLevel": {
                "Value": "None",
                "CanBeChanged": True,
                "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
            },
        },
    }  # fmt: skip


def _label(text: str) -> dict[str, Any]:
    localized = {"@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", "Label": text, "LanguageCode": 1033}
    return {"@odata.type": _LABEL, "LocalizedLabels": [localized]}


def _table(row: dict[str, Any]) -> DataverseTable:
    creatable = row.get("CanCreateAttributes")
    return DataverseTable(
        logical_name=row["LogicalName"],
        schema_name=row["SchemaName"],
        entity_set=row["EntitySetName"] or "",
        primary_id=row["PrimaryIdAttribute"] or "",
        table_type=row.get("TableType") or "Standard",
        can_create_columns=bool(creatable["Value"]) if isinstance(creatable, dict) else True,
    )
