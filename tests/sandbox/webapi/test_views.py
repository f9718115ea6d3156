"""Views: FetchXML in the URL or stored as a savedquery, with columns of joined tables."""

from urllib.parse import quote

import pytest

from sandbox.identity.accounts import LINKER
from sandbox.runtime import Environment
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.definition import define_table
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import privilege_id
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import NONE, create, create_lookup, error, read

COLUMNS = "<attribute name='lastname'/><attribute name='jobtitle'/>"
PROFILE = """<link-entity name='msdynci_customerprofile' from='msdynci_customerprofileid' to='new_customerprofile'
 link-type='{kind}' alias='profile' visible='false'><attribute name='msdynci_loyaltytier'/>{inner}</link-entity>"""
WHERE = "<filter><condition attribute='{}' operator='{}' value='1x'/></filter>"
CALLS = """<link-entity name='msdynci_call' from='msdynci_profile' to='msdynci_customerprofileid' link-type='outer'
 alias='calls'><attribute name='msdynci_count'/><attribute name='msdynci_profile'/></link-entity>"""


def fetch(inner: str, attributes: str = "") -> str:
    return f"<fetch version='1.0' mapping='logical'{attributes}><entity name='contact'>{inner}</entity></fetch>"


def url(text: str) -> str:
    return f"contacts?fetchXml={quote(text)}"


async def rows(api: Client, text: str, **headers: str) -> list[dict[str, object]]:
    value: list[dict[str, object]] = (await read(api, url(text), **headers))["value"]
    return value


@pytest.fixture
async def linked(api: Client, environment: Environment) -> str:
    """Ada with a profile and two calls, Bob without; returns the profile."""
    await create_lookup(api)
    lookup = Column("msdynci_profile", ColumnType.LOOKUP, targets=("msdynci_customerprofile",))
    columns = [lookup, Column("msdynci_count", ColumnType.INTEGER)]
    environment.database.create_table(define_table("msdynci_call", columns, entity_set="msdynci_calls", custom=True))
    profile = await create(api, "msdynci_customerprofiles", msdynci_loyaltytier="gold")
    bind = f"/msdynci_customerprofiles({profile})"
    await create(api, "contacts", **{"lastname": "Ada", "new_CustomerProfile@odata.bind": bind})
    await create(api, "contacts", lastname="Bob", jobtitle="clerk")
    for count in (1200, 2):
        await create(api, "msdynci_calls", **{"msdynci_count": count, "msdynci_profile@odata.bind": bind})
    return profile


async def test_rows_have_the_wanted_columns_the_key_and_no_nulls(api: Client, linked: str) -> None:
    ada, bob = await rows(api, fetch(COLUMNS + "<order attribute='lastname'/>"))
    assert ada.keys() == {"@odata.etag", "lastname", "contactid"}
    assert (bob["lastname"], bob["jobtitle"]) == ("Bob", "clerk")


async def test_a_lookup_of_the_table_itself_is_a_property_as_elsewhere(api: Client, linked: str) -> None:
    ada, _ = await rows(api, fetch("<attribute name='new_customerprofile'/><order attribute='lastname'/>"))
    assert ada["_new_customerprofile_value"] == linked


async def test_an_outer_join_keeps_rows_without_a_partner_an_inner_one_does_not(api: Client, linked: str) -> None:
    names = {
        kind: [
            (row["lastname"], row.get("profile.msdynci_loyaltytier"))
            for row in await rows(
                api, fetch(COLUMNS + PROFILE.format(kind=kind, inner="") + "<order attribute='lastname'/>")
            )
        ]
        for kind in ("outer", "inner")
    }
    assert names == {"outer": [("Ada", "gold"), ("Bob", None)], "inner": [("Ada", "gold")]}


async def test_a_row_comes_once_for_each_row_that_a_one_to_many_join_finds(api: Client, linked: str) -> None:
    text = fetch(
        COLUMNS + PROFILE.format(kind="outer", inner=CALLS) + "<order attribute='lastname' descending='true'/>"
    )
    found = await rows(api, text, Prefer='odata.include-annotations="*"')
    assert [row["lastname"] for row in found] == ["Bob", "Ada", "Ada"]
    assert sorted(str(row["calls.msdynci_count"]) for row in found[1:]) == ["1200", "2"]
    assert {row["calls.msdynci_profile"] for row in found[1:]} == {linked}
    shown = {row["calls.msdynci_count@OData.Community.Display.V1.FormattedValue"] for row in found[1:]}
    assert shown == {"1,200", "2"}


