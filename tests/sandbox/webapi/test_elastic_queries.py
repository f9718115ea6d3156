"""Queries of elastic tables: pages, orders, comparisons, counts, and the switches for what no public source settles."""

import pytest

from sandbox.database import Stamp, bulk_load
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.kinds import MAPPINGS, PROFILES, add_profiles, of_kind, switch
from tests.sandbox.webapi.steps import create, create_lookup, error, message, read

ASKED = {"Prefer": "odata.maxpagesize=5000"}


@pytest.fixture
def config() -> SandboxConfig:
    return of_kind("elastic")


def load_profiles(environment: Environment, count: int) -> None:
    """Load profiles with the CustomerIds c0, c1 and so on."""
    rows = ({"msdynci_customerid": f"c{number}", "msdynci_fullname": f"n{number % 600}"} for number in range(count))
    bulk_load(environment.database, "msdynci_customerprofile", rows, Stamp(environment.clock(), bytes(16)))


async def found(api: Client, condition: str, column: str = "msdynci_customerid") -> list[str]:
    """Return a column of the profiles that a filter finds, sorted."""
    rows = await read(api, f"{PROFILES}?$select={column}&$filter={condition}")
    return sorted(row[column] for row in rows["value"])


# -- pages


async def test_a_page_has_500_rows(api: Client, environment: Environment) -> None:
    load_profiles(environment, 501)
    page = await read(api, PROFILES)
    rest = await read(api, page["@odata.nextLink"])
    assert (len(page["value"]), len(rest["value"]), "@odata.nextLink" in rest) == (500, 1, False)


@pytest.mark.parametrize("most", [500, 5000])
async def test_whether_more_rows_than_500_can_be_asked_for_is_a_switch(
    api: Client, environment: Environment, most: int
) -> None:
    switch(environment, page_max=most)
    load_profiles(environment, 501)
    answer = await api.get(PROFILES, headers=ASKED)
    assert len(answer.json()["value"]) == min(most, 501)
    assert answer.headers["Preference-Applied"] == f"odata.maxpagesize={most}"
    assert len((await read(api, PROFILES))["value"]) == 500


async def test_a_page_of_fetchxml_has_500_rows(api: Client, environment: Environment) -> None:
    load_profiles(environment, 501)
    fetch = '<fetch count="5000"><entity name="msdynci_customerprofile"><attribute name="msdynci_customerid"/></entity></fetch>'
    assert len((await api.get(PROFILES, params={"fetchXml": fetch})).json()["value"]) == 500


async def test_the_pages_of_an_ordered_query_hold_every_row_once(api: Client, environment: Environment) -> None:
    load_profiles(environment, 1201)
    url, seen = f"{PROFILES}?$select=msdynci_customerid&$orderby=msdynci_fullname desc", []
    while url:
        page = await read(api, url)
        seen += [row["msdynci_customerid"] for row in page["value"]]
        url = page.get("@odata.nextLink", "")
    assert len(seen) == len(set(seen)) == 1201


# -- orders


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("index", "The order by query does not have a corresponding composite index that it can be served from."),
        ("plain", "Only one order by column is supported."),
    ],
)
async def test_a_second_order_is_refused_with_the_text_of_the_switch(
    api: Client, environment: Environment, text: str, says: str
) -> None:
    switch(environment, elastic_orderby=text)
    answer = await api.get(f"{PROFILES}?$orderby=modifiedon desc,versionnumber desc")
    assert (error(answer), message(answer)) == ((400, "0x80048d0b"), says)
    orders = '<order attribute="modifiedon"/><order attribute="msdynci_fullname"/>'
    fetch = f'<fetch><entity name="msdynci_customerprofile"><all-attributes/>{orders}</entity></fetch>'
    assert message(await api.get(PROFILES, params={"fetchXml": fetch})) == says


async def test_an_order_by_a_lookup_is_refused(api: Client) -> None:
    assert error(await api.get(f"{PROFILES}?$orderby=_createdby_value")) == (400, "0x80048d0b")


async def test_one_order_works(api: Client) -> None:
    await add_profiles(api, "b", "a")
    rows = await read(api, f"{PROFILES}?$select=msdynci_customerid&$orderby=msdynci_customerid")
    assert [row["msdynci_customerid"] for row in rows["value"]] == ["a", "b"]


async def test_guids_order_as_their_texts(api: Client) -> None:
    keys = [f"{first}0000000-0000-4000-8000-{last}00000000000" for first, last in (("3", "1"), ("1", "3"), ("2", "2"))]
    for key in keys:
        await create(api, PROFILES, msdynci_customerprofileid=key)
    rows = await read(api, f"{PROFILES}?$orderby=msdynci_customerprofileid")
    assert [row["msdynci_customerprofileid"] for row in rows["value"]] == sorted(keys)


