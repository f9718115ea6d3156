"""Change tracking: docs/reference/dataverse.md 12, and Microsoft's page on synchronizing data by it (2026-03-31)."""

import re
from dataclasses import replace
from typing import Any

import pytest

from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client, Clock
from tests.sandbox.webapi.kinds import PROFILES, add_profiles, of_kind
from tests.sandbox.webapi.steps import Json, create, error, message, read

TRACK = {"Prefer": "odata.track-changes"}
TYPE = "Microsoft.Dynamics.CRM"
FIRST = "contacts?$select=lastname"


async def first(api: Client) -> Json:
    answer = await api.get(FIRST, headers=TRACK)
    assert answer.status_code == 200, answer.text
    document: Json = answer.json()
    return document


async def changes(api: Client, document: Json) -> Json:
    """Follow a delta link."""
    return await read(api, document["@odata.deltaLink"])


def last_names(document: Json) -> list[str]:
    return [row["lastname"] for row in document["value"] if "lastname" in row]


def gone(document: Json) -> list[str]:
    return [row["id"] for row in document["value"] if row.get("reason") == "deleted"]


async def test_the_first_answer_has_all_rows_and_a_delta_link(api: Client, clock: Clock) -> None:
    await create(api, "contacts", lastname="Ash")
    answer = await api.get(FIRST, headers=TRACK)
    document = answer.json()
    assert list(document) == ["@odata.context", "@odata.deltaLink", "value"]
    assert document["@odata.context"] == "http://dataverse/api/data/v9.2/$metadata#contacts(lastname)"
    token = (
        r"http://dataverse/api/data/v9.2/contacts\?\$select=lastname&\$deltatoken=\d+%2103%2f01%2f2026%2012%3a00%3a00"
    )
    assert re.fullmatch(token, document["@odata.deltaLink"])
    assert answer.headers["Preference-Applied"] == "odata.track-changes"
    assert last_names(document) == ["Ash"]


async def test_a_delta_link_shows_what_was_written_since_then(api: Client) -> None:
    kept = await create(api, "contacts", lastname="Ash")
    await create(api, "contacts", lastname="Elm")
    document = await first(api)
    assert last_names(await changes(api, document)) == []
    await create(api, "contacts", lastname="Oak")
    await api.patch(f"contacts({kept})", json={"lastname": "Yew"})
    delta = await changes(api, document)
    assert last_names(delta) == ["Oak", "Yew"]  # by version
    assert delta["@odata.context"].endswith("$metadata#contacts(lastname)/$delta")
    assert last_names(await changes(api, delta)) == []


async def test_deleted_rows_come_last(api: Client) -> None:
    ash = await create(api, "contacts", lastname="Ash")
    document = await first(api)
    await api.delete(f"contacts({ash})")
    await create(api, "contacts", lastname="Elm")
    delta = await changes(api, document)
    assert delta["value"][-1] == {
        "@odata.context": "http://dataverse/api/data/v9.2/$metadata#contacts/$deletedEntity",
        "id": ash,
        "reason": "deleted",
    }
    assert last_names(delta) == ["Elm"]


async def test_a_row_made_and_deleted_in_between_is_reported_as_deleted(api: Client) -> None:
    document = await first(api)
    ash = await create(api, "contacts", lastname="Ash")
    await api.delete(f"contacts({ash})")
    assert gone(await changes(api, document)) == [ash]


async def test_a_row_that_exists_again_is_not_reported_as_deleted(api: Client) -> None:
    ash = await create(api, "contacts", lastname="Ash")
    document = await first(api)
    await api.delete(f"contacts({ash})")
    await create(api, "contacts", contactid=ash, lastname="Elm")
    delta = await changes(api, document)
    assert (last_names(delta), gone(delta)) == (["Elm"], [])


async def test_the_first_answer_shows_no_deletions(api: Client) -> None:
    await api.delete(f"contacts({await create(api, 'contacts', lastname='Ash')})")
    assert (await first(api))["value"] == []


async def test_pages_follow_by_next_links_and_the_delta_link_is_on_the_last_one(api: Client) -> None:
    ids = [await create(api, "contacts", lastname=name) for name in ("Ash", "Elm", "Oak")]
    document = await first(api)
    for row_id in ids[:2]:
        await api.delete(f"contacts({row_id})")
    for name in ("Yew", "Fir", "Bay"):
        await create(api, "contacts", lastname=name)
    seen: list[Any] = []
    url = document["@odata.deltaLink"]
    pages = 0
    while url:
        page = await read(api, url, Prefer="odata.maxpagesize=2")
        assert ("@odata.nextLink" in page) != ("@odata.deltaLink" in page)
        seen, pages, url = seen + page["value"], pages + 1, page.get("@odata.nextLink")
    assert pages == 3
    assert [row.get("lastname", row.get("id")) for row in seen] == ["Yew", "Fir", "Bay", *ids[:2]]


