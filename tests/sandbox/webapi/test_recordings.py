"""Answers beside recordings of real environments that public sources show, where no other module compares them.

Each test names what the recording shows. Values that differ in each environment, such as ids, are not compared.
"""

import re

import pytest

from sandbox.identity.accounts import ADMIN
from sandbox.switches.config import SandboxConfig
from sandbox.webapi.security.organization import LINKER_ROLE
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.kinds import PROFILES, add_profiles, of_kind
from tests.sandbox.webapi.steps import LOOKUP, Json, add_step, create, create_lookup, error, message, read

ANNOTATED = {"Prefer": 'odata.include-annotations="*"'}
DETAILS = "@Microsoft.PowerApps.CDS.ErrorDetails."
ETAG = re.compile(r'W/"\d+"')


@pytest.fixture
def config() -> SandboxConfig:
    return of_kind("elastic")


@pytest.mark.parametrize("option", ["$orderby=LogicalName", "$top=1"])
async def test_definitions_are_neither_sorted_nor_limited(api: Client, option: str) -> None:
    """An issue of a public client shows the code and the text."""
    answer = await api.get(f"EntityDefinitions?$select=LogicalName&{option}")
    assert error(answer) == (400, "0x80060888")
    assert message(answer) == f"The query parameter {option.partition('=')[0]} is not supported."


async def test_the_context_of_columns_names_their_table_their_type_and_the_selection(api: Client) -> None:
    kind = "Microsoft.Dynamics.CRM.StringAttributeMetadata"
    found = await read(api, f"EntityDefinitions(LogicalName='account')/Attributes/{kind}?$select=LogicalName")
    assert found["@odata.context"].endswith(f"$metadata#EntityDefinitions('account')/Attributes/{kind}(LogicalName)")
    assert list(found["value"][0]) == ["LogicalName", "MetadataId"]


async def test_money_is_a_number_with_a_label_in_its_currency(api: Client) -> None:
    await create(api, "accounts", name="Contoso", revenue=100_000)
    (row,) = (await read(api, "accounts?$select=revenue", **ANNOTATED))["value"]
    assert row["revenue"] == 100_000
    assert row["revenue@OData.Community.Display.V1.FormattedValue"] == "$100,000.00"


async def test_a_plug_in_that_throws_shows_the_status_and_code_of_its_exception(api: Client) -> None:
    """The older form of the details; -2146233088 is what .NET gives an exception without a code of its own."""
    account = await create(api, "accounts", name="Contoso")
    await add_step(api, "Update", "account", configuration='{"throws": "No."}')
    answer = await api.patch(f"accounts({account})", json={"name": "x"}, headers=ANNOTATED)
    assert (error(answer), message(answer)) == ((400, "0x80040265"), "No.")
    shown = answer.json()["error"]
    assert (shown[f"{DETAILS}OperationStatus"], shown[f"{DETAILS}SubErrorCode"]) == ("0", "-2146233088")


async def test_registrations_of_flows_are_rows_with_numbers_for_message_and_scope(api: Client) -> None:
    await create(api, "callbackregistrations", name="flow", entityname="contact", message=3, scope=4)
    found = await read(api, "callbackregistrations?$select=name,entityname,message,scope")
    assert found["@odata.context"].endswith("#callbackregistrations(name,entityname,message,scope)")
    (row,) = found["value"]
    assert ETAG.fullmatch(row.pop("@odata.etag"))
    assert row.pop("callbackregistrationid")
    assert row == {"name": "flow", "entityname": "contact", "message": 3, "scope": 4}


async def test_an_expanded_collection_follows_its_row_with_a_link_to_all_of_it(api: Client) -> None:
    step = await add_step(api, "Update", "contact")
    steps = "sdkmessagefilterid_sdkmessageprocessingstep"
    condition = "primaryobjecttypecode eq 'contact' and sdkmessageid/name eq 'Update'"
    url = f"sdkmessagefilters?$select=primaryobjecttypecode&$filter={condition}&$expand={steps}($select=name)"
    (row,) = (await read(api, url))["value"]
    assert [found["sdkmessageprocessingstepid"] for found in row[steps]] == [step]
    rest = row[f"{steps}@odata.nextLink"]
    assert rest.endswith(f"/sdkmessagefilters({row['sdkmessagefilterid']})/{steps}?$select=name")
    assert (await read(api, rest))["value"] == row[steps]


async def test_rows_within_rows_have_etags_of_their_own(api: Client) -> None:
    inner = "sdkmessageid_sdkmessagefilter"
    url = f"sdkmessages?$select=name&$filter=name eq 'Update'&$expand={inner}($select=primaryobjecttypecode)"
    (row,) = (await read(api, url))["value"]
    tags = [row["@odata.etag"], *(found["@odata.etag"] for found in row[inner])]
    assert len(tags) > 1
    assert all(ETAG.fullmatch(tag) for tag in tags)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param(
            f"systemusers({ADMIN.systemuser_id})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()", id="of a user"
        ),
        pytest.param(f"RetrieveRolePrivilegesRole(RoleId={LINKER_ROLE})", id="of a role"),
    ],
)
async def test_privileges_are_listed_with_depth_business_unit_and_name(api: Client, url: str) -> None:
    name = url.rpartition(".")[2].partition("(")[0]
    found = await read(api, url)
    assert found["@odata.context"].endswith(f"#Microsoft.Dynamics.CRM.{name}Response")
    assert {"Depth", "PrivilegeId", "BusinessUnitId", "PrivilegeName"} <= set(found["RolePrivileges"][0])


async def test_an_update_of_many_rows_answers_204_without_a_body_and_asks_for_the_type_of_each(api: Client) -> None:
    target: Json = {"contactid": await create(api, "contacts"), "lastname": "Ash"}
    url = "contacts/Microsoft.Dynamics.CRM.UpdateMultiple"
    typed = {"@odata.type": "Microsoft.Dynamics.CRM.contact"}
    done = await api.post(url, json={"Targets": [target | typed]})
    assert (done.status_code, done.content) == (204, b"")
    assert error(await api.post(url, json={"Targets": [target]})) == (400, "0x80048d19")


async def test_the_audit_settings_of_the_organization_are_flags_of_its_row(api: Client) -> None:
    (row,) = (await read(api, "organizations?$select=isauditenabled,isuseraccessauditenabled,isreadauditenabled"))[
        "value"
    ]
    assert {type(row[name]) for name in ("isauditenabled", "isuseraccessauditenabled", "isreadauditenabled")} == {bool}


async def test_a_linked_opportunity_has_the_partition_of_its_profile(api: Client) -> None:
    """An export of a real table of 2026 has the lookup, its label and its partition side by side."""
    cascade = {"Delete": "NoCascade"}
    made = await create_lookup(api, ReferencingEntity="opportunity", CascadeConfiguration=cascade)
    assert made.status_code == 204
    (profile,) = await add_profiles(api, "c1")
    bind = {f"{LOOKUP}@odata.bind": f"{PROFILES}({profile})"}
    opportunity = await create(api, "opportunities", name="Sale", **bind)
    value, partition = f"_{LOOKUP.lower()}_value", f"{LOOKUP.lower()}pid"
    row = await read(api, f"opportunities({opportunity})?$select={value},{partition}", **ANNOTATED)
    label = row[f"{value}@OData.Community.Display.V1.FormattedValue"]
    assert (row[value], label, row[partition]) == (profile, "c1", profile)
