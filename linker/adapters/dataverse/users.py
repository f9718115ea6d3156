"""Users in Dataverse, their privileges, and their rights on secured columns (docs/reference/dataverse.md 11).

Metadata of a table names its privileges (EntityDefinitions).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NotRequired, TypedDict

from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.metadata import ServiceAccount
from linker.adapters.dataverse.response_models import Fields, guid_in, read
from linker.core import odata
from linker.core.names import LOOKUP_SCHEMA_NAME
from linker.core.permissions.privileges import ColumnRight, ColumnRights, Depth, Need, Privilege, SecuredColumn
from linker.core.permissions.write_permission import SecondWriter
from linker.core.requirements.facts import DataverseTable

MAX_ROLES = 50  # roles whose holders are looked up
VENDOR = "InsightsAppsPlatform"


class _Entry(TypedDict):
    PrivilegeId: str
    PrivilegeType: str
    Name: str


class _Guarded(TypedDict):
    LogicalName: str
    Privileges: list[_Entry]


class _Privilege(TypedDict):
    privilegeid: str
    name: str


class _Depth(TypedDict):
    Depth: str | int


class _HeldEntry(_Depth):
    PrivilegeName: str


class _Held(TypedDict):
    RolePrivileges: list[_HeldEntry]


class _OfRoleEntry(_Depth):
    PrivilegeId: str


class _OfRole(TypedDict):
    RolePrivileges: list[_OfRoleEntry]


class _Role(TypedDict):
    roleid: str
    name: str


class _Person(TypedDict):
    systemuserid: str
    fullname: str | None


class _Changed(TypedDict):
    modifiedon: str


async def of_tables(dataverse: Dataverse, needs: Iterable[Need]) -> dict[tuple[str, str], Privilege]:
    """Return the privileges of the tables that some needs name, by table and right."""
    tables = sorted({need.table for need in needs if need.table})
    if not tables:
        return {}
    wanted = " or ".join(f"LogicalName eq {odata.literal(table)}" for table in tables)
    path = "EntityDefinitions" + odata.query(select="LogicalName,Privileges", filter=wanted)
    return {
        (row["LogicalName"], entry["PrivilegeType"]): Privilege(entry["PrivilegeId"].lower(), entry["Name"])
        for row in await dataverse.first(path, _Guarded)
        for entry in row["Privileges"]
    }


async def of_no_table(dataverse: Dataverse, needs: Iterable[Need]) -> dict[tuple[str, str], Privilege]:
    """Return the privileges that some needs name themselves. What the environment does not know is left out."""
    names = {need.right.lower(): need.right for need in needs if not need.table}
    if not names:
        return {}
    path = "privileges" + odata.query(select="name", filter=odata.is_in("name", names.values()))
    return {
        ("", names[row["name"].lower()]): Privilege(row["privilegeid"].lower(), row["name"])
        for row in await dataverse.first(path, _Privilege)
        if row["name"].lower() in names
    }


async def read_privileges(dataverse: Dataverse, user: str) -> dict[str, Depth]:
    """Return the privileges of a user by name in lower case, through all roles, at the deepest level of each."""
    path = f"systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"
    depths: dict[str, Depth] = {}
    for entry in (await dataverse.one(path, _Held))["RolePrivileges"]:
        name, depth = entry["PrivilegeName"].lower(), _depth(entry["Depth"])
        depths[name] = max(depth, depths.get(name, Depth.NONE), key=list(Depth).index)
    return depths


async def role_depths(dataverse: Dataverse, role: str) -> dict[str, Depth]:
    """Return the privileges of one role by id. The function is bound to nothing."""
    answer = await dataverse.one(f"RetrieveRolePrivilegesRole(RoleId={role})", _OfRole)
    return {entry["PrivilegeId"].lower(): _depth(entry["Depth"]) for entry in answer["RolePrivileges"]}


async def roles_that_miss(dataverse: Dataverse, has: Privilege, misses: Privilege) -> tuple[str, ...]:
    """Return the names of roles held by people that have one privilege and not the other; at most MAX_ROLES are looked at.

    Roles that come through teams are not looked at.
    """
    able = await _roles_with(dataverse, misses)
    candidates = {role: name for role, name in (await _roles_with(dataverse, has)).items() if role not in able}
    names = [name for role, name in list(candidates.items())[:MAX_ROLES] if await _do_people_hold(dataverse, role)]
    return tuple(sorted(set(names)))


async def _roles_with(dataverse: Dataverse, privilege: Privilege) -> dict[str, str]:
    path = f"privileges({privilege.id})/roleprivileges_association" + odata.query(select="name")
    return {row["roleid"]: row["name"] async for page in dataverse.rows(path) for row in read(list[_Role], page)}


async def _do_people_hold(dataverse: Dataverse, role: str) -> bool:
    people = "accessmode eq 0 and isdisabled eq false"
    path = f"roles({role})/systemuserroles_association" + odata.query(select="systemuserid", filter=people, top=1)
    return bool(await dataverse.first(path, Fields))


def _depth(value: str | int) -> Depth:
    """Return a depth, which comes as a name and in older versions as a number."""
    if str(value) in ("0", "1", "2", "3"):
        return list(Depth)[1:][int(value)]
    return next((depth for depth in Depth if depth == value), Depth.NONE)


async def vendor_account(dataverse: Dataverse) -> ServiceAccount | None:
    """Return the account of the vendor's own task, if it is a user here (docs/reference/customer-insights.md section 1)."""
    wanted = f"contains(fullname,'{VENDOR}') or startswith(domainname,'{VENDOR.lower()}')"
    rows = await dataverse.first("systemusers" + odata.query(select="fullname", filter=wanted, top=1), _Person)
    if not rows:
        return None
    return ServiceAccount(guid_in({**rows[0]}, "systemuserid"), rows[0]["fullname"] or VENDOR)


async def find_second_writer(
    dataverse: Dataverse, table: DataverseTable, user: ServiceAccount, since: str
) -> SecondWriter | None:
    """Return what a user was the last to write of a table's linked rows since a time (ISO 8601), None for nothing."""
    wanted = f"_modifiedby_value eq {user.id} and _{LOOKUP_SCHEMA_NAME}_value ne null and modifiedon ge {since}"
    newest = odata.query(select="modifiedon", filter=wanted, orderby="modifiedon desc", top=1)
    rows = await dataverse.first(table.entity_set + newest, _Changed)
    if not rows:
        return None
    return SecondWriter(user.name, await dataverse.count(table.entity_set, wanted), rows[0]["modifiedon"])


# ---- rights on secured columns ----


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
