"""Steps of the tests of unification: unify over the admin API, and read mapping and profiles."""

from typing import Any

import httpx

from sandbox.data.generator import Sizes
from sandbox.database import scan
from sandbox.server.app import Sandbox

SIZES = Sizes(contacts=130, leads=50, members=20)
CUSTOMER, PROFILE_KEY, KEY = "msdynci_customerid", "msdynci_customerprofileid", "msdynci_alternatevalue"


def mapping(sandbox: Sandbox) -> dict[str, str]:
    """CustomerId by identifier."""
    columns = ["msdynci_identifier", CUSTOMER]
    return {str(row[0]): str(row[1]) for row in scan(sandbox.environment.database, "msdynci_alternatekey", columns)}


def profiles(sandbox: Sandbox) -> dict[str, str]:
    """Profile id by CustomerId."""
    columns = [CUSTOMER, PROFILE_KEY]
    return {str(row[0]): str(row[1]) for row in scan(sandbox.environment.database, "msdynci_customerprofile", columns)}


def keys(sandbox: Sandbox, table: str) -> set[str]:
    return {str(row[0]) for row in scan(sandbox.environment.database, table, [f"{table}id"])}


async def unify(admin: httpx.AsyncClient, **request: object) -> dict[str, Any]:
    answer = await admin.post("/unifications", json=request)
    assert answer.status_code in (200, 202), answer.text
    return dict(answer.json())