@pytest.mark.parametrize("works", [True, False])
async def test_ranges_of_guids_compare_texts_where_they_work(
    api: Client, environment: Environment, works: bool
) -> None:
    switch(environment, guid_ranges=works)
    low, high = "10000000-0000-4000-8000-f00000000000", "f0000000-0000-4000-8000-100000000000"
    for key in (low, high):
        await create(api, PROFILES, msdynci_customerprofileid=key, msdynci_customerid=key[0])
    answer = await api.get(f"{PROFILES}?$filter=msdynci_customerprofileid gt 80000000-0000-4000-8000-800000000000")
    if works:
        assert [row["msdynci_customerid"] for row in answer.json()["value"]] == ["f"]
    else:
        assert answer.status_code == 400


# -- comparisons


@pytest.mark.parametrize(
    ("condition", "exact"),
    [
        ("msdynci_customerid eq 'ab'", ["ab"]),
        ("msdynci_customerid ne 'ab'", ["AB", "ab ", "a\u0301b"]),
        ("Microsoft.Dynamics.CRM.In(PropertyName='msdynci_customerid',PropertyValues=['ab','zz'])", ["ab"]),
        ("contains(msdynci_customerid,'B')", ["AB"]),
        ("startswith(msdynci_customerid,'A')", ["AB"]),
        ("endswith(msdynci_customerid,'b')", ["ab", "a\u0301b"]),
        ("msdynci_customerid lt 'a'", ["AB"]),
        ("msdynci_customerid eq 'a%25'", []),
        ("contains(msdynci_customerid,'%25')", []),
    ],
)
async def test_texts_compare_exactly(api: Client, condition: str, exact: list[str]) -> None:
    await add_profiles(api, "ab", "AB", "ab ", "a\u0301b")
    assert await found(api, condition) == sorted(exact)


class TestFoldedCase:
    """The switch that lets case not count."""

    @pytest.fixture
    def config(self) -> SandboxConfig:
        return of_kind("elastic", elastic_case="fold")

    @pytest.mark.parametrize(
        ("condition", "folded"),
        [
            ("msdynci_customerid eq 'Ab'", ["AB", "ab"]),
            ("Microsoft.Dynamics.CRM.In(PropertyName='msdynci_customerid',PropertyValues=['Ab'])", ["AB", "ab"]),
            ("contains(msdynci_customerid,'B')", ["AB", "a\u0301b", "ab", "ab "]),
            ("msdynci_customerid gt 'AB'", ["a\u0301b", "ab "]),
            ("msdynci_customerid eq 'a%25'", []),
        ],
    )
    async def test_only_case_does_not_count(self, api: Client, condition: str, folded: list[str]) -> None:
        await add_profiles(api, "ab", "AB", "ab ", "a\u0301b")
        assert await found(api, condition) == sorted(folded)


async def test_fetchxml_compares_exactly_too(api: Client) -> None:
    await add_profiles(api, "a_b", "A_B", "axb")
    for operator, value, expected in (
        ("eq", "a_b", ["a_b"]),
        ("like", "a_b", ["a_b", "axb"]),
        ("like", "a[_]b", ["a_b"]),
        ("begins-with", "A", ["A_B"]),
    ):
        test = f'<condition attribute="msdynci_customerid" operator="{operator}" value="{value}"/>'
        fetch = f'<fetch><entity name="msdynci_customerprofile"><filter>{test}</filter></entity></fetch>'
        rows = (await api.get(PROFILES, params={"fetchXml": fetch})).json()["value"]
        assert sorted(row["msdynci_customerid"] for row in rows) == expected


@pytest.mark.parametrize(("mode", "status"), [("allow", 200), ("400", 400)])
async def test_whether_in_works_on_texts_is_a_switch(
    api: Client, environment: Environment, mode: str, status: int
) -> None:
    switch(environment, elastic_in=mode)
    function = "Microsoft.Dynamics.CRM.In(PropertyName='{}',PropertyValues=['{}'])"
    text = function.format("msdynci_customerid", "a")
    assert (await api.get(f"{PROFILES}?$filter={text}")).status_code == status
    assert (await api.get(f"contacts?$filter={function.format('lastname', 'a')}")).status_code == 200


@pytest.mark.parametrize("operator", ["gt", "ge", "lt", "le"])
@pytest.mark.parametrize(("mode", "status"), [("allow", 200), ("400", 400)])
async def test_whether_ranges_work_on_texts_is_a_switch(
    api: Client, environment: Environment, mode: str, status: int, operator: str
) -> None:
    switch(environment, elastic_ranges=mode)
    assert (await api.get(f"{PROFILES}?$filter=msdynci_customerid {operator} 'a'")).status_code == status
    assert (await api.get(f"{PROFILES}?$filter=modifiedon {operator} 2026-01-01T00:00:00Z")).status_code == 200
    assert (await api.get(f"contacts?$filter=lastname {operator} 'a'")).status_code == 200


