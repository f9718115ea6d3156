"""Column security: what a secured column shows and takes with and without permission (docs/reference/dataverse.md 11)."""

import httpx
import pytest

from sandbox.identity.accounts import ADMIN, LINKER
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import ACT_ON_BEHALF, privilege_id
from tests.sandbox.webapi.column_security import permit, secure
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import create, create_lookup, error, message, read, update_multiple

AS_LINKER = {"x-user": "linker"}
CONTACT = "EntityDefinitions(LogicalName='contact')"
READ, UPDATE, CREATE = (403, "0x8004f504"), (403, "0x8004f507"), (403, "0x8004f502")
FETCH = "<fetch><entity name='contact'><attribute name='jobtitle'/></entity></fetch>"


async def secured_contact(api: Client) -> str:
    """Make a contact whose job title is secured."""
    row = await create(api, "contacts", lastname="Ash", jobtitle="Smith")
    await secure(api, "contact", "jobtitle")
    return row


async def test_metadata_name_the_secured_columns_of_several_tables(api: Client) -> None:
    await secure(api, "contact", "jobtitle")
    expand = "Attributes($select=LogicalName,MetadataId,IsSecured;$filter=IsSecured eq true)"
    tables = "LogicalName eq 'contact' or LogicalName eq 'lead'"
    found = (await read(api, f"EntityDefinitions?$select=LogicalName&$expand={expand}&$filter={tables}"))["value"]
    named = {table["LogicalName"]: [one["LogicalName"] for one in table["Attributes"]] for table in found}
    assert named == {"contact": ["jobtitle"], "lead": []}


@pytest.mark.parametrize(
    "url",
    [
        "contacts?$select=jobtitle",
        "contacts",
        f"contacts?fetchXml={FETCH}",
        "accounts?$expand=primarycontactid($select=jobtitle)",
    ],
)
async def test_a_secured_column_reads_as_null(api: Client, url: str) -> None:
    row = await secured_contact(api)
    await create(api, "accounts", name="Forge", **{"primarycontactid@odata.bind": f"contacts({row})"})
    assert "Smith" in (await api.get(url)).text
    assert "Smith" not in (await api.get(url, headers=AS_LINKER)).text
    await permit(api, "contact", "jobtitle", "read")
    assert "Smith" in (await api.get(url, headers=AS_LINKER)).text


async def test_one_column_of_one_row_reads_as_nothing(api: Client) -> None:
    row = await secured_contact(api)
    assert (await api.get(f"contacts({row})/jobtitle", headers=AS_LINKER)).status_code == 204
    assert (await read(api, f"contacts({row})?$select=jobtitle", **AS_LINKER))["jobtitle"] is None


@pytest.mark.parametrize(
    "options",
    [
        "$filter=jobtitle eq 'Smith'",
        "$filter=jobtitle ne null",
        "$filter=contains(jobtitle,'S')",
        "$filter=not (lastname eq 'x' and jobtitle eq null)",
        "$orderby=jobtitle",
    ],
)
async def test_a_query_that_compares_or_sorts_by_it_is_refused(api: Client, options: str) -> None:
    await secured_contact(api)
    assert (await api.get(f"contacts?{options}")).status_code == 200
    answer = await api.get(f"contacts?{options}", headers=AS_LINKER)
    assert error(answer) == READ
    assert "'jobtitle'" in message(answer)
    await permit(api, "contact", "jobtitle", "read")
    assert (await api.get(f"contacts?{options}", headers=AS_LINKER)).status_code == 200


async def patch(api: Client, row: str) -> httpx.Response:
    return await api.patch(f"contacts({row})", json={"jobtitle": "Miner"}, headers=AS_LINKER | {"If-Match": "*"})


async def put(api: Client, row: str) -> httpx.Response:
    return await api.put(f"contacts({row})/jobtitle", json={"value": "Miner"}, headers=AS_LINKER)


async def bulk(api: Client, row: str) -> httpx.Response:
    return await update_multiple(api, {"contactid": row, "jobtitle": "Miner"}, **AS_LINKER)