async def test_what_is_written_while_pages_are_read_is_in_the_next_delta(api: Client) -> None:
    for name in ("Ash", "Elm", "Oak"):
        await create(api, "contacts", lastname=name)
    page = await read(api, FIRST, Prefer="odata.track-changes,odata.maxpagesize=2")
    await create(api, "contacts", lastname="Yew")
    last = await read(api, page["@odata.nextLink"], Prefer="odata.track-changes,odata.maxpagesize=2")
    assert last_names(page) + last_names(last) == ["Ash", "Elm", "Oak"]
    assert last_names(await changes(api, last)) == ["Yew"]


async def test_changes_are_counted(api: Client) -> None:
    ash = await create(api, "contacts", lastname="Ash")
    token = (await first(api))["@odata.deltaLink"].partition("?")[2].partition("&")[2]
    await create(api, "contacts", lastname="Elm")
    await api.delete(f"contacts({ash})")
    assert (await api.get(f"contacts/$count?{token}")).text == "2"


@pytest.mark.parametrize("option", ["$filter=lastname eq 'Ash'", "$orderby=lastname", "$expand=createdby", "$top=1"])
async def test_some_query_options_are_refused(api: Client, option: str) -> None:
    answer = await api.get(f"contacts?{option}", headers=TRACK)
    assert error(answer) == (400, "0x80060888")
    name = option.partition("=")[0]
    assert message(answer) == f'The "{name}" query parameter isn\'t supported when Change Tracking is enabled.'


async def test_a_table_without_change_tracking_is_refused(api: Client, environment: Environment) -> None:
    table = environment.database.schema.tables["task"]
    environment.database.replace_table(replace(table, change_tracking=False))
    answer = await api.get("tasks", headers=TRACK)
    assert error(answer) == (400, "0x80072491")
    assert message(answer) == "Entity task isn't enabled for change tracking."


async def test_a_malformed_token_is_refused(api: Client) -> None:
    assert error(await api.get("contacts?$deltatoken=nonsense")) == (400, "0x80060888")


class TestTokenTooOld:
    """Microsoft's page says that an exception is thrown; an earlier edition said that all rows come."""

    async def test_it_is_refused(self, api: Client, clock: Clock) -> None:
        document = await first(api)
        clock.pass_seconds(7 * 86_400 + 1)
        answer = await api.get(document["@odata.deltaLink"])
        assert error(answer) == (400, "0x80044352")
        assert message(answer) == "Version stamp associated with the client has expired. Please perform a full sync."

    async def test_a_switch_answers_all_rows(self, api: Client, environment: Environment, clock: Clock) -> None:
        await create(api, "contacts", lastname="Ash")
        document = await first(api)
        clock.pass_seconds(7 * 86_400 + 1)
        environment.configure(replace(environment.config, expired_delta="all_rows"))
        assert last_names(await changes(api, document)) == ["Ash"]

    async def test_a_switch_keeps_it_longer(self, api: Client, environment: Environment, clock: Clock) -> None:
        document = await first(api)
        clock.pass_seconds(29 * 86_400)
        environment.configure(replace(environment.config, change_tracking_days=30.0))
        assert last_names(await changes(api, document)) == []


class TestElasticTables:
    """The reference lists RetrieveEntityChanges for the tables of Customer Insights; their versions are ticks."""

    @pytest.fixture
    def config(self) -> SandboxConfig:
        return of_kind("elastic")

    async def test_their_changes_are_tracked(self, api: Client) -> None:
        (kept, gone_id) = await add_profiles(api, "a", "b")
        answer = await api.get(f"{PROFILES}?$select=msdynci_customerid", headers=TRACK)
        document = answer.json()
        assert len(document["value"]) == 2
        assert (await changes(api, document))["value"] == []
        await api.patch(f"{PROFILES}({kept})", json={"msdynci_fullname": "Ash"}, headers={"If-Match": "*"})
        await add_profiles(api, "c")
        await api.delete(f"{PROFILES}({gone_id})")
        delta = await changes(api, document)
        written = [row["msdynci_customerid"] for row in delta["value"] if "msdynci_customerid" in row]
        assert (written, gone(delta)) == (["a", "c"], [gone_id])

    async def test_a_page_has_at_most_500_rows(self, api: Client) -> None:
        targets = [{"@odata.type": f"{TYPE}.msdynci_customerprofile", "msdynci_customerid": str(n)} for n in range(501)]
        await api.post(f"{PROFILES}/{TYPE}.CreateMultiple", json={"Targets": targets})
        page = (await api.get(PROFILES, headers={"Prefer": "odata.track-changes,odata.maxpagesize=5000"})).json()
        assert (len(page["value"]), "@odata.deltaLink" in page) == (500, False)
        last = await read(api, page["@odata.nextLink"])
        assert (len(last["value"]), "@odata.deltaLink" in last) == (1, True)


class TestVirtualTables:
    """Microsoft's page on virtual tables: they do not track changes."""

    @pytest.fixture
    def config(self) -> SandboxConfig:
        return of_kind("virtual")

    async def test_they_are_not_enabled_for_it(self, api: Client) -> None:
        answer = await api.get(PROFILES, headers=TRACK)
        assert error(answer) == (400, "0x80072491")
