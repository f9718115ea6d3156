"""What users and roles may do: the functions that list it, and the actions that change it.

Facts: docs/reference/dataverse.md 10 and 11. The functions have the shapes of Microsoft's Web API reference (RolePrivileges).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.database.collation import guid_text
from sandbox.database.security import (
    DEPTHS,
    GLOBAL,
    RoleGrant,
    everything,
    grant_privileges,
    grants_of,
    privileges_of_role,
    privileges_of_user,
    revoke_privilege,
)
from sandbox.schema.column_types import Column
from sandbox.schema.model import Table
from sandbox.webapi.operations.writing import PlannedWrite, Written
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import payload_error
from sandbox.webapi.protocol.members import objects_in
from sandbox.webapi.protocol.messages import ApiResponse, json_answer, no_content
from sandbox.webapi.protocol.references import guid_in
from sandbox.webapi.protocol.urls import Segment, argument
from sandbox.webapi.security.organization import BUSINESS_UNIT_ID
from sandbox.webapi.security.privileges import Caller, ColumnRight, may_use


async def retrieve_user_privileges(call: Call, key: bytes) -> ApiResponse:
    """Answer `systemusers(id)/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()`: what all roles of a user grant."""
    database = call.environment.database
    call.require("Read", call.schema.tables["systemuser"])
    found = everything(database) if grants_of(database, key).everything else privileges_of_user(database, key)
    return _answer(call, "RetrieveUserPrivileges", found)


async def retrieve_role_privileges(call: Call, segment: Segment) -> ApiResponse:
    """Answer `RetrieveRolePrivilegesRole(RoleId=...)`, which is bound to nothing."""
    call.require("Read", call.schema.tables["role"])
    role = guid_in(argument(segment, "RoleId", call.request.aliases))
    return _answer(call, "RetrieveRolePrivilegesRole", privileges_of_role(call.environment.database, role))


async def retrieve_principal_attribute_privileges(call: Call, key: bytes) -> ApiResponse:
    """Answer `systemusers(id)/Microsoft.Dynamics.CRM.RetrievePrincipalAttributePrivileges()`: what profiles give on secured
    columns. Those of teams are not simulated.
    """
    call.require("Read", call.schema.tables["systemuser"])
    user = Caller(key)

    def allowed(right: ColumnRight, table: Table, column: Column) -> int:
        return 4 if may_use(call.environment, user, right, table.logical_name, column) else 0

    rights = [
        {
            "AttributeId": column.metadata_id,
            "CanCreate": allowed("create", table, column),
            "CanRead": allowed("read", table, column),
            "CanUpdate": allowed("update", table, column),
        }
        for table in call.schema.tables.values()
        for column in table.visible
        if column.secured
    ]
    given = [one for one in rights if any(value == 4 for value in one.values())]
    context = f"{call.api_url}/$metadata#Microsoft.Dynamics.CRM.RetrievePrincipalAttributePrivilegesResponse"
    return json_answer({"@odata.context": context, "AttributePrivileges": given})


def _answer(call: Call, function: str, found: Iterable[RoleGrant]) -> ApiResponse:
    entries = [
        {
            "Depth": grant.depth,
            "PrivilegeId": guid_text(grant.privilege),
            "BusinessUnitId": BUSINESS_UNIT_ID,
            "PrivilegeName": grant.name,
            "RecordFilterId": "00000000-0000-0000-0000-000000000000",
            "RecordFilterUniqueName": "",
        }
        for grant in found
    ]
    context = f"{call.api_url}/$metadata#Microsoft.Dynamics.CRM.{function}Response"
    return json_answer({"@odata.context": context, "RolePrivileges": entries})


def plan_add_privileges(call: Call, role: Table, key: bytes) -> PlannedWrite:
    """Plan `roles(id)/Microsoft.Dynamics.CRM.AddPrivilegesRole` (docs/reference/dataverse.md 10)."""
    call.require("Write", role)
    wanted = [
        (guid_in(entry.get("PrivilegeId")), _depth(entry)) for entry in objects_in(call.request.json(), "Privileges")
    ]

    def apply() -> Written:
        grant_privileges(call.environment.database, key, wanted)
        return Written(no_content())

    return PlannedWrite(apply)


def plan_remove_privilege(call: Call, role: Table, key: bytes) -> PlannedWrite:
    """Plan `roles(id)/Microsoft.Dynamics.CRM.RemovePrivilegeRole`."""
    call.require("Write", role)
    privilege = guid_in(call.request.json().get("PrivilegeId"))

    def apply() -> Written:
        revoke_privilege(call.environment.database, key, privilege)
        return Written(no_content())

    return PlannedWrite(apply)


def _depth(entry: Mapping[str, Any]) -> str:
    """Return the name of a depth, which is sent by its name or by its number."""
    value = str(entry.get("Depth", GLOBAL))
    if value.isdecimal() and int(value) < len(DEPTHS):
        return DEPTHS[int(value)]
    if value not in DEPTHS:
        raise payload_error(f"Microsoft.OData.ODataException: '{value}' is not a PrivilegeDepth.")
    return value
