"""CreateMultiple, UpdateMultiple, UpsertMultiple and BulkDelete: docs/reference/dataverse.md 2 and 17.3."""

import pytest

from sandbox.runtime import Environment
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import LOOKUP, NONE, create, create_lookup, error, message, read, update_multiple

CONTACT = "Microsoft.Dynamics.CRM.contact"


@pytest.fixture
async def two(api: Client) -> tuple[str, str]:
    return await create(api, "contacts", lastname="Ash"), await create(api, "contacts", lastname="Elm")


async def _last_names(api: Client, *ids: str) -> list[object]:
    return [(await read(api, f"contacts({row_id})"))["lastname"] for row_id in ids]


async def test_update_multiple_writes_all_rows_and_answers_204(api: Client, two: tuple[str, str]) -> None:
    answer = await update_multiple(
        api, {"contactid": two[0], "lastname": "Oak"}, {"contactid": two[1], "jobtitle": "Nurse"}
    )
    assert (answer.status_code, answer.content, answer.headers["OData-Version"]) == (204, b"", "4.0")
    assert await _last_names(api, *two) == ["Oak", "Elm"]
    assert (await read(api, f"contacts({two[1]})"))["jobtitle"] == "Nurse"


async def test_the_type_may_begin_with_a_hash(api: Client, two: tuple[str, str]) -> None:
    answer = await update_multiple(api, {"@odata.type": f"#{CONTACT}", "contactid": two[0], "lastname": "Oak"})
    assert answer.status_code == 204


@pytest.mark.parametrize("kind", [None, "Microsoft.Dynamics.CRM.lead"], ids=["missing", "of another table"])
async def test_each_target_needs_its_type(api: Client, two: tuple[str, str], kind: str | None) -> None:
    target = {"contactid": two[0], "lastname": "Oak"} | ({"@odata.type": kind} if kind else {})
    answer = await api.post("contacts/Microsoft.Dynamics.CRM.UpdateMultiple", json={"Targets": [target]})
    assert error(answer) == (400, "0x80048d19")


async def test_each_target_needs_its_primary_key(api: Client) -> None:
    assert error(await update_multiple(api, {"lastname": "Oak"})) == (400, "0x80048d19")


@pytest.mark.parametrize("body", [{}, {"Targets": []}, {"Targets": 5}], ids=["none", "empty", "no array"])
async def test_targets_must_be_an_array_with_rows(api: Client, body: dict[str, object]) -> None:
    answer = await api.post("contacts/Microsoft.Dynamics.CRM.UpdateMultiple", json=body)
    assert error(answer) == (400, "0x80048d19")


async def test_missing_rows_undo_all_and_are_named(api: Client, two: tuple[str, str]) -> None:
    other = NONE.replace("8000", "9000")
    answer = await update_multiple(
        api, *({"contactid": row_id, "lastname": "Oak"} for row_id in (two[0], NONE, two[1], other))
    )
    assert error(answer) == (404, "0x80040217")
    assert message(answer) == f"Contact With Ids = {NONE}, {other} Do Not Exist"
    assert await _last_names(api, *two) == ["Ash", "Elm"]


async def test_of_a_row_given_twice_the_first_counts_silently(api: Client, two: tuple[str, str]) -> None:
    answer = await update_multiple(
        api, {"contactid": two[0], "lastname": "first"}, {"contactid": two[0].upper(), "lastname": "second"}
    )
    assert answer.status_code == 204
    assert await _last_names(api, two[0]) == ["first"]


async def test_lookups_are_set_and_cleared_in_one_request(api: Client, two: tuple[str, str]) -> None:
    await create_lookup(api)
    profile = await create(api, "msdynci_customerprofiles", msdynci_customerid="a1")
    bind = f"{LOOKUP}@odata.bind"
    await update_multiple(api, {"contactid": two[1], bind: f"/msdynci_customerprofiles({profile})"})
    answer = await update_multiple(
        api,
        {"contactid": two[0], bind: f"/msdynci_customerprofiles({profile})"},
        {"contactid": two[1], bind: None},
    )
    assert answer.status_code == 204
    found = [(await read(api, f"contacts({row_id})"))["_new_customerprofile_value"] for row_id in two]
    assert found == [profile, None]


async def test_a_bind_to_a_missing_row_undoes_all(api: Client, two: tuple[str, str]) -> None:
    await create_lookup(api)
    answer = await update_multiple(
        api,
        {"contactid": two[0], "lastname": "Oak"},
        {"contactid": two[1], f"{LOOKUP}@odata.bind": f"/msdynci_customerprofiles({NONE})"},
    )
    assert error(answer) == (404, "0x80060891")
    assert await _last_names(api, two[0]) == ["Ash"]


async def test_the_wrong_case_of_a_navigation_property_is_a_payload_error(api: Client, two: tuple[str, str]) -> None:
    await create_lookup(api)
    answer = await update_multiple(api, {"contactid": two[0], f"{LOOKUP.lower()}@odata.bind": None})
    assert error(answer) == (400, "0x80048d19")


async def test_a_navigation_property_with_null_clears_but_its_column_name_does_not(
    api: Client, two: tuple[str, str]
) -> None:
    await create_lookup(api)
    assert (await update_multiple(api, {"contactid": two[0], LOOKUP: None})).status_code == 204
    assert error(await update_multiple(api, {"contactid": two[0], LOOKUP.lower(): None})) == (400, "0x0")


async def test_a_bulk_message_needs_its_namespace(api: Client, two: tuple[str, str]) -> None:
    targets = [{"@odata.type": CONTACT, "contactid": two[0], "lastname": "Oak"}]
    assert error(await api.post("contacts/UpdateMultiple", json={"Targets": targets})) == (404, "")


