"""Single rows: docs/reference/dataverse.md 4, 2.2, 7 and 13.5."""

import pytest

from tests.sandbox.webapi.conftest import Client, Clock
from tests.sandbox.webapi.steps import NONE, add_step, create, error, message, read


async def test_a_created_row_is_named_by_its_url(api: Client) -> None:
    answer = await api.post("contacts", json={"lastname": "Ash"})
    assert answer.status_code == 204
    assert answer.headers["OData-EntityId"].startswith("http://dataverse/api/data/v9.2/contacts(")
    assert answer.headers["OData-Version"] == "4.0"


async def test_create_with_representation_answers_201_and_the_row(api: Client) -> None:
    answer = await api.post(
        "contacts?$select=lastname", json={"lastname": "Ash"}, headers={"Prefer": "return=representation"}
    )
    assert answer.status_code == 201
    assert answer.headers["Preference-Applied"] == "return=representation"
    assert answer.json()["lastname"] == "Ash"
    assert "firstname" not in answer.json()


async def test_json_has_the_content_type_of_dataverse(api: Client) -> None:
    answer = await api.get("contacts")
    assert answer.headers["Content-Type"] == "application/json; odata.metadata=minimal"


async def test_a_row_shows_nulls_its_key_and_its_etag(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    row = await read(api, f"contacts({row_id})?$select=lastname,jobtitle")
    assert row["contactid"] == row_id
    assert row["jobtitle"] is None
    assert row["@odata.etag"].startswith('W/"')


async def test_the_full_name_is_made_of_first_and_last_name(api: Client) -> None:
    row_id = await create(api, "contacts", firstname="Ann", lastname="Ash")
    await api.patch(f"contacts({row_id})", json={"lastname": "Elm"})
    assert (await read(api, f"contacts({row_id})"))["fullname"] == "Ann Elm"


async def test_etags_rise_with_each_write_of_any_row(api: Client) -> None:
    first = await create(api, "contacts", lastname="Ash")
    second = await create(api, "contacts", lastname="Elm")
    await api.patch(f"contacts({first})", json={"lastname": "Ash"})
    versions = [(await read(api, f"contacts({row})"))["versionnumber"] for row in (first, second)]
    assert versions[0] > versions[1]


async def test_a_patch_changes_modifiedon_even_with_the_same_value(api: Client, clock: Clock) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    clock.pass_seconds(60)
    await api.patch(f"contacts({row_id})", json={"lastname": "Ash"})
    row = await read(api, f"contacts({row_id})")
    assert (row["createdon"], row["modifiedon"]) == ("2026-03-01T12:00:00Z", "2026-03-01T12:01:00Z")


async def test_patch_with_if_match_on_a_missing_row_is_404(api: Client) -> None:
    answer = await api.patch(f"contacts({NONE})", json={"lastname": "x"}, headers={"If-Match": "*"})
    assert error(answer) == (404, "0x80040217")
    assert message(answer) == f"Entity 'contact' With Id = {NONE} Does Not Exist"


async def test_patch_without_if_match_creates_a_missing_row(api: Client) -> None:
    answer = await api.patch(f"contacts({NONE})", json={"lastname": "Ash"})
    assert answer.status_code == 204
    assert (await read(api, f"contacts({NONE})"))["lastname"] == "Ash"


async def test_if_none_match_refuses_a_row_that_exists(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    answer = await api.patch(f"contacts({row_id})", json={}, headers={"If-None-Match": "*"})
    assert answer.status_code == 412
    assert message(answer) == "A record with matching key values already exists."


async def test_the_advised_header_if_none_match_null_changes_nothing(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    answer = await api.patch(f"contacts({row_id})", json={"lastname": "Elm"}, headers={"If-None-Match": "null"})
    assert answer.status_code == 204


async def test_a_stale_etag_is_412_and_writes_nothing(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    etag = (await read(api, f"contacts({row_id})"))["@odata.etag"]
    await api.patch(f"contacts({row_id})", json={"lastname": "Elm"}, headers={"If-Match": etag})
    answer = await api.patch(f"contacts({row_id})", json={"lastname": "Oak"}, headers={"If-Match": etag})
    assert error(answer) == (412, "0x80060882")
    assert (await read(api, f"contacts({row_id})"))["lastname"] == "Elm"


async def test_a_get_with_the_current_etag_is_304(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    etag = (await read(api, f"contacts({row_id})"))["@odata.etag"]
    assert (await api.get(f"contacts({row_id})", headers={"If-None-Match": etag})).status_code == 304


async def test_patch_with_representation_answers_200(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    answer = await api.patch(
        f"contacts({row_id})", json={"lastname": "Elm"}, headers={"Prefer": "return=representation"}
    )
    assert (answer.status_code, answer.json()["lastname"]) == (200, "Elm")


async def test_annotations_go_with_a_representation(api: Client) -> None:
    wanted = {"Prefer": 'return=representation,odata.include-annotations="*"'}
    answer = await api.post("contacts", json={"donotemail": True}, headers=wanted)
    assert answer.headers["Preference-Applied"] == wanted["Prefer"]
    assert answer.json()["donotemail@OData.Community.Display.V1.FormattedValue"] == "Yes"


async def test_one_column_can_be_put_and_cleared(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    assert (await api.put(f"contacts({row_id})/jobtitle", json={"value": "Nurse"})).status_code == 204
    assert (await read(api, f"contacts({row_id})/jobtitle"))["value"] == "Nurse"
    assert (await api.delete(f"contacts({row_id})/jobtitle")).status_code == 204
    assert (await api.get(f"contacts({row_id})/jobtitle")).status_code == 204


async def test_one_column_is_not_put_without_its_value(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    assert error(await api.put(f"contacts({row_id})/lastname", json={})) == (400, "0x80048d19")
    assert (await read(api, f"contacts({row_id})"))["lastname"] == "Ash"


async def test_a_deleted_row_is_gone_and_deleting_it_again_is_404(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    assert (await api.delete(f"contacts({row_id})")).status_code == 204
    assert error(await api.delete(f"contacts({row_id})")) == (404, "0x80040217")


async def test_a_key_that_exists_cannot_be_created_again(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    answer = await api.post("contacts", json={"contactid": row_id})
    assert error(answer) == (412, "0x80040237")
    assert message(answer) == "Cannot insert duplicate key."


async def test_a_text_that_is_too_long_is_refused_with_its_limit(api: Client) -> None:
    answer = await api.post("contacts", json={"lastname": "x" * 51})
    assert error(answer) == (400, "0x80044331")
    assert message(answer) == (
        "A validation error occurred.  The length of the 'lastname' attribute of the 'contact' entity exceeded the "
        "maximum allowed length of '50'."
    )


async def test_the_length_of_a_text_counts_utf16_units(api: Client) -> None:
    assert error(await api.post("contacts", json={"lastname": "\U0001f600" * 26})) == (400, "0x80044331")
    assert (await api.post("contacts", json={"lastname": "\U0001f600" * 25})).status_code == 204


async def test_an_unknown_column_is_an_invalid_property(api: Client) -> None:
    answer = await api.post("contacts", json={"Name": "x"})
    assert error(answer) == (400, "0x0")
    assert "Invalid property 'Name' was found in entity 'Microsoft.Dynamics.CRM.contact'" in message(answer)


async def test_the_value_of_a_lookup_cannot_be_written(api: Client) -> None:
    answer = await api.post("contacts", json={"_ownerid_value": NONE})
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"gendercode": "one"}, id="text for a number"),
        pytest.param({"gendercode": 3_000_000_000}, id="number of more than 32 bits"),
        pytest.param({"gendercode": 2_147_483_648.0}, id="fraction of more than 32 bits"),
        pytest.param({"gendercode": 1e300}, id="fraction that is no whole number of any size"),
        pytest.param({"gendercode": True}, id="flag for a number"),
        pytest.param({"donotemail": 1}, id="number for a flag"),
        pytest.param({"lastname": 1}, id="number for a text"),
        pytest.param({"birthdate": "soon"}, id="text for a date"),
        pytest.param({"birthdate": 20200101}, id="number for a date"),
        pytest.param({"birthdate": "2020-02-01garbage"}, id="date with more behind it"),
        pytest.param({"creditlimit": "5"}, id="text for money"),
        pytest.param({"contactid": "x"}, id="key that is no guid"),
        pytest.param({"parentcustomerid_account@odata.bind": 5}, id="number for a reference"),
        pytest.param({"parentcustomerid_account@odata.bind": "accounts"}, id="reference without a key"),
        pytest.param({"@odata.type": "Microsoft.Dynamics.CRM.account"}, id="type of another table"),
    ],
)
async def test_a_value_of_the_wrong_type_is_a_payload_error(api: Client, values: dict[str, object]) -> None:
    assert error(await api.post("contacts", json=values)) == (400, "0x80048d19")


@pytest.mark.parametrize(
    "values",
    [{"parentcustomerid_account": {"name": "x"}}, {"contact_customer_contacts": [{"lastname": "x"}]}],
    ids=["parent", "children"],
)
async def test_rows_within_rows_are_said_to_be_missing(api: Client, values: dict[str, object]) -> None:
    answer = await api.post("contacts", json=values)
    assert error(answer) == (501, "0x80040219")
    assert "deep insert" in message(answer)


async def test_associating_a_collection_while_writing_is_said_to_be_missing(api: Client) -> None:
    answer = await api.post("contacts", json={"contact_customer_contacts@odata.bind": [f"contacts({NONE})"]})
    assert error(answer) == (501, "0x80040219")


@pytest.mark.parametrize(
    ("method", "url"),
    [("PUT", "contacts"), ("PUT", f"contacts({NONE})"), ("POST", f"contacts({NONE})"), ("DELETE", "contacts")],
)
async def test_a_verb_that_a_resource_does_not_have_is_405(api: Client, method: str, url: str) -> None:
    assert (await api.request(method, url, json={})).status_code == 405


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b'"x"', b'{"creditlimit":1e400}', b'{"lastname":"\\ud800"}'])
async def test_a_body_that_is_not_json_is_a_payload_error(api: Client, body: bytes) -> None:
    assert error(await api.post("contacts", content=body)) == (400, "0x80048d19")


async def test_a_body_that_was_not_compressed_as_it_says_is_a_payload_error(api: Client) -> None:
    answer = await api.post("contacts", content=b"{}", headers={"Content-Encoding": "gzip"})
    assert error(answer) == (400, "0x80048d19")


async def test_a_byte_order_mark_before_the_json_does_not_count(api: Client) -> None:
    assert (await api.post("contacts", content=b'\xef\xbb\xbf{"lastname":"Ash"}')).status_code == 204


async def test_an_unknown_entity_set_is_404(api: Client) -> None:
    answer = await api.get("Account")
    assert error(answer) == (404, "0x8006088a")
    assert message(answer) == "Resource not found for the segment 'Account'."


async def test_an_unknown_action_is_404(api: Client) -> None:
    answer = await api.post("contacts/Microsoft.Dynamics.CRM.Nonsense", json={})
    assert error(answer) == (404, "")
    assert message(answer).startswith("No HTTP resource was found that matches the request URI")


async def test_details_come_with_an_error_when_annotations_are_asked_for(api: Client) -> None:
    answer = await api.get(f"contacts({NONE})", headers={"Prefer": 'odata.include-annotations="*"'})
    details = answer.json()["error"]
    assert details["@Microsoft.PowerApps.CDS.InnerError.Message"] == details["message"]
    named = {name.rpartition(".")[2]: value for name, value in details.items() if "ErrorDetails." in name}
    assert named == named | {
        "ApiExceptionSourceKey": "Plugin/Microsoft.Crm.ObjectModel.CustomBusinessEntityService",
        "ApiDepthKey": "1",
        "ApiPluginSolutionNameKey": "System",
        "ApiStepSolutionNameKey": "System",
        "ApiExceptionCategory": "ClientError",
        "ApiExceptionMessageName": "ObjectDoesNotExist",
        "ApiExceptionHttpStatusCode": "404",
    }
    assert {name for name in named if not name.startswith("Api")} == set()


async def test_an_error_of_a_plug_in_has_a_status_of_operation(api: Client) -> None:
    await add_step(api, "Create", configuration='{"throws": "No."}')
    answer = await api.post("contacts", json={}, headers={"Prefer": 'odata.include-annotations="*"'})
    details = answer.json()["error"]
    assert details["@Microsoft.PowerApps.CDS.ErrorDetails.OperationStatus"] == "0"
