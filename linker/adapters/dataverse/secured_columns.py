"""Column security: which columns have it, and what a user may do with them (docs/reference/dataverse.md 11)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NotRequired, TypedDict

from linker.adapters.dataverse.client import Dataverse
from linker.core import odata
from linker.core.permissions.privileges import ColumnRight, ColumnRights, SecuredColumn


class _Column(TypedDict):
    LogicalName: str
    MetadataId: str
    IsSecured: NotRequired[bool | None]


class _Table(TypedDict):
    LogicalName: str
    Attributes: list[_Column]


class _Permission(TypedDict):
    AttributeId: str
    CanRead: int | None
    CanUpdate: int | None


class _Permissions(TypedDict):
    AttributePrivileges: list[_Permission]


async def find_secured_columns(dataverse: Dataverse, tables: Iterable[str]) -> tuple[SecuredColumn, ...]:
    """Return the columns of some tables that have column security."""
    wanted = " or ".join(f"LogicalName eq {odata.literal(table)}" for table in sorted(set(tables)))
    if not wanted:
        return ()
    columns = "Attributes($select=LogicalName,MetadataId,IsSecured;$filter=IsSecured eq true)"
    path = "EntityDefinitions" + odata.query(select="LogicalName", expand=columns, filter=wanted)
    return tuple(
        SecuredColumn(table["LogicalName"], column["LogicalName"], column["MetadataId"].lower())
        for table in await dataverse.first(path, _Table)
        for column in table["Attributes"]
        if column.get("IsSecured")
    )


async def column_rights(dataverse: Dataverse, user: str) -> ColumnRights:
    """Return what a user may do with secured columns, through its own column security profiles and those of its teams.

    Permissions are 0 (not allowed) or 4 (allowed). What is shared on single rows does not count: links are on all rows.
    """
    path = f"systemusers({user})/Microsoft.Dynamics.CRM.RetrievePrincipalAttributePrivileges()"
    found = await dataverse.one(path, _Permissions)
    return {entry["AttributeId"].lower(): _rights(entry) for entry in found["AttributePrivileges"]}


def _rights(entry: _Permission) -> frozenset[ColumnRight]:
    rights: tuple[tuple[ColumnRight, int | None], ...] = (
        ("read", entry["CanRead"]),
        ("update", entry["CanUpdate"]),
    )
    return frozenset(right for right, allowed in rights if allowed)
