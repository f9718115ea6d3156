"""Securing a column of the sandbox, and giving permissions on it, by the requests that an administrator would send."""

from __future__ import annotations

import httpx

from sandbox.identity.accounts import LINKER, ApplicationUser
from tests.sandbox.webapi.steps import create, read

ALLOWED, NOT_ALLOWED = 4, 0


async def secure(api: httpx.AsyncClient, table: str, column: str) -> None:
    """Turn column security on."""
    path = f"EntityDefinitions(LogicalName='{table}')/Attributes(LogicalName='{column}')"
    definition = await read(api, path)
    answer = await api.put(path, json=definition | {"IsSecured": True}, headers={"MSCRM.MergeLabels": "true"})
    assert answer.status_code == 204, answer.text


async def permit(api: httpx.AsyncClient, table: str, column: str, *rights: str, user: ApplicationUser = LINKER) -> None:
    """Give a user rights ("create", "read", "update") on a secured column through a profile of its own."""
    profile = await create(api, "fieldsecurityprofiles", name=f"{table}.{column}")
    await create(
        api,
        "fieldpermissions",
        entityname=table,
        attributelogicalname=column,
        **{f"can{right}": ALLOWED if right in rights else NOT_ALLOWED for right in ("create", "read", "update")},
        **{"fieldsecurityprofileid@odata.bind": f"fieldsecurityprofiles({profile})"},
    )
    reference = {"@odata.id": f"{api.base_url}fieldsecurityprofiles({profile})"}
    answer = await api.post(f"systemusers({user.systemuser_id})/systemuserprofiles_association/$ref", json=reference)
    assert answer.status_code == 204, answer.text
