"""How lists are ordered, paged and counted: docs/reference/dataverse.md 5, 6 and 17.2."""

from urllib.parse import unquote

import pytest

from sandbox.database import Stamp, bulk_load
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import create, error, message, read

# -- ordering


async def test_without_orderby_rows_come_in_the_order_of_sql_servers_guids(api: Client) -> None:
    ids = [
        "00000000-0000-0000-0000-010000000000",
        "00000000-0000-0000-0100-000000000000",
        "00000000-0000-0100-0000-000000000000",
        "00000000-0100-0000-0000-000000000000",
        "00000001-0000-0000-0000-000000000000",
        "01000000-0000-0000-0000-000000000000",
    ]
    for row_id in ids:
        await create(api, "contacts", contactid=row_id)
    found = [row["contactid"] for row in (await read(api, "contacts?$select=contactid"))["value"]]
    assert found == [ids[5], ids[4], ids[3], ids[2], ids[1], ids[0]]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        pytest.param("word", ["a b", "a.b", "a1", "aa", "ab", "a-b", "ac"], id="word order nearly ignores hyphens"),
        pytest.param("ordinal", ["a b", "a-b", "a.b", "a1", "aa", "ab", "ac"], id="ordinal order counts them"),
    ],
)
async def test_strings_are_ordered(api: Client, environment: Environment, order: str, expected: list[str]) -> None:
    for name in ("ac", "a-b", "ab", "a b", "a1", "a.b", "aa"):
        await create(api, "contacts", lastname=name)
    environment.configure(SandboxConfig(string_order=order))  # type: ignore[arg-type]  # one of the two
    found = await read(api, "contacts?$select=lastname&$orderby=lastname")
    assert [row["lastname"] for row in found["value"]] == expected


async def test_nulls_come_first_and_last_when_descending(people: Client) -> None:
    up = [row["jobtitle"] for row in (await read(people, "contacts?$orderby=jobtitle"))["value"]]
    down = [row["jobtitle"] for row in (await read(people, "contacts?$orderby=jobtitle desc"))["value"]]
    assert up[:2] == down[-2:] == [None, None]


async def test_a_lookup_is_ordered_by_its_label(api: Client) -> None:
    first, second = await create(api, "contacts", lastname="Zebra"), await create(api, "contacts", lastname="Ant")
    for contact in (first, second):
        await create(api, "accounts", **{"primarycontactid@odata.bind": f"contacts({contact})"})
    found = await read(api, "accounts?$select=_primarycontactid_value&$orderby=_primarycontactid_value")
    assert [row["_primarycontactid_value"] for row in found["value"]] == [second, first]


async def test_a_lookup_with_several_targets_is_ordered_by_their_labels(api: Client) -> None:
    account, contact = await create(api, "accounts", name="Middle"), await create(api, "contacts", lastname="Zebra")
    other = await create(api, "accounts", name="Ant")
    for name, bind in (("1", f"accounts({account})"), ("2", f"contacts({contact})"), ("3", f"accounts({other})")):
        target = bind.partition("s(")[0]
        await create(api, "contacts", lastname=name, **{f"parentcustomerid_{target}@odata.bind": bind})
    url = "contacts?$select=lastname&$filter=_parentcustomerid_value ne null&$orderby=_parentcustomerid_value"
    page = await read(api, url, Prefer="odata.maxpagesize=2")
    rest = await read(api, page["@odata.nextLink"], Prefer="odata.maxpagesize=2")
    assert [row["lastname"] for row in page["value"] + rest["value"]] == ["3", "1", "2"]


# -- paging and counting


async def test_pages_follow_next_links_until_there_is_none(people: Client) -> None:
    headers = {"Prefer": "odata.maxpagesize=3"}
    answer = await people.get("contacts?$select=lastname&$orderby=jobtitle", headers=headers)
    assert answer.headers["Preference-Applied"] == "odata.maxpagesize=3"
    first = answer.json()
    second = await read(people, first["@odata.nextLink"], **headers)
    assert "@odata.nextLink" not in second
    assert len({row["contactid"] for row in first["value"] + second["value"]}) == 4


