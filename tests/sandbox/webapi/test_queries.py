"""Reading many rows: docs/reference/dataverse.md 5, 6, 7 and 17.2."""

import pytest

from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import NONE, create, error, message, names, read


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param("lastname eq 'ASH'", ["Ash"], id="case does not count"),
        pytest.param("lastname eq 'elm'", ["Élm"], id="accents do not count"),
        pytest.param("lastname eq 'O''Brien'", ["O'Brien"], id="a quote is doubled"),
        pytest.param("lastname eq 'coop'", [], id="a hyphen decides between equals"),
        pytest.param("lastname eq 'co-op '", ["co-op"], id="trailing blanks do not count"),
        pytest.param("jobtitle ne 'nurse'", [], id="ne brings no nulls"),
        pytest.param("not (jobtitle eq 'nurse')", [], id="not brings no nulls"),
        pytest.param("jobtitle eq null", ["O'Brien", "co-op"], id="eq null"),
        pytest.param("jobtitle ne null", ["Ash", "Élm"], id="ne null"),
        pytest.param("_parentcustomerid_value eq null", ["Ash", "O'Brien", "Élm"], id="empty lookup"),
        pytest.param("parentcustomerid_account/name eq 'contoso'", ["co-op"], id="column of the parent"),
        pytest.param("startswith(lastname,'a')", ["Ash"], id="startswith"),
        pytest.param("startswith(lastname,'O''b')", ["O'Brien"], id="startswith with a quote"),
        pytest.param("endswith(lastname,'LM')", ["Élm"], id="endswith"),
        pytest.param("contains(lastname,'s')", ["Ash"], id="contains"),
        pytest.param("not contains(lastname,'s')", ["O'Brien", "co-op", "Élm"], id="not contains"),
        pytest.param("lastname eq 'A_h'", ["Ash"], id="one-character wildcard"),
        pytest.param("lastname eq '%m'", ["Élm"], id="wildcard for any text"),
        pytest.param("lastname eq '[a-c]%'", ["Ash", "co-op"], id="wildcard for a range"),
        pytest.param("lastname eq '[^a-c]%'", ["O'Brien", "Élm"], id="wildcard for what is not in a range"),
        pytest.param("lastname eq 'A[_]h'", [], id="a wildcard in brackets is a letter"),
        pytest.param("lastname ge 'b' and lastname lt 'f'", ["co-op", "Élm"], id="range of strings"),
        pytest.param("gendercode eq 1 or gendercode eq 2", ["Ash", "O'Brien"], id="or"),
        pytest.param("gendercode gt 1", ["O'Brien"], id="greater number"),
        pytest.param("gendercode lt 99999999999999999999", ["Ash", "O'Brien"], id="very large number"),
        pytest.param("gendercode ge 1.5", ["O'Brien"], id="fraction against a whole number"),
        pytest.param("creditlimit le 10.5", ["O'Brien"], id="money"),
        pytest.param("donotemail eq true", ["Ash"], id="flag"),
        pytest.param("birthdate lt 1981-01-01", ["Élm"], id="date"),
        pytest.param("createdon ge 2026-03-01T12:00:00Z and lastname eq 'ash'", ["Ash"], id="time"),
        pytest.param("createdon ge 2026-03-01T12:00:00.5Z", [], id="time with a fraction"),
        pytest.param("firstname eq lastname", ["O'Brien"], id="column with column"),
        pytest.param("(lastname eq 'ash')", ["Ash"], id="parentheses"),
        pytest.param(
            'Microsoft.Dynamics.CRM.In(PropertyName=\'lastname\',PropertyValues=["ash","o\'brien"])',
            ["Ash", "O'Brien"],
            id="In",
        ),
        pytest.param(
            "Microsoft.Dynamics.CRM.NotIn(PropertyName='jobtitle',PropertyValues=['x'])", ["Ash", "Élm"], id="NotIn"
        ),
        pytest.param(
            'Microsoft.Dynamics.CRM.Between(PropertyName=\'gendercode\',PropertyValues=["2","9"])',
            ["O'Brien"],
            id="Between",
        ),
        pytest.param(
            "Microsoft.Dynamics.CRM.EqualUserId(PropertyName='createdby') and lastname eq 'ash'",
            ["Ash"],
            id="EqualUserId",
        ),
        pytest.param("lastname eq @p1&@p1='ash'", ["Ash"], id="parameter alias"),
        pytest.param(
            "Microsoft.Dynamics.CRM.In(PropertyName=@p1,PropertyValues=@p2)&@p1='lastname'&@p2=[\"ash\"]",
            ["Ash"],
            id="aliases in a function",
        ),
    ],
)
async def test_a_filter_finds(people: Client, condition: str, expected: list[str]) -> None:
    assert await names(people, condition) == sorted(expected)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param("contact_customer_accounts/any(c:c/lastname eq 'co-op')", 1, id="any with a condition"),
        pytest.param("contact_customer_accounts/any()", 1, id="any child"),
        pytest.param("not contact_customer_accounts/any(c:c/lastname eq 'ash')", 1, id="not any"),
        pytest.param("contact_customer_accounts/all(c:startswith(c/lastname,'co'))", 1, id="all"),
        pytest.param("contact_customer_accounts/all(c:c/lastname eq 'ash')", 0, id="not all"),
    ],
)
async def test_a_lambda_finds_parents_by_their_children(people: Client, condition: str, expected: int) -> None:
    assert len((await read(people, f"accounts?$filter={condition}"))["value"]) == expected


