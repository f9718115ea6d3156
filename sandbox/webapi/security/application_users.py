"""What Dataverse adds to a new application user (docs/reference/dataverse.md 11)."""

from collections.abc import Mapping
from typing import Final

from sandbox.database.collation import guid_key, guid_text
from sandbox.database.values import Stored
from sandbox.identity.accounts import find_identity
from sandbox.schema.model import Table

_NON_INTERACTIVE: Final = 4


def application_user(table: Table, values: Mapping[str, Stored]) -> dict[str, Stored]:
    """Return what Dataverse adds to a new user with an `applicationid`: names and object id of the Entra application."""
    client_id = values.get("applicationid")
    if table.logical_name != "systemuser" or not isinstance(client_id, bytes):
        return {}
    known = find_identity(guid_text(client_id))
    names: dict[str, Stored] = {"accessmode": _NON_INTERACTIVE, "isdisabled": 0}
    if known is not None:
        names |= {
            "azureactivedirectoryobjectid": guid_key(known.object_id),
            "fullname": known.full_name,
            "domainname": known.domain_name,
            "internalemailaddress": known.domain_name,
        }
    return names