async def test_the_skiptoken_has_the_shape_of_a_dataverse_cookie(people: Client) -> None:
    first = await read(people, "contacts?$select=lastname", Prefer="odata.maxpagesize=2")
    token = first["@odata.nextLink"].partition("$skiptoken=")[2]
    begins = "%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ccookie%2520page%253d%25221%2522%253e"
    assert token.startswith(f"{begins}%253ccontactid%2520last%253d%2522%257b")
    assert token.endswith("%257d%2522%2520%252f%253e%253c%252fcookie%253e%22%20istracking=%22False%22%20/%3E")
    inner = unquote(unquote(token))
    last = first["value"][-1]["contactid"].upper()
    assert f'<contactid last="{{{last}}}" first="{{' in inner
    assert inner.endswith('istracking="False" />')


async def test_top_limits_rows_without_a_next_link(people: Client) -> None:
    found = await read(people, "contacts?$top=2")
    assert (len(found["value"]), "@odata.nextLink" in found) == (2, False)


async def test_top_is_ignored_together_with_maxpagesize(people: Client) -> None:
    found = await read(people, "contacts?$top=1", Prefer="odata.maxpagesize=3")
    assert len(found["value"]) == 3


async def test_a_page_is_never_larger_than_the_servers_maximum(people: Client, environment: Environment) -> None:
    environment.configure(SandboxConfig(max_page=2))
    answer = await people.get("contacts", headers={"Prefer": "odata.maxpagesize=50"})
    assert answer.headers["Preference-Applied"] == "odata.maxpagesize=2"
    assert len(answer.json()["value"]) == 2
    assert "@odata.nextLink" in (await read(people, "contacts"))


async def test_counts_come_on_request(people: Client) -> None:
    assert (await read(people, "contacts?$count=true&$filter=jobtitle ne null"))["@odata.count"] == 2
    answer = await people.get("contacts/$count")
    assert (answer.text, answer.headers["Content-Type"].partition(";")[0]) == ("4", "text/plain")
    assert (await people.get("contacts/$count?$filter=jobtitle ne null")).text == "2"


async def test_counts_end_at_5000_and_say_so(api: Client, environment: Environment) -> None:
    _load_contacts(environment, 5001)
    wanted = "Microsoft.Dynamics.CRM.totalrecordcount,Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"
    found = await read(api, "contacts?$count=true&$select=contactid", Prefer=f'odata.include-annotations="{wanted}"')
    assert found["@odata.count"] == 5000
    assert found["@Microsoft.Dynamics.CRM.totalrecordcount"] == 5000
    assert found["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"] is True
    assert (await api.get("contacts/$count")).text == "5000"


async def test_the_total_is_minus_one_when_no_count_was_asked_for(api: Client) -> None:
    found = await read(api, "contacts", Prefer='odata.include-annotations="*"')
    assert found["@Microsoft.Dynamics.CRM.totalrecordcount"] == -1


async def test_an_aggregate_counts_up_to_50000_rows(api: Client, environment: Environment) -> None:
    _load_contacts(environment, 50_000)
    url = "contacts?$apply=aggregate($count as n)"
    assert (await read(api, url))["value"] == [{"n": 50_000}]
    assert (await read(api, "contacts?$apply=filter(lastname eq 'x1')/aggregate($count as n)"))["value"] == [{"n": 1}]
    await create(api, "contacts", lastname="one more")
    answer = await api.get(url)
    assert error(answer) == (400, "0x8004E023")
    assert message(answer) == "The maximum record limit is exceeded. Reduce the number of records."


def _load_contacts(environment: Environment, count: int) -> None:
    stamp = Stamp(environment.clock(), bytes(16))
    bulk_load(environment.database, "contact", ({"lastname": f"x{i}"} for i in range(count)), stamp)