@pytest.mark.parametrize("literal", ["{}", "'{}'"], ids=["bare", "quoted"])
async def test_a_lookup_is_compared_with_a_guid(people: Client, literal: str) -> None:
    account = (await read(people, "accounts"))["value"][0]["accountid"]
    assert await names(people, f"_parentcustomerid_value eq {literal.format(account.upper())}") == ["co-op"]


@pytest.mark.parametrize("operator", ["gt", "ge", "lt", "le"])
async def test_guid_ranges_are_refused(api: Client, operator: str) -> None:
    answer = await api.get(f"contacts?$filter=contactid {operator} {NONE}")
    assert answer.status_code == 400
    assert "uniqueidentifier" in message(answer)


async def test_guid_ranges_can_be_switched_on_and_order_as_sql_server_does(
    api: Client, environment: Environment
) -> None:
    environment.configure(SandboxConfig(guid_ranges=True))
    low, high = "ffffffff-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
    for row_id in (low, high):
        await create(api, "contacts", contactid=row_id)
    found = await read(api, f"contacts?$select=contactid&$filter=contactid gt {low}")
    assert [row["contactid"] for row in found["value"]] == [high]


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        pytest.param("contacts?$select=Name", 400, "0x80060888", id="unknown column in select"),
        pytest.param("contacts?$filter=Name eq 'x'", 400, "0x80060888", id="unknown column in filter"),
        pytest.param("contacts?$orderby=Name", 400, "0x80060888", id="unknown column in orderby"),
        pytest.param("contacts?$expand=nothing", 400, "0x80060888", id="unknown navigation property"),
        pytest.param("contacts?$filter=lastname eq 5", 400, "0x80060888", id="number against text"),
        pytest.param("contacts?$filter=gendercode eq 'x'", 400, "0x80060888", id="text against number"),
        pytest.param("contacts?$filter=lastname eq 'x", 400, "0x80060888", id="open quote"),
        pytest.param("contacts?$filter=(lastname eq 'x'", 400, "0x80060888", id="open parenthesis"),
        pytest.param(
            "contacts?$filter=lastname eq @p1&@p1=nothing", 400, "0x80060888", id="alias of an unknown column"
        ),
        pytest.param("contacts?$filter=firstname eq parentcustomerid_account/name", 400, "0x80060888", id="two tables"),
        pytest.param("contacts?$filter=lastname in ('a')", 501, "0x80040219", id="the in operator"),
        pytest.param("contacts?$filter=year(createdon) eq 2026", 501, "0x80040219", id="date functions"),
        pytest.param("contacts?$skip=5", 400, "0x80060888", id="skip"),
        pytest.param("contacts?$search=x", 400, "0x80060888", id="search"),
        pytest.param("contacts?$format=json", 400, "0x80060888", id="format"),
        pytest.param("contacts?$Select=lastname", 400, "0x80060888", id="option names are case-sensitive"),
        pytest.param("contacts?$top=x", 400, "0x0", id="top that is no number"),
        pytest.param("contacts?$skiptoken=x", 400, "0x80040203", id="broken cookie"),
        pytest.param("contacts?sql=SELECT name FROM contact", 501, "0x80040219", id="SQL"),
        pytest.param("contacts/$count?fetchXml=<fetch/>", 501, "0x80040219", id="FetchXML elsewhere than on rows"),
        pytest.param("contacts?$apply=groupby((x/y))", 501, "0x80040219", id="groups of a parent"),
        pytest.param("contacts?$filter=gendercode eq 'x' or", 400, "0x80060888", id="half a filter"),
        pytest.param("contacts?$expand=parentcustomerid_account($top=x)", 400, "0x0", id="top in expand"),
        pytest.param("contacts?$orderby=lastname up", 400, "0x80060888", id="unknown direction"),
        pytest.param("contacts?$filter=5 eq 5", 400, "0x80060888", id="no column"),
        pytest.param("contacts?$filter=gendercode gt null", 400, "0x80060888", id="range with null"),
        pytest.param("contacts?$filter=nothing/any(c:c/x eq 1)", 400, "0x80060888", id="unknown collection"),
        pytest.param("contacts?$filter=contains(gendercode,'x')", 400, "0x80060888", id="text function of a number"),
        pytest.param(
            "contacts?$filter=Microsoft.Dynamics.CRM.LastXDays(PropertyName='createdon',PropertyValue='3')",
            501,
            "0x80040219",
            id="another query function",
        ),
        pytest.param("contacts?$expand=ownerid($count=true)", 400, "0x80060888", id="count in expand"),
        pytest.param("contacts?$expand=ownerid($filter=fullname ne 'x')", 501, "0x80040219", id="filter on a parent"),
        pytest.param("contacts?$filter=lastname EQ 'x'", 400, "0x80060888", id="operators are lower case"),
        pytest.param("contacts?$filter=shorten(lastname) eq 'x'", 400, "0x80060888", id="unknown function"),
        pytest.param(
            "contacts?$filter=Microsoft.Dynamics.CRM.Nearly(PropertyName='lastname')",
            400,
            "0x80060888",
            id="unknown query function",
        ),
        pytest.param("contacts?$filter=", 400, "0x80060888", id="empty filter"),
        pytest.param("contacts?$filter=ownerid eq null", 501, "0x80040219", id="a navigation property itself"),
        pytest.param("contacts?$filter=" + "(" * 500 + "lastname eq 'x'" + ")" * 500, 400, "0x80060888", id="depth"),
        pytest.param("contacts?$filter=" + "not " * 500 + "(lastname eq 'x')", 400, "0x80060888", id="many nots"),
        pytest.param("contacts?$filter=creditlimit gt " + "9" * 5000, 400, "0x80060888", id="endless number"),
        pytest.param(
            "contacts?$filter=Microsoft.Dynamics.CRM.In(PropertyName='lastname',PropertyValues=[null])",
            400,
            "0x80060888",
            id="null among values",
        ),
        pytest.param("contacts?$count=1", 400, "0x80060888", id="count that is no flag"),
        pytest.param("contacts?$top=1&$top=2", 400, "0x80060888", id="an option twice"),
        pytest.param("contacts()", 400, "0x0", id="empty key"),
        pytest.param(f"contacts({NONE})?$top=1", 400, "0x80060888", id="an option of collections on one row"),
        pytest.param("contacts/Microsoft.Dynamics.CRM.UpdateMultiple", 404, "", id="an action is not read"),
        pytest.param("CreateEntities", 404, "", id="an unbound action is not read"),
        pytest.param("RetrieveTotalRecordCount(EntityNames=@p1)?@p1=5", 400, "0x0", id="names that are no array"),
        pytest.param("RetrieveTotalRecordCount(EntityNames=@p1)", 400, "0x0", id="missing argument"),
        pytest.param("RetrieveMetadataChanges(Query=@p1)?@p1={}", 501, "0x80040219", id="RetrieveMetadataChanges"),
        pytest.param(f"contacts({NONE})", 404, "0x80040217", id="missing row"),
        pytest.param("contacts(x)", 400, "0x0", id="key that is no guid"),
        pytest.param("contacts(lastname='x')", 400, "0x80060890", id="alternate key that is not defined"),
    ],
)
async def test_a_query_is_refused(api: Client, url: str, status: int, code: str) -> None:
    assert error(await api.get(url)) == (status, code)


