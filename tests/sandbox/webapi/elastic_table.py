"""The elastic table new_reading: its definition, bulk messages, and what it holds."""

import json

import httpx

from tests.sandbox.webapi.steps import Client, Json, read

TABLE = "EntityDefinitions(LogicalName='new_reading')"
DETAILS = "@Microsoft.PowerApps.CDS.ErrorDetails.Plugin.BulkApiErrorDetails"
ANNOTATED = {"Prefer": 'odata.include-annotations="Microsoft.PowerApps.CDS.ErrorDetails.*"'}
TOKEN = "x-ms-session-token"


async def define(api: Client, table_type: str = "Elastic") -> httpx.Response:
    """Create a table by CreateEntities."""
    kind = "Microsoft.Dynamics.CRM.ComplexStringAttributeMetadata"
    column = {"@odata.type": kind, "SchemaName": "new_Name", "IsPrimaryName": True, "MaxLength": 20}
    entity = {
        "@odata.type": "Microsoft.Dynamics.CRM.ComplexEntityMetadata",
        "SchemaName": "new_Reading",
        "TableType": table_type,
        "Attributes": [column],
    }
    return await api.post("CreateEntities", json={"Entities": [entity]})


async def bulk(api: Client, name: str, *targets: Json, **headers: str) -> httpx.Response:
    """Send a bulk message to the elastic table."""
    typed = [{"@odata.type": "Microsoft.Dynamics.CRM.new_reading", **target} for target in targets]
    url = f"new_readings/Microsoft.Dynamics.CRM.{name}"
    return await api.post(url, json={"Targets": typed}, headers=headers)


async def stored(api: Client) -> dict[str, str]:
    """Return the names of all rows by id."""
    found = await read(api, "new_readings?$select=new_name")
    return {row["new_readingid"]: row["new_name"] for row in found["value"]}


def details(answer: httpx.Response) -> list[tuple[int, str, int]]:
    """Return index, id and status of each row in the details of a partial failure."""
    rows = json.loads(answer.json()["error"][DETAILS])
    return [(row["RequestIndex"], row["Id"], row["StatusCode"]) for row in rows]
