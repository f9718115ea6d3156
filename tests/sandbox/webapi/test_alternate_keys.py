"""Rows named by an alternate key: docs/reference/dataverse.md 2.1, 2.2, 4 and 13.3."""

import pytest

from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import create, error, message, read, update_multiple

CONTACT = "EntityDefinitions(LogicalName='contact')"
TYPE = "Microsoft.Dynamics.CRM.contact"


@pytest.fixture
async def keyed(api: Client) -> Client:
    """Contacts have two keys: their e-mail address, and their number with the account."""
    for name, columns in (("new_mail", ["emailaddress1"]), ("new_number", ["governmentid", "parentcustomerid"])):
        key = {"SchemaName": name, "KeyAttributes": columns}
        assert (await api.post(f"{CONTACT}/Keys", json=key)).status_code == 204
    return api


async def test_an_upsert_by_key_creates_then_changes_the_same_row(keyed: Client) -> None:
    url = "contacts(emailaddress1='o''b/c%26d@x')"
    for name in ("Ash", "Elm"):
        assert (await keyed.patch(url, json={"lastname": name})).status_code == 204
    found = await read(keyed, "contacts?$select=lastname,emailaddress1")
    assert [(row["lastname"], row["emailaddress1"]) for row in found["value"]] == [("Elm", "o'b/c&d@x")]


async def test_case_does_not_count_in_a_key(keyed: Client) -> None:
    await create(keyed, "contacts", emailaddress1="A@x", lastname="Ash")
    assert (await read(keyed, "contacts(emailaddress1='a@X')"))["lastname"] == "Ash"


async def test_wildcards_are_letters_in_a_key(keyed: Client) -> None:
    await create(keyed, "contacts", emailaddress1="ax")
    assert error(await keyed.get("contacts(emailaddress1='a_')")) == (404, "0x80060891")


async def test_a_lookup_is_part_of_a_key_by_its_value(keyed: Client) -> None:
    account = await create(keyed, "accounts", name="Contoso")
    url = f"contacts(governmentid='7',_parentcustomerid_value={account})"
    bind = {"parentcustomerid_account@odata.bind": f"accounts({account})"}
    assert (await keyed.patch(url, json={"lastname": "Ash", **bind})).status_code == 204
    assert (await read(keyed, url))["lastname"] == "Ash"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        pytest.param("emailaddress1=x", "0x0", id="text without quotes"),
        pytest.param("emailaddress1=null", "0x0", id="null"),
        pytest.param("emailaddress1=''", "0x0", id="empty text"),
        pytest.param("governmentid='7',_parentcustomerid_value=x", "0x0", id="no guid"),
        pytest.param("emailaddress1='x',nothing='y'", "0x80060890", id="unknown column"),
        pytest.param("governmentid='7'", "0x80060890", id="half a key"),
        pytest.param("governmentid='7',parentcustomerid=x", "0x80060890", id="lookup by its column"),
    ],
)
async def test_a_key_is_refused(keyed: Client, key: str, code: str) -> None:
    assert error(await keyed.patch(f"contacts({key})", json={"lastname": "Ash"})) == (400, code)
    assert (await keyed.get("contacts/$count")).text == "0"


async def test_if_match_prevents_the_create_and_if_none_match_the_change(keyed: Client) -> None:
    url = "contacts(emailaddress1='x')"
    assert error(await keyed.patch(url, json={}, headers={"If-Match": "*"})) == (404, "0x80040217")
    assert (await keyed.patch(url, json={}, headers={"If-None-Match": "*"})).status_code == 204
    assert error(await keyed.patch(url, json={}, headers={"If-None-Match": "*"})) == (412, "0x80040237")


async def test_a_second_row_with_the_same_key_is_refused(keyed: Client) -> None:
    await create(keyed, "contacts", emailaddress1="a@x")
    asked = {"Prefer": 'odata.include-annotations="*"'}
    answer = await keyed.post("contacts", json={"emailaddress1": "A@X"}, headers=asked)
    assert error(answer) == (412, "0x80060892")
    assert message(answer) == (
        "Entity Key new_mail violated. A record with the same value for Email already exists. A duplicate record "
        "cannot be created. Select one or more unique values and try again."
    )
    details = answer.json()["error"]
    name = "@Microsoft.PowerApps.CDS.ErrorDetails"
    attributes = "<DuplicateAttributes><emailaddress1>A@X</emailaddress1></DuplicateAttributes>"
    assert (details[f"{name}.DuplicateAttributes"], details[f"{name}.DuplicateEntity"]) == (attributes, "contact")


async def test_upsert_multiple_names_rows_by_key(keyed: Client) -> None:
    await create(keyed, "contacts", emailaddress1="a@x", lastname="Ash")
    targets = [
        {"@odata.type": TYPE, "@odata.id": f"contacts(emailaddress1='{mail}')", "lastname": "Elm"}
        for mail in ("a@x", "b@x")
    ]
    answer = await keyed.post("contacts/Microsoft.Dynamics.CRM.UpsertMultiple", json={"Targets": targets})
    assert answer.status_code == 204
    found = await read(keyed, "contacts?$select=emailaddress1,lastname&$orderby=emailaddress1")
    assert [(row["emailaddress1"], row["lastname"]) for row in found["value"]] == [("a@x", "Elm"), ("b@x", "Elm")]


async def test_upsert_multiple_refuses_the_same_key_twice(keyed: Client) -> None:
    target = {"@odata.type": TYPE, "@odata.id": "contacts(emailaddress1='a@x')", "lastname": "Ash"}
    url = "contacts/Microsoft.Dynamics.CRM.UpsertMultiple"
    assert (await keyed.post(url, json={"Targets": [target, target]})).status_code == 412
    assert (await keyed.get("contacts/$count")).text == "0"


async def test_update_multiple_knows_no_alternate_keys(keyed: Client) -> None:
    await create(keyed, "contacts", emailaddress1="a@x")
    answer = await update_multiple(keyed, {"@odata.id": "contacts(emailaddress1='a@x')", "lastname": "Ash"})
    assert error(answer) == (400, "0x80048d19")


async def test_a_lookup_is_bound_by_key(keyed: Client) -> None:
    parent = await create(keyed, "contacts", emailaddress1="a@x")
    child = await create(keyed, "contacts", **{"parentcustomerid_contact@odata.bind": "/contacts(emailaddress1='a@x')"})
    assert (await read(keyed, f"contacts({child})"))["_parentcustomerid_value"] == parent
