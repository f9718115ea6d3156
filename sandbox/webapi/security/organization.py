"""The organization that every sandbox starts with: users, roles, privileges, messages, publisher and solution."""

from collections.abc import Iterable, Iterator
from typing import Final

from sandbox.database import Database, Stamp, bulk_load, scan
from sandbox.database.collation import guid_key, guid_text
from sandbox.database.security import SYSTEM_ADMINISTRATOR, associate, prepare_depths
from sandbox.identity.accounts import ADMIN, APPLICATION_USERS, LINKER, VENDOR, ApplicationUser
from sandbox.runtime import Environment
from sandbox.schema.model import ManyToMany, Table, metadata_id
from sandbox.webapi.security.privileges import (
    ACT_ON_BEHALF,
    BYPASS_LOGIC,
    BYPASS_PLUGINS,
    privilege_id,
)

ORGANIZATION_ID: Final = "0a6f9d0c-3a3e-4f8e-9d8b-5a1b6a3b0001"
BUSINESS_UNIT_ID: Final = "0a6f9d0c-3a3e-4f8e-9d8b-5a1b6a3b0002"
PUBLISHER_ID: Final = "0a6f9d0c-3a3e-4f8e-9d8b-5a1b6a3b0003"
SOLUTION_ID: Final = "fd140aaf-4df4-11dd-bd17-0019b9312238"  # the Default Solution has this id everywhere
VERSION: Final = "9.2.26074.00178"

ADMINISTRATOR_ROLE: Final = metadata_id("role", "System Administrator")
VENDOR_ROLE: Final = metadata_id("role", "Customer Insights")
LINKER_ROLE: Final = metadata_id("role", "Customer Profile Linker")

_VERBS: Final = {"Create": 32, "Read": 1, "Write": 2, "Delete": 65536, "Append": 4, "AppendTo": 16}
_CUSTOMIZING: Final = tuple(
    f"prv{verb}{what}"
    for verb in ("Create", "Read", "Write", "Delete")
    for what in ("Entity", "Attribute", "Relationship")
)
_MISCELLANEOUS: Final = (
    *_CUSTOMIZING,
    ACT_ON_BEHALF,
    BYPASS_LOGIC,
    BYPASS_PLUGINS,
    "prvPublishCustomization",
    "prvBulkDelete",
)
_LINKER_MISCELLANEOUS: Final = (
    "prvReadEntity",
    "prvReadAttribute",
    "prvReadRelationship",
    "prvCreateAttribute",
    "prvCreateRelationship",
)
_ROLES: Final = {
    ADMINISTRATOR_ROLE: "System Administrator",
    VENDOR_ROLE: "Customer Insights",
    LINKER_ROLE: "Customer Profile Linker",
}
_LINKED_TABLES: Final = frozenset({"contact", "lead", "account", "opportunity", "incident", "msdynci_customerprofile"})
_ORGANIZATION: Final = {
    "organizationid": ORGANIZATION_ID,
    "name": "sandbox",
    "languagecode": 1033,
    "localeid": 1033,
    "expirechangetrackingindays": 7,
    "maxuploadfilesize": 5_242_880,
    "currencyprecision": 2,
    "isauditenabled": False,
    "isuseraccessauditenabled": False,
    "isreadauditenabled": False,
    "schemanameprefix": "new",
}
_DEFAULT_TEAM: Final = {
    "teamid": metadata_id("team", "Sandbox"),
    "name": "Sandbox",
    "description": "Default team for the parent business unit.",
    "teamtype": 0,
    "isdefault": True,
    "systemmanaged": False,
    "businessunitid": BUSINESS_UNIT_ID,
    "administratorid": ADMIN.systemuser_id,
}
"""The team that Dataverse keeps for each business unit."""
MESSAGES: Final = (
    *("Create", "Update", "Delete", "Retrieve", "RetrieveMultiple"),
    *("CreateMultiple", "UpdateMultiple", "DeleteMultiple"),
)


def seed(environment: Environment) -> None:
    """Fill an empty database; one that was seeded before stays as it is. Tables to come are announced as well."""
    database = environment.database
    prepare_depths(database)
    database.table_listeners.append(lambda table: announce_table(environment, table, linked=_is_linkable(table)))
    if next(scan(database, "systemuser", ["systemuserid"]), None) is not None:
        return
    stamp = Stamp(environment.clock(), guid_key(ADMIN.systemuser_id))
    with database.transaction():
        _seed_people(database, stamp)
        _seed_solution(database, stamp)
        _load(database, "sdkmessage", "sdkmessageid", MESSAGES, stamp)
        _load(database, "privilege", "privilegeid", _MISCELLANEOUS, stamp)
        _grant(database, VENDOR_ROLE, _MISCELLANEOUS)
        _grant(database, LINKER_ROLE, _LINKER_MISCELLANEOUS)
        for table in list(database.schema.tables.values()):
            announce_table(environment, table, linked=table.logical_name in _LINKED_TABLES)