async def test_a_view_is_opened_by_its_id_on_its_own_table(api: Client, linked: str) -> None:
    text = fetch(COLUMNS + PROFILE.format(kind="outer", inner="") + "<order attribute='lastname'/>")
    view = await create(
        api, "savedqueries", name="Tiers", returnedtypecode="contact", querytype=0, fetchxml=text, layoutxml="<grid/>"
    )
    opened = (await read(api, f"contacts?savedQuery={view}"))["value"]
    assert opened == await rows(api, text)
    assert error(await api.get(f"leads?savedQuery={view}")) == (400, "0x80060888")
    assert error(await api.get(f"contacts?savedQuery={NONE}")) == (404, "0x80040217")


async def test_top_limits_the_rows_and_morerecords_says_whether_more_exist(api: Client, linked: str) -> None:
    assert len(await rows(api, fetch(COLUMNS, " top='1'"))) == 1
    more = "Microsoft.Dynamics.CRM.morerecords"
    answer = await read(api, url(fetch(COLUMNS)), Prefer=f'odata.include-annotations="{more}"')
    assert answer[f"@{more}"] is False


@pytest.mark.parametrize("inner", ["", "<all-attributes/>"])
async def test_without_columns_all_are_returned(api: Client, linked: str, inner: str) -> None:
    bob = next(row for row in await rows(api, fetch(inner)) if row["lastname"] == "Bob")
    assert bob["jobtitle"] == "clerk"
    assert "createdon" in bob


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("attribute='lastname' operator='eq' value='ADA'", ["Ada"]),
        ("attribute='lastname' operator='ne' value='ada'", ["Bob"]),
        ("attribute='lastname' operator='eq' value='A%'", []),
        ("attribute='lastname' operator='like' value='A%'", ["Ada"]),
        ("attribute='lastname' operator='not-like' value='A%'", ["Bob"]),
        ("attribute='lastname' operator='begins-with' value='b'", ["Bob"]),
        ("attribute='lastname' operator='ends-with' value='a'", ["Ada"]),
        ("attribute='jobtitle' operator='null'", ["Ada"]),
        ("attribute='jobtitle' operator='not-null'", ["Bob"]),
        ("attribute='statecode' operator='ge' value='0'", ["Ada", "Bob"]),
        ("attribute='createdon' operator='lt' value='2000-01-01'", []),
        ("attribute='createdby' operator='eq-userid'", ["Ada", "Bob"]),
    ],
)
async def test_conditions_filter_rows(api: Client, linked: str, condition: str, expected: list[str]) -> None:
    text = fetch(f"{COLUMNS}<filter><condition {condition}/></filter><order attribute='lastname'/>")
    assert [row["lastname"] for row in await rows(api, text)] == expected


async def test_filters_nest_and_lists_hold_values(api: Client, linked: str) -> None:
    values = "<value>Ada</value><value>O'Brien</value>"
    listed = f"<condition attribute='lastname' operator='in'>{values}</condition>"
    inner = "<filter type='or'><condition attribute='jobtitle' operator='not-null'/>" + listed + "</filter>"
    for outer, expected in (("Bob", ["Bob"]), ("Eve", [])):
        named = f"<condition attribute='lastname' operator='eq' value='{outer}'/>"
        text = fetch(f"{COLUMNS}<filter>{named}{inner}</filter>")
        assert [row["lastname"] for row in await rows(api, text)] == expected


async def test_a_filter_within_an_outer_join_takes_partners_not_rows(api: Client, linked: str) -> None:
    silver = "<filter><condition attribute='msdynci_loyaltytier' operator='eq' value='silver'/></filter>"
    text = fetch(COLUMNS + PROFILE.format(kind="outer", inner=silver) + "<order attribute='lastname'/>")
    assert [row.get("profile.msdynci_loyaltytier") for row in await rows(api, text)] == [None, None]
    assert await rows(api, fetch(COLUMNS + PROFILE.format(kind="inner", inner=silver))) == []


async def test_pages_follow_each_other_until_there_are_no_more_records(api: Client, linked: str) -> None:
    cookie, more = (f"@Microsoft.Dynamics.CRM.{name}" for name in ("fetchxmlpagingcookie", "morerecords"))
    seen = []
    for page in (1, 2):
        text = fetch(f"{COLUMNS}<order attribute='lastname'/>", f" count='1' page='{page}' paging-cookie='x'")
        answer = await read(api, url(text), Prefer='odata.include-annotations="*"')
        seen += [row["lastname"] for row in answer["value"]]
        assert answer[more] is (page == 1)
        assert (cookie in answer) is (page == 1)
        if page == 1:
            assert answer[cookie].startswith('<cookie pagenumber="2" pagingcookie="%253ccookie')
    assert seen == ["Ada", "Bob"]


