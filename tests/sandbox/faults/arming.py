"""Steps of the tests of faults: arm one, send an update, and count what it wrote."""

from typing import Any

import httpx

from sandbox.database import scan
from sandbox.server.app import Sandbox

UPDATE = "/contacts/Microsoft.Dynamics.CRM.UpdateMultiple"


async def arm(admin: httpx.AsyncClient, **fault: object) -> int:
    answer = await admin.post("/faults", json=fault)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["ids"][0])


async def fired(admin: httpx.AsyncClient) -> list[dict[str, Any]]:
    return list((await admin.get("/faults")).json()["fired"])


def contacts(sandbox: Sandbox, count: int) -> list[str]:
    return [str(row[0]) for row in scan(sandbox.environment.database, "contact", ["contactid"])][:count]


def cities(sandbox: Sandbox) -> int:
    """How many contacts live where the tests send them."""
    return len(list(scan(sandbox.environment.database, "contact", ["contactid"], {"address1_city": "Tartu"})))


def update(ids: list[str]) -> dict[str, Any]:
    rows = [{"@odata.type": "Microsoft.Dynamics.CRM.contact", "contactid": i, "address1_city": "Tartu"} for i in ids]
    return {"Targets": rows}