def _is_linkable(table: Table) -> bool:
    """Return whether the linker may write rows of a table that comes later; it only reads those of Microsoft's."""
    return not table.logical_name.startswith(("msdyn_", "mscipriv_"))


def announce_table(environment: Environment, table: Table, *, linked: bool = True) -> None:
    """Add what a new table brings: privileges and sdkmessagefilters. The linker may write rows of a linked one."""
    database, stamp = environment.database, Stamp(environment.clock(), guid_key(ADMIN.systemuser_id))
    names = [table.privilege(verb) for verb in _VERBS]
    _load(database, "privilege", "privilegeid", names, stamp)
    bulk_load(database, "sdkmessagefilter", _filters(table), stamp)
    _grant(database, VENDOR_ROLE, names)
    verbs = ("Read", "Write", "Append", "AppendTo") if linked else ("Read",)
    _grant(database, LINKER_ROLE, [table.privilege(verb) for verb in verbs])


def _filters(table: Table) -> Iterator[dict[str, object]]:
    for message in table.messages:
        yield {
            "sdkmessagefilterid": metadata_id("sdkmessagefilter", table.logical_name, message),
            "primaryobjecttypecode": table.logical_name,
            "sdkmessageid": metadata_id("sdkmessage", message),
            "name": message,
            "iscustomprocessingstepallowed": True,
            "isvisible": True,
        }


def _seed_people(database: Database, stamp: Stamp) -> None:
    bulk_load(database, "organization", [_ORGANIZATION], stamp)
    bulk_load(database, "businessunit", [{"businessunitid": BUSINESS_UNIT_ID, "name": "Sandbox"}], stamp)
    bulk_load(database, "team", [_DEFAULT_TEAM], stamp)
    bulk_load(database, "systemuser", map(_user, APPLICATION_USERS), stamp)
    bulk_load(database, "role", (_role(role_id, name) for role_id, name in _ROLES.items()), stamp)
    holders = {ADMIN: ADMINISTRATOR_ROLE, VENDOR: VENDOR_ROLE, LINKER: LINKER_ROLE}
    pairs = [(guid_key(user.systemuser_id), guid_key(role_id)) for user, role_id in holders.items()]
    associate(database, _pairs(database, "systemuserroles_association"), pairs)


def _user(user: ApplicationUser) -> dict[str, object]:
    return {
        "systemuserid": user.systemuser_id,
        "fullname": user.full_name,
        "domainname": user.domain_name,
        "internalemailaddress": user.domain_name,
        "applicationid": user.client_id,
        "azureactivedirectoryobjectid": user.object_id,
        "isdisabled": False,
        "accessmode": 4,
        "businessunitid": BUSINESS_UNIT_ID,
    }


def _role(role_id: str, name: str) -> dict[str, object]:
    template = guid_text(SYSTEM_ADMINISTRATOR) if role_id == ADMINISTRATOR_ROLE else None
    return {"roleid": role_id, "name": name, "roletemplateid": template, "businessunitid": BUSINESS_UNIT_ID}


def _seed_solution(database: Database, stamp: Stamp) -> None:
    publisher = {
        "publisherid": PUBLISHER_ID,
        "uniquename": "sandbox",
        "friendlyname": "Sandbox",
        "customizationprefix": "new",
        "customizationoptionvalueprefix": 10000,
    }
    solution = {
        "solutionid": SOLUTION_ID,
        "uniquename": "Default",
        "friendlyname": "Default Solution",
        "version": "1.0",
        "ismanaged": False,
        "isvisible": True,
        "publisherid": PUBLISHER_ID,
    }
    bulk_load(database, "publisher", [publisher], stamp)
    bulk_load(database, "solution", [solution], stamp)


def _load(database: Database, table: str, key: str, names: Iterable[str], stamp: Stamp) -> None:
    ids = {name: privilege_id(name) if table == "privilege" else metadata_id(table, name) for name in names}
    bulk_load(database, table, ({key: row_id, "name": name} for name, row_id in ids.items()), stamp)


def _grant(database: Database, role: str, names: Iterable[str]) -> None:
    pairs = [(guid_key(role), guid_key(privilege_id(name))) for name in names]
    associate(database, _pairs(database, "roleprivileges_association"), pairs)


def _pairs(database: Database, name: str) -> ManyToMany:
    relationship = database.schema.relationships[name]
    if not isinstance(relationship, ManyToMany):
        raise TypeError(name)
    return relationship
