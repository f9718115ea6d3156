"""The admin API: counters, switches, instance metadata."""

from typing import Any

import httpx
import pytest

from sandbox.database import scan
from sandbox.identity.accounts import ADMIN
from sandbox.server.app import API_PATH, INSIGHTS_PATH, Sandbox
from sandbox.server.control_api import merge_patch
from tests.sandbox.conftest import URL, in_process


async def counters(admin: httpx.AsyncClient) -> dict[str, Any]:
    return dict((await admin.get("/counters")).json())


async def test_health(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/health")).json() == {"status": "ok"}


async def test_requests_are_counted_by_method_and_status(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await api.get("/WhoAmI")
    await api.get("/nothing")
    await api.get("/WhoAmI", headers={"Authorization": "Bearer none"})
    assert (await counters(admin))["requests"] == {"total": 3, "GET": 3, "200": 1, "404": 1, "401": 1}


async def test_rows_are_counted_by_table_and_a_repeated_value_is_not_a_change(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    key = next(iter(scan(sandbox.environment.database, "contact", ["contactid"])))[0]
    async with in_process(sandbox, API_PATH, ADMIN) as api:
        for _ in range(2):
            await api.patch(f"/contacts({key})", json={"address1_city": "Tartu"}, headers={"If-Match": "*"})
        await api.get("/contacts?$select=fullname&$top=7")
    assert (await counters(admin))["tables"]["contact"] == {
        "reads": 1,
        "rowsRead": 7,
        "rowsWritten": 2,
        "rowsChanged": 1,
    }


async def test_automations_are_counted_by_name(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    sandbox.environment.counters.automation.count("flow", "Greet", 3)
    automation = (await counters(admin))["automation"]
    assert automation == {"stepExecutions": 0, "asyncJobs": 3, "flowRuns": 3, "byName": {"Greet": 3}}


async def test_counters_start_again_from_zero(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await api.get("/contacts?$top=1")
    assert (await admin.post("/counters/reset")).status_code == 204
    assert await counters(admin) == {
        "requests": {},
        "tables": {},
        "automation": {"stepExecutions": 0, "asyncJobs": 0, "flowRuns": 0, "byName": {}},
    }


@pytest.mark.parametrize(("query", "remaining"), [("", "5998"), ("?protection=true", "5999")])
async def test_what_the_limits_counted_is_forgotten_when_asked(
    api: httpx.AsyncClient, admin: httpx.AsyncClient, query: str, remaining: str
) -> None:
    await api.get("/WhoAmI")
    await admin.post(f"/counters/reset{query}")
    assert (await api.get("/WhoAmI")).headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == remaining


async def test_switches_change_at_run_time(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/config", json={"dop_hint": 9})
    assert answer.json()["dop_hint"] == 9
    assert (await admin.get("/config")).json() == answer.json()
    assert (await api.get("/WhoAmI")).headers["x-ms-dop-hint"] == "9"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"dop_hints": 9}, id="unknown"),
        pytest.param({"dop_hint": "many"}, id="wrong type"),
        pytest.param({"mapping_name_column": "msdynci_entityname"}, id="start only"),
        pytest.param([1], id="no object"),
    ],
)
async def test_a_switch_that_does_not_fit_is_refused(admin: httpx.AsyncClient, body: object) -> None:
    before = (await admin.get("/config")).json()
    assert (await admin.post("/config", json=body)).status_code == 400
    assert (await admin.get("/config")).json() == before


async def test_a_body_that_is_not_json_is_refused(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/config", content=b"{")
    assert (answer.status_code, "not JSON" in answer.json()["error"]) == (400, True)


async def test_the_instance_can_become_b2b(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await admin.post("/environment", json={"isB2B": True, "isB2C": False, "cdsMdlInfo": None})
    async with in_process(sandbox) as client:
        instance = (await client.get(f"{INSIGHTS_PATH}/instances/{sandbox.instance_id}")).json()
    assert (instance["isB2B"], instance["isB2C"]) == (True, False)
    assert "cdsMdlInfo" not in instance
    assert instance["cdsOrgInfo"]["url"] == URL


@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        pytest.param({"a": 1}, {"b": 2}, {"a": 1, "b": 2}, id="added"),
        pytest.param({"a": 1}, {"a": 2}, {"a": 2}, id="replaced"),
        pytest.param({"a": 1, "b": 2}, {"a": None}, {"b": 2}, id="removed"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}, {"a": {"b": 3, "c": 2}}, id="merged"),
        pytest.param({"a": 1}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}, id="object instead of value"),
        pytest.param({"a": [1, 2]}, {"a": [3]}, {"a": [3]}, id="list replaced"),
    ],
)
def test_merge_patch(document: dict[str, Any], patch: dict[str, Any], expected: dict[str, Any]) -> None:
    assert merge_patch(document, patch) == expected


async def test_the_truth_of_an_unknown_table_is_refused(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/truth?table=nothing")).status_code == 400


@pytest.mark.parametrize("body", [{}, {"enabled": "yes"}, {"enabled": True, "more": 1}])
async def test_the_second_writer_is_switched_by_one_flag(admin: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert (await admin.post("/second-writer", json=body)).status_code == 400
    assert (await admin.get("/second-writer")).json() == {"enabled": False}
