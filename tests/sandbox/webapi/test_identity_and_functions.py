"""Who asks and what they may do, and functions bound to no table: docs/reference/dataverse.md 5.3, 10, 11 and 2.6."""

import pytest

from sandbox.identity.accounts import ADMIN, LINKER, NEWCOMER, VENDOR
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from sandbox.webapi.security.organization import ADMINISTRATOR_ROLE, LINKER_ROLE
from sandbox.webapi.security.privileges import BYPASS_LOGIC, PRIVILEGE_IDS
from tests.sandbox.webapi.conftest import Client, Clock
from tests.sandbox.webapi.steps import LOOKUP, NONE, create, create_lookup, error, message, read

AS_LINKER = {"x-user": "linker"}
AS_VENDOR = {"x-user": "insightsappsplatform"}


async def test_who_am_i_names_the_user(api: Client) -> None:
    found = await read(api, "WhoAmI", **AS_LINKER)
    assert found["@odata.context"].endswith("$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse")
    assert (found["UserId"], set(found) - {"@odata.context"}) == (
        LINKER.systemuser_id,
        {"UserId", "BusinessUnitId", "OrganizationId"},
    )


async def test_the_user_is_a_row_with_its_application_id(api: Client) -> None:
    user = await read(api, f"systemusers({LINKER.systemuser_id})?$select=fullname,applicationid,domainname")
    assert (user["applicationid"], user["fullname"]) == (LINKER.client_id, LINKER.full_name)


async def test_the_organization_and_its_version_are_reported(api: Client) -> None:
    url = "RetrieveCurrentOrganization(AccessType=@p1)?@p1=Microsoft.Dynamics.CRM.EndpointAccessType'Default'"
    detail = (await read(api, url))["Detail"]
    assert (detail["State"], detail["OrganizationType"]) == ("Enabled", "CustomerTest")
    assert (await read(api, "RetrieveVersion()"))["Version"].startswith("9.2.")


async def test_total_record_counts_are_up_to_a_day_old(api: Client, clock: Clock) -> None:
    url = 'RetrieveTotalRecordCount(EntityNames=@p1)?@p1=["account","contact"]'
    await create(api, "contacts", lastname="Ash")
    counts = (await read(api, url))["EntityRecordCountCollection"]
    assert counts == {"Count": 2, "IsReadOnly": False, "Keys": ["account", "contact"], "Values": [0, 1]}
    await create(api, "contacts", lastname="Elm")
    clock.pass_seconds(23 * 3600)
    assert (await read(api, url))["EntityRecordCountCollection"]["Values"] == [0, 1]
    clock.pass_seconds(2 * 3600)
    assert (await read(api, url))["EntityRecordCountCollection"]["Values"] == [0, 2]


async def test_a_missing_privilege_is_named(api: Client) -> None:
    answer = await api.post("contacts", json={}, headers=AS_LINKER)
    assert error(answer) == (403, "0x80040220")
    assert f"Principal user (Id={LINKER.systemuser_id}, type=8," in message(answer)
    assert "is missing prvCreateContact privilege" in message(answer)
    assert f"on OTC=2 for entity 'contact'. context.Caller={LINKER.systemuser_id}" in message(answer)


async def test_privileges_can_be_switched_off(api: Client, environment: Environment) -> None:
    environment.configure(SandboxConfig(privileges_checked=False))
    assert (await api.post("contacts", json={}, headers=AS_LINKER)).status_code == 204


async def test_the_linkers_role_is_enough_to_make_and_set_the_lookup(api: Client) -> None:
    api.headers.update(AS_LINKER)
    assert (await create_lookup(api)).status_code == 204
    api.headers["x-user"] = "admin"
    contact, profile = await create(api, "contacts"), await create(api, "msdynci_customerprofiles")
    body = {f"{LOOKUP}@odata.bind": f"msdynci_customerprofiles({profile})"}
    assert (await api.patch(f"contacts({contact})", json=body, headers=AS_LINKER)).status_code == 204


async def test_setting_a_lookup_needs_append_and_append_to(api: Client) -> None:
    await create_lookup(api)
    contact, profile = await create(api, "contacts"), await create(api, "msdynci_customerprofiles")
    condition = "name eq 'prvAppendTomsdynci_customerprofile'"
    privilege = (await read(api, f"privileges?$filter={condition}"))["value"][0]["privilegeid"]
    await api.delete(f"roles({LINKER_ROLE})/roleprivileges_association({privilege})/$ref")
    body = {f"{LOOKUP}@odata.bind": f"msdynci_customerprofiles({profile})"}
    answer = await api.patch(f"contacts({contact})", json=body, headers=AS_LINKER)
    assert error(answer) == (403, "0x80040220")
    assert "prvAppendTomsdynci_customerprofile" in message(answer)
    answer = await api.patch(f"contacts({contact})", json={"lastname": "x"}, headers=AS_LINKER)
    assert answer.status_code == 204


