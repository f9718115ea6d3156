"""What synchronous steps and changes of metadata cost a request: docs/reference/dataverse.md 1.1 and 8.4."""

import asyncio
import json
import time
from collections.abc import Mapping

import httpx
import pytest

from sandbox.identity.accounts import ADMIN
from sandbox.server.app import API_PATH, Sandbox
from sandbox.switches.config import changed
from tests.sandbox.conftest import in_process
from tests.sandbox.webapi.steps import add_step, error, read, update_multiple

ROWS = 10
SCALE = 50  # simulated seconds in a real one
COSTLY = {"cost_ms": 500}


@pytest.fixture
def api(sandbox: Sandbox) -> httpx.AsyncClient:
    """Ask as a user who may register steps and bypass them."""
    sandbox.environment.configure(changed(sandbox.environment.config, {"time_scale": SCALE}))
    return in_process(sandbox, API_PATH, ADMIN)


async def update(api: httpx.AsyncClient, **headers: str) -> httpx.Response:
    """Update some rows in one request."""
    contacts = (await read(api, f"contacts?$select=contactid&$top={ROWS}"))["value"]
    return await update_multiple(
        api, *({"contactid": row["contactid"], "lastname": "Ash"} for row in contacts), **headers
    )


async def left_s(api: httpx.AsyncClient) -> float:
    """Return what is left of the combined execution time."""
    text = (await api.get("/WhoAmI")).headers["x-ms-ratelimit-time-remaining-xrm-requests"]
    return float(text.replace(",", ""))


@pytest.mark.parametrize(
    ("message", "configuration", "headers", "cost_ms"),
    [
        pytest.param("Update", COSTLY, {}, 500 * ROWS, id="a step on Update costs each row"),
        pytest.param("UpdateMultiple", COSTLY, {}, 500, id="a step on UpdateMultiple costs each request"),
        pytest.param("Update", COSTLY | {"throws": "No."}, {}, 500 * ROWS, id="a throwing step costs too"),
        pytest.param("Update", COSTLY, {"MSCRM.BypassBusinessLogicExecution": "CustomSync"}, 0, id="bypassed"),
        pytest.param("Update", COSTLY, {"MSCRM.BypassCustomPluginExecution": "true"}, 0, id="bypassed the older way"),
    ],
)
async def test_a_synchronous_step_is_execution_time_of_its_request(
    api: httpx.AsyncClient, message: str, configuration: Mapping[str, object], headers: dict[str, str], cost_ms: float
) -> None:
    await add_step(api, message, configuration=json.dumps(configuration))
    before = await left_s(api)
    started = time.perf_counter()
    await update(api, **headers)
    assert time.perf_counter() - started >= cost_ms / 1000 / SCALE
    assert before - await left_s(api) == pytest.approx(cost_ms / 1000)


async def test_steps_can_use_up_the_execution_time(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await add_step(api, configuration=json.dumps(COSTLY))
    await admin.post("/config", json={"limit_execution_ms": 500 * ROWS})
    assert (await update(api)).status_code == 204
    assert error(await update_multiple(api, {"contactid": ADMIN.systemuser_id})) == (429, "0x80072321")


@pytest.mark.parametrize(
    "switch", [{"customizing": True}, {"customization_ms": 2500}], ids=["somebody else", "ourselves"]
)
async def test_the_customization_lock_is_a_switch(
    api: httpx.AsyncClient, admin: httpx.AsyncClient, switch: dict[str, object]
) -> None:
    assert (await admin.post("/config", json=switch)).status_code == 200
    answers = await asyncio.gather(*(api.post("/PublishAllXml", json={}) for _ in range(2)))
    refused = [error(answer) for answer in answers if answer.status_code != 204]
    assert refused == [(429, "0x80071151")] * (2 if "customizing" in switch else 1)
