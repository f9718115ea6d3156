"""`$batch`: docs/reference/dataverse.md 3."""

import re
from dataclasses import dataclass

import httpx
import pytest

from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import NONE, create, error, message, read

GOING_ON = {"Prefer": "odata.continue-on-error"}


@dataclass(frozen=True)
class Part:
    status: int
    text: str


def request(line: str, body: str = "", *headers: str, content_id: str = "") -> str:
    """Return one operation as a part of a multipart body."""
    named = [f"Content-ID: {content_id}"] if content_id else []
    outer = ["Content-Type: application/http", "Content-Transfer-Encoding: binary", *named, ""]
    return "\r\n".join([*outer, f"{line} HTTP/1.1", "Content-Type: application/json; type=entry", *headers, "", body])


def change_set(*parts: str) -> str:
    """Return a part that holds operations which succeed or fail together."""
    inner = "".join(f"--changeset_1\r\n{part}\r\n" for part in parts)
    return f"Content-Type: multipart/mixed; boundary=changeset_1\r\n\r\n{inner}--changeset_1--\r\n"


async def send(api: Client, *parts: str, **headers: str) -> httpx.Response:
    """Send a batch."""
    body = "".join(f"--batch_1\r\n{part}\r\n" for part in parts) + "--batch_1--\r\n\r\n"
    kind = {"Content-Type": 'multipart/mixed; boundary="batch_1"'}
    return await api.post("$batch", content=body.encode(), headers=kind | headers)


def parts(answer: httpx.Response) -> list[Part]:
    """Return the operations' answers in order, those inside change sets as well."""
    found = re.split(r"HTTP/1\.1 (?=\d{3} )", answer.text)[1:]
    return [Part(int(text[:3]), text) for text in found]


