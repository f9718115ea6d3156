"""Creating the lookup column of a source table: the relationship to the profile table, sent once."""

from __future__ import annotations

import json
from typing import Any, NotRequired, TypedDict

from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.lookup_column import LAG_WAIT_S, LookupColumn, find
from linker.core import odata
from linker.core.capabilities import TableKind
from linker.core.errors import DataverseError, ThrottledError, TransientError, UnknownOutcomeError
from linker.core.names import LOOKUP_DISPLAY_NAME, LOOKUP_SCHEMA_NAME, PROFILE_TABLE
from linker.core.requirements.facts import DataverseTable

_LABEL = "Microsoft.Dynamics.CRM.Label"
# A column or relationship of that name exists: another process created it first (docs/reference/dataverse.md 8.4).
TAKEN = frozenset({"0x8004432b", "0x80047013", "0x80060304", "0x80044363", "0x80060890", "0x80072551"})
ENGLISH = 1033


class _Organization(TypedDict):
    languagecode: NotRequired[int | None]


async def create(
    dataverse: Dataverse, table: DataverseTable, solution: str | None, profile_kind: TableKind
) -> LookupColumn:
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
        content = json.dumps(sent).encode()
        await dataverse.connection.send(
            dataverse.meter, "POST", "RelationshipDefinitions", body=content, headers=headers
        )

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
    return {"@odata.type": _LABEL, "LocalizedLabels": [localized]}
