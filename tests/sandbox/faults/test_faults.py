"""Scripted faults, over the admin API."""

import asyncio

import httpx
import pytest

from sandbox.identity.accounts import ADMIN
from sandbox.server.app import API_PATH, INSIGHTS_PATH, Sandbox
from tests.sandbox.conftest import in_process
from tests.sandbox.faults.arming import UPDATE, arm, cities, contacts, fired, update


@pytest.fixture
def api(sandbox: Sandbox) -> httpx.AsyncClient:
    return in_process(sandbox, API_PATH, ADMIN)


@pytest.mark.parametrize(
    ("fault", "status", "code", "retry_after"),
    [
        pytest.param({"kind": "requests_limit", "retry_after_s": 7}, 429, "0x80072322", "7", id="requests"),
        pytest.param({"kind": "execution_limit"}, 429, "0x80072321", "1", id="execution time"),
        pytest.param({"kind": "concurrency_limit"}, 429, "0x80072326", "1", id="concurrency"),
        pytest.param({"kind": "customization_lock"}, 429, "0x80071151", None, id="customisation lock"),
        pytest.param({"kind": "server_error"}, 500, "0x80040216", None, id="server error"),
        pytest.param({"kind": "server_error", "status": 502}, 502, "0x80040216", None, id="other status"),
        pytest.param({"kind": "name_reserved"}, 500, "0x80060890", None, id="name of a deleted component"),
        pytest.param({"kind": "name_not_unique"}, 400, "0x80044363", None, id="schema name in use"),
        pytest.param({"kind": "navigation_name_taken"}, 400, "0x80072551", None, id="navigation name in use"),
        pytest.param({"kind": "deadlock"}, 400, "0x80044150", None, id="deadlock"),
        pytest.param({"kind": "sql_timeout", "rows_above": 2}, 400, "0x80044151", None, id="SQL timeout"),
    ],
)
async def test_answers(
    sandbox: Sandbox,
    api: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    fault: dict[str, object],
    status: int,
    code: str,
    retry_after: str | None,
) -> None:
    await arm(admin, **fault)
    answer = await api.post(UPDATE, json=update(contacts(sandbox, 3)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.headers.get("Retry-After") == retry_after
    assert cities(sandbox) == 0
    assert (await api.post(UPDATE, json=update(contacts(sandbox, 3)))).status_code == 204  # armed for one request
    assert [entry["kind"] for entry in await fired(admin)] == [fault["kind"]]


@pytest.mark.parametrize(
    ("fault", "switches", "text"),
    [
        pytest.param("deadlock", {}, "Sql ErrorCode: -2146232060 Sql Number: 1205", id="deadlock"),
        pytest.param(
            "requests_limit",
            {"limit_requests": 8000},
            "Number of requests exceeded the limit of 8000 over time window of 300 seconds.",
            id="requests",
        ),
        pytest.param(
            "concurrency_limit",
            {"limit_concurrency": 100},
            "Number of concurrent requests exceeded the limit of 100.",
            id="concurrency",
        ),
    ],
)
async def test_refusals_have_the_texts_of_recordings(
    sandbox: Sandbox,
    api: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    fault: str,
    switches: dict[str, object],
    text: str,
) -> None:
    await admin.post("/config", json=switches)
    await arm(admin, kind=fault)
    answer = await api.post(UPDATE, json=update(contacts(sandbox, 1)))
    assert text in answer.json()["error"]["message"]


async def test_503_comes_as_html(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await arm(admin, kind="unavailable", retry_after_s=30)
    answer = await api.get("/WhoAmI")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.text.startswith("<!DOCTYPE html>")


async def test_a_token_can_expire_in_the_middle_of_a_run(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await arm(admin, kind="unauthorized", skip=2)
    assert [(await api.get("/WhoAmI")).status_code for _ in range(4)] == [200, 200, 401, 200]


async def test_batches_up_to_the_threshold_pass_a_sql_timeout(
    sandbox: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await arm(admin, kind="sql_timeout", rows_above=2, times=None)
    sizes = {size: (await api.post(UPDATE, json=update(contacts(sandbox, size)))).status_code for size in (1, 2, 3, 4)}
    assert sizes == {1: 204, 2: 204, 3: 400, 4: 400}


@pytest.mark.parametrize(("named", "status", "written"), [(True, 400, 0), (False, 204, 10)])
async def test_a_plug_in_refuses_the_requests_that_contain_a_text(
    sandbox: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient, named: bool, status: int, written: int
) -> None:
    rows = contacts(sandbox, 11)
    await arm(admin, kind="plugin_refusal", operation="UpdateMultiple", body=rows[0 if named else 10], times=None)
    answer = await api.post(UPDATE, json=update(rows[:10]))
    assert (answer.status_code, cities(sandbox)) == (status, written)
    assert "0x80040265" in answer.text or not named


async def test_a_dropped_write_answers_success_and_writes_nothing(
    sandbox: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await arm(admin, kind="dropped_write", operation="UpdateMultiple")
    answer = await api.post(UPDATE, json=update(contacts(sandbox, 10)))
    assert (answer.status_code, cities(sandbox)) == (204, 0)


async def test_a_dropped_write_can_lose_a_share_of_the_rows(
    sandbox: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await arm(admin, kind="dropped_write", row_share=0.3)
    answer = await api.post(UPDATE, json=update(contacts(sandbox, 10)))
    assert (answer.status_code, cities(sandbox)) == (204, 7)


async def test_losing_a_share_of_the_rows_leaves_other_requests_alone(
    sandbox: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await arm(admin, kind="dropped_write", row_share=0.5)
    key = contacts(sandbox, 1)[0]
    await api.patch(f"/contacts({key})", json={"address1_city": "Tartu"}, headers={"If-Match": "*"})
    assert (cities(sandbox), await fired(admin)) == (1, [])


async def test_requests_in_flight_that_share_a_row_can_deadlock(
    sandbox: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await admin.post("/config", json={"ms_per_request": 100})
    await arm(admin, kind="deadlock", overlapping=True, times=None)
    rows = contacts(sandbox, 6)

    async def at_once(*groups: list[str]) -> list[int]:
        answers = await asyncio.gather(*(api.post(UPDATE, json=update(group)) for group in groups))
        return sorted(answer.status_code for answer in answers)

    assert await at_once(rows[:3], rows[2:4]) == [204, 400]
    assert await at_once(rows[:3], rows[3:]) == [204, 204]
    assert [await at_once(rows), await at_once(rows)] == [[204], [204]]
    assert [entry["kind"] for entry in await fired(admin)] == ["deadlock"]


async def test_a_share_of_rows_means_nothing_to_a_failing_operation(
    sandbox: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await arm(admin, kind="deadlock", row_share=0.5)
    answer = await api.post(UPDATE, json=update(contacts(sandbox, 2)))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "0x80044150")


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("PATCH", "/contacts({})", "Update"),
        ("DELETE", "/contacts({})", "Delete"),
        ("DELETE", "/contacts({})/jobtitle", "Update"),
        ("DELETE", "/contacts({})/ownerid/$ref", "Update"),
        ("GET", "/contacts({})/jobtitle", "Read"),
        ("POST", "/contacts/Microsoft.Dynamics.CRM.UpdateMultiple", "UpdateMultiple"),
        ("GET", "/WhoAmI", "WhoAmI"),
    ],
)
async def test_requests_are_known_by_what_they_do(
    sandbox: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient, method: str, path: str, operation: str
) -> None:
    await arm(admin, kind="server_error")
    await api.request(method, path.format(contacts(sandbox, 1)[0]))
    assert [entry["operation"] for entry in await fired(admin)] == [operation]


async def test_a_body_that_is_wrongly_packed_is_not_a_fault(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await arm(admin, kind="server_error", body="lastname")
    answer = await api.post("/contacts", content=b"lastname", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 400
    assert await fired(admin) == []


async def test_rows_can_vanish_before_they_are_written(
    sandbox: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await arm(admin, kind="rows_deleted", table="contact", row_share=0.2)
    answer = await api.post(UPDATE, json=update(contacts(sandbox, 10)))
    assert answer.status_code == 404
    assert "Do Not Exist" in answer.json()["error"]["message"]
    assert len(contacts(sandbox, 60)) == 58


async def test_the_mapping_can_change_between_two_pages(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await arm(admin, kind="mapping_changed", path=r"alternatekeys.*skiptoken", unification={"move": 0.5})
    prefer = {"Prefer": "odata.maxpagesize=60"}
    first = (await api.get("/msdynci_alternatekeys?$select=msdynci_customerid", headers=prefer)).json()
    assert await fired(admin) == []
    await api.get(first["@odata.nextLink"], headers=prefer)
    assert len((await admin.get("/unifications")).json()) == 2


async def test_faults_strike_the_customer_insights_api_too(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await arm(admin, kind="unavailable", path="/insights/")
    async with in_process(sandbox) as client:
        assert (await client.get(API_PATH + "/WhoAmI")).status_code == 200
        assert (await client.get(f"{INSIGHTS_PATH}/instances/{sandbox.instance_id}")).status_code == 503


async def test_a_fault_can_be_disarmed(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    first = await arm(admin, kind="server_error", times=None)
    await arm(admin, kind="unauthorized", times=None, method="DELETE")
    assert (await api.get("/WhoAmI")).status_code == 500
    assert (await admin.delete(f"/faults/{first}")).json() == {"disarmed": 1}
    assert (await api.get("/WhoAmI")).status_code == 200
    assert (await admin.delete("/faults")).json() == {"disarmed": 1}
    assert (await admin.get("/faults")).json() == {"armed": [], "fired": []}


async def test_what_fired_is_listed_with_its_request(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    number = await arm(admin, kind="server_error", table="lead", skip=1)
    for _ in range(2):
        await api.get("/leads?$top=1")
    (entry,) = await fired(admin)
    assert {name: entry[name] for name in ("id", "method", "path", "table", "operation", "match")} == {
        "id": number,
        "method": "GET",
        "path": f"{API_PATH}/leads?$top=1",
        "table": "lead",
        "operation": "Read",
        "match": 2,
    }


@pytest.mark.parametrize("scripted", [True, False], ids=["scripted", "SQLite's own"])
async def test_a_full_disk_answers_a_bare_500_and_stores_nothing(
    sandbox: Sandbox, admin: httpx.AsyncClient, scripted: bool
) -> None:
    api = in_process(sandbox, API_PATH, ADMIN, raises=False)
    if scripted:
        await arm(admin, kind="disk_full", operation="CreateMultiple")
    else:
        database = sandbox.environment.database
        ((pages,),) = database.execute("PRAGMA page_count")
        database.execute(f"PRAGMA max_page_count = {pages}")
    before = len(contacts(sandbox, 10_000))
    new = [{"@odata.type": "Microsoft.Dynamics.CRM.contact", "description": "x" * 2_000}] * 500
    answer = await api.post("/contacts/Microsoft.Dynamics.CRM.CreateMultiple", json={"Targets": new})
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert len(contacts(sandbox, 10_000)) == before


@pytest.mark.parametrize(
    ("kind", "code", "answers"),
    [
        ("deadlock", "0x80044150", (2, 1)),
        ("sql_timeout", "0x80044151", (2, 1)),
        ("plugin_refusal", "0x80040265", (2, 1)),
        ("dropped_write", "0x8", (3, 0)),
    ],
)
async def test_a_fault_hits_an_operation_inside_a_batch(
    sandbox: Sandbox, api: httpx.AsyncClient, admin: httpx.AsyncClient, kind: str, code: str, answers: tuple[int, int]
) -> None:
    await arm(admin, kind=kind, table="contact", operation="Update", skip=1)
    part = (
        "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        "PATCH {}/contacts({}) HTTP/1.1\r\nContent-Type: application/json\r\nIf-Match: *\r\n\r\n"
        '{{"address1_city":"Tartu"}}\r\n'
    )
    body = "".join(part.format(API_PATH, key) for key in contacts(sandbox, 3)) + "--b--\r\n\r\n"
    headers = {"Content-Type": "multipart/mixed; boundary=b", "Prefer": "odata.continue-on-error"}
    answer = await api.post("/$batch", content=body, headers=headers)
    assert (answer.text.count("HTTP/1.1 204"), answer.text.count(code)) == answers
    assert cities(sandbox) == 2