@pytest.mark.parametrize("url", ["", "contacts", f"contacts({NONE})/x", f"accounts({NONE})", 5])
async def test_upsert_multiple_takes_only_urls_of_its_own_rows(api: Client, url: object) -> None:
    targets = [{"@odata.type": CONTACT, "@odata.id": url, "lastname": "Oak"}]
    answer = await api.post("contacts/Microsoft.Dynamics.CRM.UpsertMultiple", json={"Targets": targets})
    assert answer.status_code == 400
    assert (await api.get("contacts/$count")).text == "0"


async def test_written_and_really_changed_rows_are_counted_apart(
    api: Client, environment: Environment, two: tuple[str, str]
) -> None:
    environment.counters.reset()
    await update_multiple(api, {"contactid": two[0], "lastname": "Ash"}, {"contactid": two[1], "lastname": "Oak"})
    counters = environment.counters.of("contact")
    assert (counters.rows_written, counters.rows_changed) == (2, 1)


async def test_a_refused_request_counts_no_rows(api: Client, environment: Environment, two: tuple[str, str]) -> None:
    environment.counters.reset()
    await update_multiple(api, {"contactid": two[0], "lastname": "Oak"}, {"contactid": NONE, "lastname": "Oak"})
    assert environment.counters.of("contact").rows_written == 0


async def test_create_multiple_answers_the_ids_in_order(api: Client) -> None:
    targets = [{"@odata.type": CONTACT, "lastname": name} for name in ("Ash", "Elm", "Oak")]
    answer = await api.post("contacts/Microsoft.Dynamics.CRM.CreateMultiple", json={"Targets": targets})
    assert answer.status_code == 200
    assert answer.json()["@odata.context"].endswith("$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse")
    assert await _last_names(api, *answer.json()["Ids"]) == ["Ash", "Elm", "Oak"]


async def test_create_multiple_creates_nothing_if_one_key_exists(api: Client, two: tuple[str, str]) -> None:
    targets = [{"@odata.type": CONTACT, "lastname": "Oak"}, {"@odata.type": CONTACT, "contactid": two[0]}]
    answer = await api.post("contacts/Microsoft.Dynamics.CRM.CreateMultiple", json={"Targets": targets})
    assert error(answer) == (412, "0x80040237")
    assert (await api.get("contacts/$count")).text == "2"


async def test_upsert_multiple_updates_and_creates_without_a_body(api: Client, two: tuple[str, str]) -> None:
    targets = [
        {"@odata.type": CONTACT, "contactid": two[0], "lastname": "Oak"},
        {"@odata.type": CONTACT, "@odata.id": f"contacts({NONE})", "lastname": "new"},
    ]
    answer = await api.post("contacts/Microsoft.Dynamics.CRM.UpsertMultiple", json={"Targets": targets})
    assert (answer.status_code, answer.content) == (204, b"")
    assert await _last_names(api, two[0], NONE) == ["Oak", "new"]


async def test_upsert_multiple_fails_on_a_row_given_twice(api: Client, two: tuple[str, str]) -> None:
    targets = [{"@odata.type": CONTACT, "contactid": two[0], "lastname": "Oak"}] * 2
    answer = await api.post("contacts/Microsoft.Dynamics.CRM.UpsertMultiple", json={"Targets": targets})
    assert answer.status_code == 412
    assert await _last_names(api, two[0]) == ["Ash"]


async def test_upsert_multiple_knows_rows_by_alternate_key(api: Client) -> None:
    key = {"SchemaName": "new_number", "KeyAttributes": ["accountnumber"]}
    assert (await api.post("EntityDefinitions(LogicalName='account')/Keys", json=key)).status_code == 204
    await create(api, "accounts", accountnumber="A1", name="old")
    targets = [
        {"@odata.type": "Microsoft.Dynamics.CRM.account", "@odata.id": f"accounts(accountnumber='{n}')", "name": "new"}
        for n in ("A1", "A2")
    ]
    assert (
        await api.post("accounts/Microsoft.Dynamics.CRM.UpsertMultiple", json={"Targets": targets})
    ).status_code == 204
    found = (await read(api, "accounts?$select=name,accountnumber&$orderby=accountnumber"))["value"]
    assert [(row["accountnumber"], row["name"]) for row in found] == [("A1", "new"), ("A2", "new")]


async def test_delete_multiple_is_not_implemented_on_standard_tables(api: Client) -> None:
    answer = await api.post("contacts/Microsoft.Dynamics.CRM.DeleteMultiple", json={"Targets": []})
    assert message(answer) == "DeleteMultiple has not yet been implemented."


async def test_bulk_delete_removes_the_rows_of_an_in_condition(api: Client, two: tuple[str, str]) -> None:
    condition = {"AttributeName": "contactid", "Operator": "In", "Values": [{"Value": two[0], "Type": "System.Guid"}]}
    query = {"EntityName": "contact", "Criteria": {"FilterOperator": "And", "Conditions": [condition]}}
    answer = await api.post("BulkDelete", json={"QuerySet": [query], "JobName": "x"})
    assert set(answer.json()) == {"@odata.context", "JobId"}
    assert (await api.get("contacts/$count")).text == "1"


@pytest.mark.parametrize(("message_name", "supported"), [("UpdateMultiple", 1), ("Nonsense", 0), ("UpsertMultiple", 0)])
async def test_support_of_a_message_is_asked_of_its_filters(api: Client, message_name: str, supported: int) -> None:
    condition = "sdkmessageid/name eq @message and primaryobjecttypecode eq @table"
    url = f"sdkmessagefilters?$select=sdkmessagefilterid&$filter={condition}&@message='{message_name}'&@table='contact'"
    assert len((await read(api, url, Consistency="Strong"))["value"]) == supported