async def test_columns_cannot_be_compared_with_each_other(api: Client) -> None:
    answer = await api.get(f"{PROFILES}?$filter=msdynci_customerid eq msdynci_fullname")
    assert error(answer) == (400, "0x80060888")


@pytest.mark.parametrize(("mode", "status"), [("allow", 200), ("400", 400)])
async def test_whether_an_elastic_table_is_filtered_by_its_lookup_to_an_elastic_row_is_a_switch(
    api: Client, environment: Environment, mode: str, status: int
) -> None:
    switch(environment, elastic_lookup_filter=mode)
    condition = "<condition attribute='msdynci_lookupfield_customer' operator='null'/>"
    fetch = f"<fetch><entity name='msdynci_alternatekey'><filter>{condition}</filter></entity></fetch>"
    for query in ({"$filter": "_msdynci_lookupfield_customer_value eq null"}, {"fetchXml": fetch}):
        assert (await api.get(MAPPINGS, params=query)).status_code == status
    assert (await api.get(f"{MAPPINGS}?$filter=_ownerid_value eq null")).status_code == 200


async def test_a_standard_table_is_filtered_by_its_lookup_to_an_elastic_row(
    api: Client, environment: Environment
) -> None:
    switch(environment, elastic_lookup_filter="400")
    assert (await create_lookup(api, CascadeConfiguration={"Delete": "NoCascade"})).status_code == 204
    assert (await api.get("contacts?$filter=_new_customerprofile_value ne null")).status_code == 200


async def test_a_lookup_to_an_elastic_row_can_be_filtered(api: Client) -> None:
    (profile,) = await add_profiles(api, "a")
    bind = {"msdynci_lookupfield_customer@odata.bind": f"{PROFILES}({profile})"}
    await create(api, MAPPINGS, msdynci_identifier="x", **bind)
    await create(api, MAPPINGS, msdynci_identifier="y")
    rows = await read(api, f"{MAPPINGS}?$filter=_msdynci_lookupfield_customer_value eq {profile}")
    assert [row["msdynci_identifier"] for row in rows["value"]] == ["x"]
    assert rows["value"][0]["msdynci_lookupfield_customerpid"] == profile


# -- counts


@pytest.mark.parametrize(("mode", "count"), [("capped", 5000), ("exact", 5001), ("400", None)])
async def test_what_count_gives_is_a_switch(
    api: Client, environment: Environment, mode: str, count: int | None
) -> None:
    switch(environment, elastic_count=mode)
    load_profiles(environment, 5001)
    below, inline = await api.get(f"{PROFILES}/$count"), await api.get(f"{PROFILES}?$count=true&$top=1")
    if count is None:
        assert [error(answer) for answer in (below, inline)] == [(400, "0x80048d0b")] * 2
    else:
        assert (int(below.text), inline.json()["@odata.count"]) == (count, count)


async def test_an_aggregate_counts_all_rows(api: Client, environment: Environment) -> None:
    load_profiles(environment, 601)
    rows = await read(api, f"{PROFILES}?$apply=filter(msdynci_customerid ne 'c1')/aggregate($count as n)")
    assert rows["value"] == [{"n": 600}]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("virtual", "Entity msdynci_customerprofile is a virtual entity, which is not supported."),
        ("method", "does not support entities of type 'msdynci_customerprofile'"),
    ],
)
async def test_the_number_of_all_rows_is_refused_with_the_text_of_the_switch(
    api: Client, environment: Environment, text: str, says: str
) -> None:
    switch(environment, record_count_refusal=text)
    answer = await api.get("RetrieveTotalRecordCount(EntityNames=['contact','msdynci_customerprofile'])")
    assert answer.status_code == 400
    assert says in message(answer)


@pytest.mark.parametrize("mode", ["cut", "next"])
async def test_what_follows_500_groups_is_a_switch(api: Client, environment: Environment, mode: str) -> None:
    switch(environment, elastic_groups=mode)
    load_profiles(environment, 1201)
    page = await read(api, f"{PROFILES}?$apply=groupby((msdynci_fullname),aggregate($count as n))")
    assert len(page["value"]) == 500
    assert set(page["value"][0]) == {"msdynci_fullname", "n"}
    assert ("@odata.nextLink" in page) is (mode == "next")
    if mode == "next":
        rest = await read(api, page["@odata.nextLink"])
        assert sum(group["n"] for group in page["value"] + rest["value"]) == 1201
        assert "@odata.nextLink" not in rest


async def test_groups_of_a_standard_table(api: Client) -> None:
    for name in ("Ash", "ash", "Elm"):
        await create(api, "contacts", lastname=name)
    groups = await read(api, "contacts?$apply=groupby((lastname),aggregate($count as n))")
    assert [group["n"] for group in groups["value"]] == [2, 1]
    distinct = await read(api, "contacts?$apply=filter(lastname eq 'elm')/groupby((lastname))")
    assert distinct["value"] == [{"lastname": "Elm"}]