async def test_an_unknown_column_is_named_with_its_type(api: Client) -> None:
    answer = await api.get("accounts?$select=Name")
    assert message(answer) == "Could not find a property named 'Name' on type 'Microsoft.Dynamics.CRM.account'."


async def test_more_than_500_conditions_are_refused(api: Client) -> None:
    fits = " or ".join(["gendercode eq 1"] * 500)
    assert (await api.get(f"contacts?$filter={fits}")).status_code == 200
    answer = await api.get(f"contacts?$filter={fits} or gendercode eq 1")
    assert error(answer) == (400, "0x8004430C")
    assert message(answer) == "Number of conditions in query exceeded maximum limit."


async def test_a_url_of_more_than_32768_characters_is_refused(api: Client) -> None:
    assert (await api.get("contacts?$filter=lastname eq '" + "x" * 32_768 + "'")).status_code == 414


async def test_encoded_option_names_and_plus_for_blank_are_read(people: Client) -> None:
    found = await read(people, "contacts?%24select=lastname%2Cjobtitle&%24filter=lastname+eq+%27ash%27")
    assert [row["jobtitle"] for row in found["value"]] == ["Nurse"]


async def test_the_key_is_always_returned(people: Client) -> None:
    rows = (await read(people, "contacts?$select=lastname"))["value"]
    assert all(set(row) == {"@odata.etag", "lastname", "contactid"} for row in rows)