async def test_a_fetch_has_the_annotations_of_a_list(api: Client, linked: str) -> None:
    """A recorded answer of 2019 has a count of -1; one of 2022 to a list also has the version of the definitions."""
    annotated = {"Prefer": 'odata.include-annotations="*"'}
    listed = await read(api, "contacts?$select=lastname", **annotated)
    fetched = await read(api, url(fetch(COLUMNS)), **annotated)
    names = [f"@Microsoft.Dynamics.CRM.{name}" for name in ("totalrecordcount", "totalrecordcountlimitexceeded")]
    assert [fetched[name] for name in names] == [-1, False]
    version = "@Microsoft.Dynamics.CRM.globalmetadataversion"
    assert fetched[version] == listed[version]
    assert not [name for name in await read(api, url(fetch(COLUMNS))) if name.startswith("@Microsoft")]


async def test_views_have_privileges_of_their_own_name(api: Client, environment: Environment) -> None:
    definition = await read(api, "EntityDefinitions(LogicalName='savedquery')")
    named = {privilege["Name"] for privilege in definition["Privileges"]}
    assert {"prvCreateQuery", "prvReadQuery", "prvWriteQuery", "prvDeleteQuery"} <= named
    refused = await api.post("savedqueries", json={"name": "x"}, headers={"x-user": LINKER.name})
    assert "prvCreateQuery" in refused.json()["error"]["message"]


async def test_every_joined_table_has_to_be_readable(api: Client, linked: str) -> None:
    body = {"PrivilegeId": privilege_id("prvReadmsdynci_customerprofile")}
    taken = await api.post(f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.RemovePrivilegeRole", json=body)
    assert taken.status_code == 204
    text = fetch(COLUMNS + PROFILE.format(kind="outer", inner=""))
    refused = await api.get(url(text), headers={"x-user": LINKER.name})
    assert error(refused) == (403, "0x80040220")


@pytest.mark.parametrize(
    ("text", "status", "words"),
    [
        pytest.param("<fetch", 400, "Invalid XML", id="no XML"),
        pytest.param("<fetch/>", 400, "one entity", id="no entity"),
        pytest.param("<fetch><entity name='lead'/></fetch>", 400, "not about 'contact'", id="another table"),
        pytest.param("<fetch><entity name='nothing'/></fetch>", 400, "not about 'contact'", id="no table"),
        pytest.param(fetch("<attribute name='nothing'/>"), 400, "Name = 'nothing'", id="no column"),
        pytest.param(fetch("<attribute/>"), 400, "'name' of the element 'attribute'", id="no name"),
        pytest.param(fetch(CALLS), 400, "'msdynci_call' was not found", id="no joined table"),
        pytest.param(fetch(PROFILE.format(kind="outer", inner="") * 16), 400, "maximum limit", id="16 joins"),
        pytest.param(fetch(PROFILE.format(kind="outer", inner="<all-attributes/>")), 501, "all-attributes", id="all"),
        pytest.param(fetch(WHERE.format("lastname", "last-x-days")), 501, "last-x-days", id="another operator"),
        pytest.param(fetch(WHERE.format("nothing", "eq")), 400, "Name = 'nothing'", id="no column to filter by"),
        pytest.param(fetch(WHERE.format("gendercode", "eq")), 400, "'1x' is not a value", id="text for a number"),
        pytest.param(fetch(WHERE.format("lastname", "null")), 400, "has 1 values", id="value of a null test"),
        pytest.param(fetch("<filter><group/></filter>"), 501, "'group' in a filter", id="another part of a filter"),
        pytest.param(fetch(COLUMNS, " top='1' page='2'"), 400, "do not go together", id="top and page"),
        pytest.param(fetch(COLUMNS, " page='x'"), 400, "Invalid value 'x' for page", id="page that is no number"),
        pytest.param(fetch(PROFILE.format(kind="any", inner="")), 501, "link-type 'any'", id="another join"),
        pytest.param(fetch(COLUMNS, " returntotalrecordcount='true'"), 501, "returntotal", id="the total"),
        pytest.param(fetch(COLUMNS, " distinct='true'"), 501, "distinct", id="distinct"),
        pytest.param(fetch("<order attribute='ownerid'/>"), 501, "ordered by a lookup", id="order by a lookup"),
    ],
)
async def test_what_cannot_be_answered_is_refused(api: Client, text: str, status: int, words: str) -> None:
    answer = await api.get(url(text))
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


async def test_other_query_options_do_not_go_with_fetchxml(api: Client) -> None:
    assert error(await api.get(f"{url(fetch(COLUMNS))}&$top=1")) == (400, "0x80060888")
