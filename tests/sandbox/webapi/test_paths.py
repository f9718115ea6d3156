"""URLs below a row: columns, parents, collections: docs/reference/dataverse.md 4, 13 and Microsoft's pages on reading rows."""

import pytest

from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import NONE, create, error, read


@pytest.fixture
async def linked(api: Client) -> tuple[str, str]:
    """The URLs of an account and of its only contact."""
    account = await create(api, "accounts", name="Contoso", revenue=2.5)
    bind = {"parentcustomerid_account@odata.bind": f"accounts({account})"}
    contact = await create(api, "contacts", lastname="Ash", donotemail=True, **bind)
    return f"accounts({account})", f"contacts({contact})"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("lastname/$value", "Ash"),
        ("donotemail/$value", "true"),
        ("parentcustomerid_account/name/$value", "Contoso"),
        ("parentcustomerid_account/revenue/$value", "2.5"),
    ],
)
async def test_a_plain_value_is_text(api: Client, linked: tuple[str, str], path: str, text: str) -> None:
    answer = await api.get(f"{linked[1]}/{path}")
    assert (answer.status_code, answer.headers["Content-Type"], answer.text) == (200, "text/plain", text)


@pytest.mark.parametrize(
    "path", ["telephone1", "telephone1/$value", "parentcustomerid_contact", "parentcustomerid_contact/$ref"]
)
async def test_nothing_is_204(api: Client, linked: tuple[str, str], path: str) -> None:
    assert (await api.get(f"{linked[1]}/{path}")).status_code == 204


async def test_a_path_continues_over_parents(api: Client, linked: tuple[str, str]) -> None:
    document = await read(api, f"{linked[1]}/parentcustomerid_account/createdby?$select=fullname")
    assert document["fullname"] == "# Sandbox Administrator"


async def test_the_references_of_a_collection_are_listed(api: Client, linked: tuple[str, str]) -> None:
    document = await read(api, f"{linked[0]}/contact_customer_accounts/$ref")
    assert document["value"] == [{"@odata.id": f"http://dataverse/api/data/v9.2/{linked[1]}"}]


async def test_one_row_of_a_collection_is_named_by_its_key(api: Client, linked: tuple[str, str]) -> None:
    member = linked[1].removeprefix("contacts")
    document = await read(api, f"{linked[0]}/contact_customer_accounts{member}?$select=lastname")
    assert document["lastname"] == "Ash"
    assert await read(api, f"{linked[0]}/contact_customer_accounts{member}/lastname")


async def test_a_row_that_is_not_in_a_collection_is_404(api: Client, linked: tuple[str, str]) -> None:
    other = await create(api, "contacts", lastname="Elm")
    answer = await api.get(f"{linked[0]}/contact_customer_accounts({other})")
    assert error(answer) == (404, "0x80040217")


async def test_the_collection_of_a_missing_row_is_404(api: Client) -> None:
    assert error(await api.get(f"accounts({NONE})/contact_customer_accounts")) == (404, "0x80040217")


@pytest.mark.parametrize(
    "path",
    ["lastname/nothing", "lastname/$value/more", "parentcustomerid_account/nothing", "contact_customer_contacts/x"],
)
async def test_what_stands_behind_a_property_is_not_read_over(api: Client, linked: tuple[str, str], path: str) -> None:
    assert error(await api.get(f"{linked[1]}/{path}")) == (404, "0x8006088a")


@pytest.mark.parametrize("more", ["?$expand=createdby($select=fullname)", ""])
async def test_304_is_not_answered_for_what_the_etag_does_not_cover(
    api: Client, linked: tuple[str, str], more: str
) -> None:
    etag = (await read(api, linked[1]))["@odata.etag"]
    annotated = {} if more else {"Prefer": 'odata.include-annotations="*"'}
    assert (await api.get(f"{linked[1]}{more}", headers={"If-None-Match": etag, **annotated})).status_code == 200


async def test_expand_is_honoured_by_a_create_that_returns_its_row(api: Client) -> None:
    url = "contacts?$select=lastname&$expand=createdby($select=fullname)"
    answer = await api.post(url, json={"lastname": "Ash"}, headers={"Prefer": "return=representation"})
    assert answer.json()["createdby"]["fullname"] == "# Sandbox Administrator"
    assert answer.json()["@odata.context"].endswith("$metadata#contacts(lastname,createdby(fullname))/$entity")