async def test_the_context_names_what_was_selected(api: Client) -> None:
    found = await read(api, "contacts?$select=lastname,_ownerid_value")
    assert found["@odata.context"] == "http://dataverse/api/data/v9.2/$metadata#contacts(lastname,_ownerid_value)"


async def test_expand_puts_the_parent_or_null_under_its_navigation_property(people: Client) -> None:
    found = await read(
        people, "contacts?$select=lastname&$expand=parentcustomerid_account($select=name)&$orderby=lastname"
    )
    parents = {row["lastname"]: row["parentcustomerid_account"] for row in found["value"]}
    assert parents["co-op"]["name"] == "Contoso"
    assert parents["Ash"] is None


async def test_expand_nests_and_reads_collections_with_a_filter(people: Client) -> None:
    url = "accounts?$select=name&$expand=contact_customer_accounts($select=lastname;$filter=lastname eq 'co-op')"
    assert [c["lastname"] for c in (await read(people, url))["value"][0]["contact_customer_accounts"]] == ["co-op"]
    url = "contacts?$select=lastname&$filter=lastname eq 'co-op'&$expand=parentcustomerid_account"
    url += "($select=name;$expand=createdby($select=fullname))"
    parent = (await read(people, url))["value"][0]["parentcustomerid_account"]
    assert parent["createdby"]["fullname"] == "# Sandbox Administrator"
