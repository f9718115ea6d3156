"""Steps that many tests of the Web API take."""

from typing import Any

import httpx

type Client = httpx.AsyncClient
type Json = dict[str, Any]

LOOKUP = "new_CustomerProfile"
NONE = "00000000-0000-4000-8000-000000000000"


async def create(api: Client, entity_set: str, **values: object) -> str:
    """Create a row and return its id."""
    answer = await api.post(entity_set, json=values)
    assert answer.status_code == 204, answer.text
    return answer.headers["OData-EntityId"][-37:-1]


async def read(api: Client, url: str, **headers: str) -> Json:
    """Return the JSON of a GET that succeeds."""
    answer = await api.get(url, headers=headers)
    assert answer.status_code == 200, answer.text
    document: Json = answer.json()
    return document


async def names(api: Client, condition: str, column: str = "lastname") -> list[str]:
    """Return a column of the contacts that a filter finds, sorted."""
    found = await read(api, f"contacts?$select={column}&$filter={condition}")
    return sorted(row[column] or "" for row in found["value"])


async def create_lookup(api: Client, **changes: object) -> httpx.Response:
    """Create the lookup from contact to customer profile."""
    body: Json = {
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "SchemaName": "new_msdynci_customerprofile_contact",
        "ReferencedEntity": "msdynci_customerprofile",
        "ReferencedAttribute": "msdynci_customerprofileid",
        "ReferencingEntity": "contact",
        "CascadeConfiguration": {"Assign": "NoCascade", "Delete": "RemoveLink"},
        "Lookup": {
            "@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata",
            "SchemaName": LOOKUP,
            "DisplayName": {"LocalizedLabels": [{"Label": "Customer Profile", "LanguageCode": 1033}]},
        },
    }
    return await api.post("RelationshipDefinitions", json=body | changes)


async def add_step(api: Client, message: str = "Update", table: str | None = "contact", **values: object) -> str:
    """Register a plug-in step and return its id."""
    messages = (await read(api, f"sdkmessages?$filter=name eq '{message}'"))["value"]
    binds = {"sdkmessageid@odata.bind": f"sdkmessages({messages[0]['sdkmessageid']})"}
    if table:
        condition = f"primaryobjecttypecode eq '{table}' and sdkmessageid/name eq '{message}'"
        found = (await read(api, f"sdkmessagefilters?$filter={condition}"))["value"]
        binds["sdkmessagefilterid@odata.bind"] = f"sdkmessagefilters({found[0]['sdkmessagefilterid']})"
    step = {"name": "step", "stage": 20, "mode": 0, "customizationlevel": 1, "canbebypassed": True}
    return await create(api, "sdkmessageprocessingsteps", **binds, **step | values)


def error(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]


def message(answer: httpx.Response) -> str:
    """Return the text of a refusal."""
    text: str = answer.json()["error"]["message"]
    return text


async def update_multiple(api: Client, *targets: Json, entity: str = "contact", **headers: str) -> httpx.Response:
    """Send UpdateMultiple with the type added to each target."""
    typed = [{"@odata.type": f"Microsoft.Dynamics.CRM.{entity}", **target} for target in targets]
    url = f"{entity}s/Microsoft.Dynamics.CRM.UpdateMultiple"
    return await api.post(url, json={"Targets": typed}, headers=headers)
