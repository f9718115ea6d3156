"""Steps of the tests of write permits: grant and revoke privileges, create the column, ask whether contacts may be written."""

from linker.adapters.dataverse import metadata
from linker.core.linking.mapping_scan import TableState
from linker.core.model import Source, Status, TableRun
from linker.core.odata import MappingColumns
from linker.core.permissions.write_permission import Permission
from linker.core.requirements.facts import SourceFacts
from linker.core.requirements.table_eligibility import JudgedTable
from linker.services import write_permits
from linker.services.service_account import read_account_rights
from sandbox.database.collation import guid_key
from sandbox.database.security import grant_privileges, revoke_privilege
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import privilege_id
from tests.fakes.sandboxed import Sandboxed
from tests.sandbox.webapi.steps import create

LOOKUP = "msdynci_lookupfield_customerprofile"
SOURCE = Source("crm", "contact")


async def allowed(world: Sandboxed, mapped: int = 0) -> Permission:
    """Return whether contacts may be written, with so many rows in the mapping."""
    for number in range(mapped):
        names = {"msdynci_datasourcename": "crm", "msdynci_entityname": "contact"}
        await create(world.admin, "msdynci_alternatekeys", **names, msdynci_alternatevalue=f"{number}")
    dataverse = world.dataverse
    (table,) = await metadata.find_tables(dataverse, "contact")
    judged = JudgedTable(TableRun("contact", "crm", Status.QUEUED), table, (SourceFacts(SOURCE, table),))
    who = await read_account_rights(world.deps, dataverse)
    columns = MappingColumns("msdynci_entityname")
    found = await write_permits.permissions(
        world.deps, dataverse, who, [judged], columns, await world.deps.probe_capabilities()
    )
    await write_permits.remember_held(world.deps, found)
    return found["contact"]


def revoke(world: Sandboxed, name: str, role: str = LINKER_ROLE) -> None:
    revoke_privilege(world.environment.database, guid_key(role), guid_key(privilege_id(name)))


def grant(world: Sandboxed, name: str, depth: str = "Global") -> None:
    grant_privileges(world.environment.database, guid_key(LINKER_ROLE), [(guid_key(privilege_id(name)), depth)])


async def linked_before(world: Sandboxed) -> None:
    await world.deps.states.save("contact", TableState(linked=True), None)


async def create_column(world: Sandboxed) -> None:
    body = {
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "SchemaName": "msdynci_contact_customerprofile",
        "ReferencedEntity": "msdynci_customerprofile",
        "ReferencedAttribute": "msdynci_customerprofileid",
        "ReferencingEntity": "contact",
        "CascadeConfiguration": {"Delete": "NoCascade"},
        "Lookup": {"@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata", "SchemaName": LOOKUP},
    }
    assert (await world.admin.post("RelationshipDefinitions", json=body)).status_code == 204