@pytest.mark.parametrize("write", [patch, put, bulk])
async def test_an_update_is_refused_with_its_own_code(api: Client, write: object) -> None:
    row = await secured_contact(api)
    await permit(api, "contact", "jobtitle", "read", "create")
    answer = await write(api, row)  # type: ignore[operator]
    assert error(answer) == UPDATE
    assert "'jobtitle' of 'contact'" in message(answer)
    await permit(api, "contact", "jobtitle", "update")
    assert (await write(api, row)).status_code == 204  # type: ignore[operator]


async def test_other_columns_of_the_row_are_written_as_before(api: Client) -> None:
    row = await secured_contact(api)
    answer = await api.patch(f"contacts({row})", json={"lastname": "Elm"}, headers=AS_LINKER | {"If-Match": "*"})
    assert answer.status_code == 204


async def test_a_new_row_with_the_column_is_refused_with_its_own_code(api: Client) -> None:
    await secured_contact(api)
    role = f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.AddPrivilegesRole"
    await api.post(role, json={"Privileges": [{"PrivilegeId": privilege_id("prvCreateContact"), "Depth": "3"}]})
    assert error(await api.post("contacts", json={"jobtitle": "Miner"}, headers=AS_LINKER)) == CREATE
    await permit(api, "contact", "jobtitle", "create")
    assert (await api.post("contacts", json={"jobtitle": "Miner"}, headers=AS_LINKER)).status_code == 204


async def test_a_secured_lookup_can_be_neither_set_nor_followed(api: Client) -> None:
    await create_lookup(api)
    profile = await create(api, "msdynci_customerprofiles", msdynci_customerid="c1")
    row = await create(api, "contacts", **{"new_CustomerProfile@odata.bind": f"msdynci_customerprofiles({profile})"})
    await secure(api, "contact", "new_customerprofile")
    bound = {"contactid": row, "new_CustomerProfile@odata.bind": f"msdynci_customerprofiles({profile})"}
    assert error(await update_multiple(api, bound, **AS_LINKER)) == UPDATE
    cleared = {"contactid": row, "new_CustomerProfile@odata.bind": None}
    assert error(await update_multiple(api, cleared, **AS_LINKER)) == UPDATE
    labels = AS_LINKER | {"Prefer": 'odata.include-annotations="*"'}
    url = f"contacts({row})?$select=_new_customerprofile_value&$expand=new_CustomerProfile"
    assert profile not in (await api.get(url, headers=labels)).text
    assert profile in (await api.get(url)).text


RIGHTS = "Microsoft.Dynamics.CRM.RetrievePrincipalAttributePrivileges()"


async def test_the_permissions_of_a_user_come_by_the_id_of_each_column(api: Client) -> None:
    await secured_contact(api)
    url = f"systemusers({LINKER.systemuser_id})/{RIGHTS}"
    assert (await read(api, url, **AS_LINKER))["AttributePrivileges"] == []
    await permit(api, "contact", "jobtitle", "read")
    (right,) = (await read(api, url, **AS_LINKER))["AttributePrivileges"]
    column = await read(api, f"{CONTACT}/Attributes(LogicalName='jobtitle')?$select=MetadataId")
    assert right == {"AttributeId": column["MetadataId"], "CanCreate": 0, "CanRead": 4, "CanUpdate": 0}


async def test_an_administrator_may_do_everything(api: Client) -> None:
    await secured_contact(api)
    (right,) = (await read(api, f"systemusers({ADMIN.systemuser_id})/{RIGHTS}"))["AttributePrivileges"]
    assert (right["CanCreate"], right["CanRead"], right["CanUpdate"]) == (4, 4, 4)


async def test_for_another_user_only_what_both_may_do_works(api: Client) -> None:
    row = await secured_contact(api)
    role = f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.AddPrivilegesRole"
    await api.post(role, json={"Privileges": [{"PrivilegeId": privilege_id(ACT_ON_BEHALF), "Depth": "3"}]})
    for_admin = AS_LINKER | {"CallerObjectId": ADMIN.object_id}
    assert (await read(api, f"contacts({row})?$select=jobtitle", **for_admin))["jobtitle"] is None
    await permit(api, "contact", "jobtitle", "read")
    assert (await read(api, f"contacts({row})?$select=jobtitle", **for_admin))["jobtitle"] == "Smith"