async def test_answers_come_in_the_order_of_the_parts(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    answer = await send(
        api,
        request(f"PATCH /api/data/v9.2/contacts({row_id})", '{"lastname":"Elm"}', "If-Match: *"),
        request(f"GET http://dataverse/api/data/v9.2/contacts({row_id})?$select=lastname"),
        request(f"GET contacts({row_id})?$select=lastname"),
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("multipart/mixed; boundary=batchresponse_")
    assert [part.status for part in parts(answer)] == [204, 200, 200]
    assert "OData-EntityId: http://dataverse/api/data/v9.2/contacts(" in parts(answer)[0].text
    assert "application/json; odata.metadata=minimal; odata.streaming=true" in parts(answer)[1].text
    assert '"lastname":"Elm"' in parts(answer)[1].text


async def test_processing_stops_at_the_first_failure_with_400_and_its_part(api: Client) -> None:
    answer = await send(api, request("GET contacts"), request(f"GET contacts({NONE})"), request("POST contacts", "{}"))
    assert answer.status_code == 400
    assert [part.status for part in parts(answer)] == [404]
    assert '"code":"0x80040217"' in answer.text
    assert (await api.get("contacts/$count")).text == "0"


async def test_continue_on_error_answers_every_part(api: Client) -> None:
    answer = await send(api, request(f"GET contacts({NONE})"), request("POST contacts", "{}"), **GOING_ON)
    assert (answer.status_code, [part.status for part in parts(answer)]) == (200, [404, 204])


async def test_a_failing_member_undoes_its_change_set_and_one_error_stands_for_it(api: Client) -> None:
    answer = await send(
        api,
        change_set(request("POST contacts", "{}"), request(f"PATCH contacts({NONE})", "{}", "If-Match: *")),
        request("GET contacts/$count"),
        **GOING_ON,
    )
    assert [part.status for part in parts(answer)] == [404, 200]
    assert (await api.get("contacts/$count")).text == "0"


async def test_a_content_id_stands_for_the_row_of_an_earlier_member(api: Client) -> None:
    answer = await send(
        api,
        change_set(
            request("POST contacts", '{"lastname":"Ash"}', content_id="1"),
            request("PATCH $1", '{"jobtitle":"Nurse"}', content_id="2"),
            request("POST accounts", '{"name":"A","primarycontactid@odata.bind":"$1"}', content_id="3"),
        ),
    )
    assert [part.status for part in parts(answer)] == [204, 204, 204]
    assert re.findall(r"Content-ID: (\d)", answer.text) == ["1", "2", "3"]
    account = (await read(api, "accounts?$expand=primarycontactid"))["value"][0]
    assert account["primarycontactid"]["jobtitle"] == "Nurse"


async def test_a_member_changes_the_row_that_an_earlier_one_created(api: Client) -> None:
    answer = await send(
        api,
        change_set(
            request("POST contacts", f'{{"contactid": "{NONE}"}}'),
            request(f"PATCH contacts({NONE.upper()})", '{"lastname": "Ash"}'),
        ),
    )
    assert [part.status for part in parts(answer)] == [204, 204]
    assert (await read(api, f"contacts({NONE})"))["lastname"] == "Ash"


async def test_a_content_id_of_a_later_part_does_not_exist(api: Client) -> None:
    answer = await send(
        api,
        change_set(request("PATCH $1", "{}", content_id="2"), request("POST contacts", "{}", content_id="1")),
        **GOING_ON,
    )
    assert "Content-ID Reference: '$1' does not exist in the batch context." in answer.text
    assert (await api.get("contacts/$count")).text == "0"


async def test_a_get_inside_a_change_set_is_refused(api: Client) -> None:
    answer = await send(api, change_set(request("GET contacts")), **GOING_ON)
    assert [part.status for part in parts(answer)] == [400]


async def test_lines_must_end_in_crlf(api: Client) -> None:
    body = "--batch_1\nContent-Type: application/http\n\nGET contacts HTTP/1.1\n\n\n--batch_1--\n"
    answer = await api.post(
        "$batch", content=body.encode(), headers={"Content-Type": "multipart/mixed; boundary=batch_1"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "0x80048d19"
    assert "Stream was not readable." in message(answer)


async def test_bare_line_feeds_count_if_two_of_them_end_the_body(api: Client) -> None:
    body = "--batch_1\nContent-Type: application/http\n\nGET WhoAmI HTTP/1.1\n\n\n--batch_1--\n\n"
    answer = await api.post(
        "$batch", content=body.encode(), headers={"Content-Type": "multipart/mixed; boundary=batch_1"}
    )
    assert [part.status for part in parts(answer)] == [200]


@pytest.mark.parametrize(("count", "status"), [(1000, 200), (1001, 400)])
async def test_a_batch_holds_at_most_1000_operations(api: Client, count: int, status: int) -> None:
    assert (await send(api, *[request("GET WhoAmI")] * count)).status_code == status


async def test_a_part_of_a_write_names_its_row_twice(api: Client) -> None:
    row_id = await create(api, "contacts", lastname="Ash")
    text = parts(await send(api, request(f"PATCH contacts({row_id})", "{}")))[0].text
    assert f"Location: http://dataverse/api/data/v9.2/contacts({row_id})\r\nOData-EntityId: " in text


async def test_a_part_that_failed_has_a_request_id_and_is_not_streamed(api: Client) -> None:
    text = parts(await send(api, request(f"GET contacts({NONE})")))[0].text
    assert "\r\nREQ_ID: " in text
    assert "Content-Type: application/json; odata.metadata=minimal\r\n" in text


async def test_the_url_of_a_batch_may_be_encoded(api: Client) -> None:
    body = f"--batch_1\r\n{request('GET WhoAmI')}\r\n--batch_1--\r\n"
    answer = await api.post(
        "%24batch", content=body.encode(), headers={"Content-Type": "multipart/mixed;boundary=batch_1 ; charset=utf-8"}
    )
    assert [part.status for part in parts(answer)] == [200]


async def test_a_url_that_is_none_is_refused(api: Client) -> None:
    assert error(await send(api, request("GET http://[x/contacts"))) == (400, "0x0")


async def test_a_batch_cannot_contain_a_batch(api: Client) -> None:
    assert (await send(api, request("POST $batch"), **GOING_ON)).status_code == 400


async def test_a_get_in_a_batch_may_have_a_longer_url(api: Client) -> None:
    long = request("GET contacts?$filter=lastname eq '" + "x" * 40_000 + "'")
    assert [part.status for part in parts(await send(api, long))] == [200]


async def test_headers_of_the_envelope_do_nothing_for_the_parts(api: Client) -> None:
    answer = await send(
        api,
        request("POST contacts", "{}"),
        request("POST contacts", "{}", "Prefer: return=representation"),
        Prefer="return=representation",
    )
    assert [part.status for part in parts(answer)] == [204, 201]


async def test_a_missing_boundary_is_a_payload_error(api: Client) -> None:
    answer = await api.post("$batch", content=b"", headers={"Content-Type": "multipart/mixed"})
    assert answer.json()["error"]["code"] == "0x80048d19"


async def test_microsofts_example_of_a_batch_is_answered(api: Client) -> None:
    account = await create(api, "accounts", name="Sample")
    task = f'{{"subject": "Task in batch", "regardingobjectid_account_task@odata.bind": "accounts({account})"}}'
    answer = await send(
        api,
        change_set(
            request("POST /api/data/v9.2/tasks", task, content_id="1"),
            request("POST /api/data/v9.2/tasks", task, content_id="2"),
        ),
        request(f"GET /api/data/v9.2/accounts({account})/Account_Tasks?$select=subject"),
    )
    assert [part.status for part in parts(answer)] == [204, 204, 200]
    assert parts(answer)[2].text.count('"subject":"Task in batch"') == 2


async def test_microsofts_example_of_a_failing_part_is_answered(api: Client) -> None:
    answer = await send(api, request("POST /api/data/v9.2/tasks", f'{{"subject": "{"x" * 201}"}}'))
    assert '"code":"0x80044331"' in answer.text
    assert "The length of the 'subject' attribute of the 'task' entity exceeded" in answer.text
