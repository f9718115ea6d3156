"""Queries that Microsoft's OData pages allow and few clients use (docs/reference/dataverse.md 5, 6, 13 and 14)."""

import pytest

from sandbox.webapi.protocol.cookies import write_cookie
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import NONE, create, create_lookup, error, message, names, read


async def test_a_parameter_may_stand_for_a_column(api: Client) -> None:
    for name in ("Ash", "Elm"):
        await create(api, "contacts", lastname=name)
    assert await names(api, "@p1 ne 'ash'&@p1=lastname") == ["Elm"]


async def test_a_parameter_without_a_value_is_null(api: Client) -> None:
    await create(api, "contacts", lastname="Ash", jobtitle="Nurse")
    await create(api, "contacts", lastname="Elm")
    assert await names(api, "jobtitle eq @p1") == ["Elm"]


async def test_several_prefer_headers_are_one_list(api: Client) -> None:
    await create(api, "contacts", lastname="Ash", donotemail=True)
    await create(api, "contacts", lastname="Elm")
    wanted = [("Prefer", "odata.maxpagesize=1"), ("Prefer", 'odata.include-annotations="*"')]
    answer = await api.get("contacts?$select=donotemail", headers=wanted)
    assert answer.headers["Preference-Applied"] == 'odata.maxpagesize=1,odata.include-annotations="*"'
    assert len(answer.json()["value"]) == 1
    assert "@Microsoft.Dynamics.CRM.totalrecordcount" in answer.json()


async def test_annotations_are_asked_for_by_patterns(api: Client) -> None:
    await create(api, "contacts", donotemail=True)
    wanted = 'odata.include-annotations="Microsoft.Dynamics.CRM.*"'
    document = await read(api, "contacts?$select=donotemail&$count=true", Prefer=wanted)
    assert document["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] is False
    assert not [name for name in document["value"][0] if name.startswith("donotemail@")]


@pytest.mark.parametrize("wanted", ["*", "Other.*,Microsoft.PowerApps.CDS.ErrorDetails*"])
async def test_details_of_errors_are_asked_for_by_patterns(api: Client, wanted: str) -> None:
    answer = await api.get(f"contacts({NONE})", headers={"Prefer": f'odata.include-annotations="{wanted}"'})
    details = answer.json()["error"]
    assert details["@Microsoft.PowerApps.CDS.ErrorDetails.ApiExceptionHttpStatusCode"] == "404"
    assert ("@Microsoft.PowerApps.CDS.TraceText" in details) is (wanted == "*")


async def test_the_help_link_names_the_code_without_0x(api: Client) -> None:
    answer = await api.get(f"contacts({NONE})", headers={"Prefer": 'odata.include-annotations="*"'})
    assert "CrmException%3a80040217&client=platform" in answer.json()["error"]["@Microsoft.PowerApps.CDS.HelpLink"]


async def test_quotes_within_an_array_of_single_quotes_are_explained(api: Client) -> None:
    url = "contacts?$filter=Microsoft.Dynamics.CRM.In(PropertyName='lastname',PropertyValues=['O'Brien'])"
    assert message(await api.get(url)).startswith("Invalid JSON. A comma character ',' was expected in scope 'Array'.")


async def test_an_open_quote_is_named_with_its_position(api: Client) -> None:
    answer = await api.get("contacts?$filter=lastname eq 'O'Bryan'")
    assert message(answer) == "There is an unterminated literal at position 21 in 'lastname eq 'O'Bryan''."


async def test_any_reaches_over_many_to_many_relationships(api: Client) -> None:
    found = await read(api, "systemusers?$filter=systemuserroles_association/any(r:r/name eq 'System Administrator')")
    assert [row["fullname"] for row in found["value"]] == ["# Sandbox Administrator"]


async def test_lambdas_nest(api: Client) -> None:
    account = await create(api, "accounts", name="Contoso")
    person = await create(api, "contacts", **{"parentcustomerid_account@odata.bind": f"accounts({account})"})
    await create(api, "contacts", lastname="Ash", **{"parentcustomerid_contact@odata.bind": f"contacts({person})"})
    inner = "c/contact_customer_contacts/any(o:o/lastname eq '{}')"
    for name, expected in (("ash", 1), ("elm", 0)):
        found = await read(api, f"accounts?$filter=contact_customer_accounts/any(c:{inner.format(name)})")
        assert len(found["value"]) == expected


async def test_a_cookie_of_another_order_is_refused(api: Client) -> None:
    token = write_cookie(["firstname", "contactid"], 2, ["x", b"0" * 16], ["x", b"0" * 16])
    assert error(await api.get(f"contacts?$orderby=lastname&$skiptoken={token}")) == (400, "0x80040203")


async def test_a_cookie_with_a_broken_guid_is_refused(api: Client) -> None:
    token = write_cookie(["contactid"], 2, [b"0" * 16], [b"0" * 16])
    broken = token.replace("30303030", "x0303030")
    assert broken != token
    assert error(await api.get(f"contacts?$skiptoken={broken}")) == (400, "0x80040203")


async def test_the_service_document_lists_the_entity_sets(api: Client) -> None:
    document = await read(api, "")
    assert document["@odata.context"] == "http://dataverse/api/data/v9.2/$metadata"
    assert {"name": "contacts", "kind": "EntitySet", "url": "contacts"} in document["value"]


async def test_a_function_is_not_posted_to(api: Client) -> None:
    answer = await api.post("WhoAmI")
    assert error(answer) == (404, "")
    url = "http://dataverse/api/data/v9.2/WhoAmI"
    assert message(answer) == f"No HTTP resource was found that matches the request URI '{url}'."


@pytest.mark.parametrize(
    ("method", "url"),
    [("POST", "InsertOptionValue"), ("POST", "ExecuteMultiple"), ("GET", "InitializeFrom(Target=@p1)")],
)
async def test_other_messages_of_dataverse_are_said_to_be_missing(api: Client, method: str, url: str) -> None:
    answer = await api.request(method, url, json={} if method == "POST" else None)
    assert error(answer) == (501, "0x80040219")
    assert url.partition("(")[0] in message(answer)


@pytest.mark.parametrize("names", ["['contact']", '["contact"]'])
async def test_table_names_are_counted_in_either_quotes(api: Client, names: str) -> None:
    counted = (await read(api, f"RetrieveTotalRecordCount(EntityNames={names})"))["EntityRecordCountCollection"]
    assert counted["Keys"] == ["contact"]


async def test_annotations_show_the_version_of_the_metadata(api: Client) -> None:
    wanted = {"Prefer": 'odata.include-annotations="*"'}
    name = "@Microsoft.Dynamics.CRM.globalmetadataversion"
    before = await read(api, "contacts?$select=lastname", **wanted)
    await create_lookup(api)
    after = await read(api, "contacts?$select=lastname", **wanted)
    assert int(after[name]) > int(before[name])
    assert name not in await read(api, "contacts?$select=lastname")


async def test_money_is_shown_with_its_sign_and_two_places(api: Client) -> None:
    account = await create(api, "accounts", name="Contoso", revenue=100000)
    row = await read(api, f"accounts({account})?$select=revenue", Prefer='odata.include-annotations="*"')
    assert row["revenue@OData.Community.Display.V1.FormattedValue"] == "$100,000.00"
