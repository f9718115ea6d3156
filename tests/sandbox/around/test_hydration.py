"""Unifications that take their time: mapping and profiles are seen half done, and what breaks them off."""

import asyncio

import httpx
import pytest

from sandbox.environment import Environment
from sandbox.generate import generate
from sandbox.server import Sandbox, compose

from .conftest import URL, Load, in_process
from .test_unification import SIZES, differences, mapping, unify


@pytest.fixture
def sandbox(load: Load) -> Sandbox:
    return load(generate(SIZES))


async def test_gradual_hydration_can_be_observed_half_done(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    before = mapping(sandbox)
    counts = await unify(admin, move=0.2, hydration_s=0.2, steps=4)
    seen = set()
    while (await admin.get("/unifications")).json()[0]["jobStatus"] == "running":
        seen.add(len(differences(before, mapping(sandbox))))
        await asyncio.sleep(0.01)
    assert len(differences(before, mapping(sandbox))) == counts["moved"] == 40
    assert {10, 20, 30} <= seen


async def test_a_second_unification_has_to_wait_for_the_first(admin: httpx.AsyncClient, sandbox: Sandbox) -> None:
    await unify(admin, move=0.2, hydration_s=0.05, steps=2)
    assert (await admin.post("/unifications", json={})).status_code == 409
    assert sandbox.simulator.hydration is not None
    await sandbox.simulator.hydration
    await unify(admin)


async def test_announced_first_the_job_ends_before_the_tables_change(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    before = mapping(sandbox)
    await unify(admin, move=0.2, hydration_s=0.1, steps=2, announce_first=True)
    await asyncio.sleep(0)
    assert (await admin.get("/unifications")).json()[0]["jobStatus"] == "successful"
    assert len(differences(before, mapping(sandbox))) < 40
    assert sandbox.simulator.hydration is not None
    await sandbox.simulator.hydration
    assert len(differences(before, mapping(sandbox))) == 40


async def test_a_job_that_ran_when_the_sandbox_stopped_is_aborted(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await unify(admin, move=0.2, hydration_s=60, steps=2)
    assert sandbox.simulator.hydration is not None
    await asyncio.sleep(0.01)
    sandbox.simulator.hydration.cancel()
    again = compose(Environment(sandbox.environment.database, base_url=URL))
    (job, _) = (await in_process(again, "/sandbox").get("/unifications")).json()
    assert (job["jobStatus"], job["tasks"][-1]["taskStatus"]) == ("aborted", "aborted")
    await unify(in_process(again, "/sandbox"), move=0.1)


async def test_a_hydration_that_breaks_off_ends_as_a_failed_job(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await unify(admin, recreate=1.0, hydration_s=0.05, steps=2)
    database = sandbox.environment.database
    database.drop_table(database.schema.tables["new_member"])
    assert sandbox.simulator.hydration is not None
    with pytest.raises(KeyError):
        await sandbox.simulator.hydration
    (job, _) = (await admin.get("/unifications")).json()
    assert (job["jobStatus"], job["tasks"][-1]["taskStatus"]) == ("failed", "failed")
    told = [message["records"][0] for message in (await admin.get("/events")).json()[-2:]]
    assert [(one["operationName"], one["resultType"]) for one in told] == [
        ("ProfileStore.TaskCompleted", "Failure"),
        ("All.WorkflowCompleted", "Failure"),
    ]
    assert (await admin.post("/unifications", json={})).status_code == 200
