"""Who may do what: privileges by role, secured columns, and acting for another user (docs/reference/dataverse.md 11).

Privileges act on whole tables, permissions on whole columns; access to single rows (depth, sharing, teams) is not simulated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from sandbox.database import scan
from sandbox.database.collation import guid_key, guid_text
from sandbox.database.security import columns_granted, grants_of
from sandbox.runtime import Environment
from sandbox.schema.column_types import Column
from sandbox.schema.model import Table, metadata_id
from sandbox.webapi.protocol.errors import PRIVILEGE_DENIED, ApiError

ACT_ON_BEHALF: Final = "prvActOnBehalfOfAnotherUser"
BYPASS_LOGIC: Final = "prvBypassCustomBusinessLogic"
BYPASS_PLUGINS: Final = "prvBypassCustomPlugins"
PRIVILEGE_IDS: Final = {
    BYPASS_LOGIC: "0ea552b0-a491-4470-9a1b-82068deccf66",
    BYPASS_PLUGINS: "148a9eaf-d0c4-4196-9852-c3a38e35f6a1",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Keys of systemuser: who acts, and the real caller when acting for another user."""

    user: bytes
    on_behalf: bytes | None = None


def privilege_id(name: str) -> str:
    """Return the id of a privilege: Microsoft's where it is documented, else one made from the name."""
    return PRIVILEGE_IDS.get(name, metadata_id("privilege", name))


def allowed(environment: Environment, caller: Caller, privilege: str) -> bool:
    """Return whether a privilege is granted; when acting for another user, to both (docs/reference/dataverse.md 11)."""
    if not environment.config.privileges_checked:
        return True
    users = (caller.user, *([caller.on_behalf] if caller.on_behalf else []))
    return all(grants_of(environment.database, user).allow(privilege) for user in users)


type ColumnRight = Literal["create", "read", "update"]


def may_use(environment: Environment, caller: Caller, right: ColumnRight, table: str, column: Column) -> bool:
    """Return whether a column is not secured, or a profile of the user allows this; of both users when one acts for another.

    A System Administrator may do everything.
    """
    if not column.secured or not environment.config.privileges_checked:
        return True
    database, users = environment.database, (caller.user, *([caller.on_behalf] if caller.on_behalf else []))
    return all(
        grants_of(database, user).everything or (table, column.logical_name) in columns_granted(database, user, right)
        for user in users
    )


def require(environment: Environment, caller: Caller, privilege: str, table: Table | None = None) -> None:
    """Raise the 403 answer with Dataverse's words (docs/reference/dataverse.md 2.6) if a privilege is missing."""
    if allowed(environment, caller, privilege):
        return
    code = table.object_type_code if table else 0
    entity = table.logical_name if table else "none"
    user = guid_text(caller.user)
    raise ApiError(
        403,
        PRIVILEGE_DENIED,
        f"Principal user (Id={user}, type=8, roleCount=1, privilegeCount=0, accessMode='4 Non-interactive') is missing "
        f"{privilege} privilege (Id={privilege_id(privilege)}) on OTC={code} for entity '{entity}'. context.Caller={user}",
    )


def effective_caller(environment: Environment, caller: bytes, headers: Mapping[str, str]) -> Caller:
    """Return who acts: `CallerObjectId` (Entra id) or `MSCRMCallerID` (systemuser id) name another user.

    Raises the 403 answer without the privilege to act for others, or for an unknown user.
    """
    entra, user_id = headers.get("callerobjectid"), headers.get("mscrmcallerid")
    if not entra and not user_id:
        return Caller(caller)
    column = "azureactivedirectoryobjectid" if entra else "systemuserid"
    wanted = entra or user_id or ""
    require(environment, Caller(caller), ACT_ON_BEHALF)
    try:
        found = list(scan(environment.database, "systemuser", ["systemuserid"], {column: wanted}))
    except ValueError:
        found = []
    if not found:
        raise ApiError(403, "0x80041d1f", f"The user with {column} = {wanted} was not found in the organization.")
    return Caller(guid_key(str(found[0][0])), caller)