async def test_a_privilege_is_added_to_a_role(api: Client) -> None:
    contact = await create(api, "contacts")
    bypass = {"MSCRM.BypassBusinessLogicExecution": "CustomSync"}
    url = f"contacts({contact})"
    assert (await api.patch(url, json={}, headers=AS_LINKER | bypass)).status_code == 403
    body = {"Privileges": [{"PrivilegeId": PRIVILEGE_IDS[BYPASS_LOGIC], "Depth": "3"}]}
    answer = await api.post(f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.AddPrivilegesRole", json=body)
    assert answer.status_code == 204
    assert (await api.patch(url, json={}, headers=AS_LINKER | bypass)).status_code == 204


async def test_roles_and_privileges_of_a_user_can_be_read(api: Client) -> None:
    roles = await read(api, f"systemusers({LINKER.systemuser_id})/systemuserroles_association?$select=name")
    assert [role["name"] for role in roles["value"]] == ["Customer Profile Linker"]
    url = f"roles({LINKER_ROLE})/roleprivileges_association?$select=name&$filter=name eq 'prvWriteContact'"
    assert len((await read(api, url))["value"]) == 1


@pytest.mark.parametrize(
    "headers",
    [{"CallerObjectId": LINKER.object_id}, {"MSCRMCallerID": LINKER.systemuser_id}],
    ids=["Entra object id", "systemuser id"],
)
async def test_acting_for_a_user_is_recorded(api: Client, headers: dict[str, str]) -> None:
    contact = await create(api, "contacts", lastname="Ash")
    await api.patch(f"contacts({contact})", json={"lastname": "Elm"}, headers=headers)
    row = await read(api, f"contacts({contact})")
    assert (row["_modifiedby_value"], row["_modifiedonbehalfby_value"]) == (LINKER.systemuser_id, ADMIN.systemuser_id)


async def test_acting_for_a_user_needs_the_privilege(api: Client) -> None:
    headers = AS_LINKER | {"MSCRMCallerID": ADMIN.systemuser_id}
    answer = await api.get("contacts", headers=headers)
    assert error(answer) == (403, "0x80040220")
    assert "prvActOnBehalfOfAnotherUser" in message(answer)


async def test_access_is_the_intersection_of_both_users(api: Client) -> None:
    answer = await api.post("contacts", json={}, headers={"MSCRMCallerID": LINKER.systemuser_id})
    assert answer.status_code == 403
    answer = await api.post("roles", json={}, headers=AS_VENDOR | {"MSCRMCallerID": ADMIN.systemuser_id})
    assert answer.status_code == 204
    body = {"name": "x"}
    answer = await api.patch(f"roles({LINKER_ROLE})", json=body, headers={"MSCRMCallerID": VENDOR.systemuser_id})
    assert answer.status_code == 204


async def test_no_account_can_act_for_an_unknown_user(api: Client) -> None:
    assert (await api.get("contacts", headers={"CallerObjectId": NONE})).status_code == 403


async def test_a_role_without_customization_cannot_delete_a_relationship(api: Client) -> None:
    url = (await create_lookup(api)).headers["OData-EntityId"]
    assert error(await api.delete(url, headers=AS_LINKER)) == (403, "0x80040220")


RIGHTS = "Microsoft.Dynamics.CRM.RetrieveUserPrivileges()"


async def depths(api: Client, url: str) -> dict[str, str]:
    return {entry["PrivilegeName"]: entry["Depth"] for entry in (await read(api, url))["RolePrivileges"]}


async def test_what_a_user_may_do_is_listed_with_its_depth(api: Client) -> None:
    user = f"systemusers({LINKER.systemuser_id})/{RIGHTS}"
    before = await depths(api, user)
    assert (before["prvReadContact"], before.get("prvDeleteContact")) == ("Global", None)
    (privilege,) = (await read(api, "privileges?$filter=name eq 'prvDeleteContact'"))["value"]
    body = {"Privileges": [{"PrivilegeId": privilege["privilegeid"], "Depth": "1"}]}
    await api.post(f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.AddPrivilegesRole", json=body)
    role = f"RetrieveRolePrivilegesRole(RoleId={LINKER_ROLE})"
    assert (await depths(api, user))["prvDeleteContact"] == (await depths(api, role))["prvDeleteContact"] == "Local"
    body = {"PrivilegeId": privilege["privilegeid"]}
    answer = await api.post(f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.RemovePrivilegeRole", json=body)
    assert answer.status_code == 204
    assert await depths(api, user) == before


@pytest.mark.parametrize(
    "url",
    [f"systemusers({ADMIN.systemuser_id})/{RIGHTS}", f"RetrieveRolePrivilegesRole(RoleId={ADMINISTRATOR_ROLE})"],
    ids=["the user", "the role"],
)
async def test_an_administrator_is_listed_with_every_privilege(api: Client, url: str) -> None:
    assert len(await depths(api, url)) == len((await read(api, "privileges?$select=name"))["value"])


async def test_a_deleted_role_grants_nothing_any_more(api: Client) -> None:
    assert (await api.get("contacts", headers=AS_LINKER)).status_code == 200
    assert (await api.delete(f"roles({LINKER_ROLE})")).status_code == 204
    assert (await api.get("contacts", headers=AS_LINKER)).status_code == 403


async def test_a_new_application_user_gets_the_names_of_its_application(api: Client) -> None:
    user = await create(api, "systemusers", applicationid=NEWCOMER.client_id)
    row = await read(api, f"systemusers({user})?$select=fullname,accessmode,azureactivedirectoryobjectid")
    assert (row["fullname"], row["accessmode"]) == (NEWCOMER.full_name, 4)
    assert row["azureactivedirectoryobjectid"] == NEWCOMER.object_id
