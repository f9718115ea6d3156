"""The workflow of Customer Insights as rows of Dataverse: Microsoft's reference of msdyn_ciworkflowjob, -task, -node."""

import json
from typing import Any

import pytest

from sandbox.data.generator import Sizes, generate
from sandbox.database import Database
from sandbox.identity.accounts import LINKER, VENDOR
from sandbox.runtime import Environment
from sandbox.server.app import API_PATH, Sandbox, compose
from sandbox.switches.config import SandboxConfig
from tests.sandbox.conftest import URL, Load, in_process

SIZES = Sizes(contacts=20, leads=0, members=0)
SETS = ("msdyn_ciworkflowjobs", "msdyn_ciworkflowtasks", "msdyn_ciworkflownodes")


async def rows(sandbox: Sandbox, query: str) -> list[dict[str, Any]]:
    async with in_process(sandbox, API_PATH, LINKER) as api:
        answer = await api.get(f"/{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["value"])


@pytest.fixture
def filled(load: Load) -> Sandbox:
    return load(generate(SIZES), workflow_tables="filled")


@pytest.mark.parametrize("entity_set", SETS)
async def test_the_tables_are_empty_unless_a_switch_fills_them(load: Load, entity_set: str) -> None:
    sandbox = load(generate(SIZES))
    await in_process(sandbox, "/sandbox").post("/unifications", json={"move": 0.1})
    assert await rows(sandbox, entity_set) == []


@pytest.mark.parametrize("entity_set", SETS)
async def test_a_switch_leaves_the_tables_out(load: Load, entity_set: str) -> None:
    sandbox = load(generate(SIZES), workflow_tables="absent")
    assert (await in_process(sandbox, API_PATH).get(f"/{entity_set}")).status_code == 404


async def test_a_job_is_a_row_with_the_words_of_the_api(filled: Sandbox) -> None:
    await in_process(filled, "/sandbox").post("/unifications", json={"job_type": "full"})
    newest = (await rows(filled, "msdyn_ciworkflowjobs?$orderby=createdon desc,modifiedon desc&$top=1"))[0]
    job = (await in_process(filled, "/sandbox").get("/unifications")).json()[0]
    found = {name: newest[f"msdyn_{name.lower()}"] for name in ("jobId", "jobStatus", "jobType", "operationType")}
    assert found == {name: job[name] for name in found}
    assert json.loads(newest["msdyn_taskidsserialized"]) == [task["taskId"] for task in job["tasks"]]
    assert newest["_modifiedby_value"] == VENDOR.systemuser_id


async def test_each_task_is_a_row_that_names_its_jobs(filled: Sandbox) -> None:
    (job,) = (await in_process(filled, "/sandbox").get("/unifications")).json()
    tasks = await rows(filled, "msdyn_ciworkflowtasks")
    assert {row["msdyn_operationtype"] for row in tasks} == {"map", "match", "merge", "profileStore"}
    assert {row["msdyn_taskstatus"] for row in tasks} == {"successful"}
    assert {row["msdyn_jobidsserialized"] for row in tasks} == {json.dumps([job["jobId"]])}


async def test_a_node_keeps_its_present_state_and_its_last_success(filled: Sandbox) -> None:
    await in_process(filled, "/sandbox").post("/unifications", json={"outcome": "failed"})
    nodes = {row["msdyn_operationtype"]: row for row in await rows(filled, "msdyn_ciworkflownodes")}
    assert len(nodes) == 4
    assert nodes["merge"]["msdyn_taskstatus"] == "failed"
    assert nodes["merge"]["msdyn_lastsuccessfultimestamp"] is not None
    assert json.loads(nodes["merge"]["msdyn_cierrorserialized"])["errorCode"] == "MergeFailed"


@pytest.mark.parametrize(
    ("words", "status", "operation"),
    [
        ("camel", "successful", "profileStore"),
        ("pascal", "Successful", "ProfileStore"),
        ("upper", "SUCCESSFUL", "PROFILESTORE"),
    ],
)
async def test_a_switch_writes_words_in_another_case(load: Load, words: str, status: str, operation: str) -> None:
    sandbox = load(generate(SIZES), workflow_tables="filled", workflow_words=words)
    tasks = await rows(sandbox, "msdyn_ciworkflowtasks")
    assert (status, operation) in {(row["msdyn_taskstatus"], row["msdyn_operationtype"]) for row in tasks}


async def test_the_tables_have_no_bulk_messages(filled: Sandbox) -> None:
    for name in ("msdyn_ciworkflowjob", "mscipriv_datasourcemetadata"):
        assert name in filled.environment.database.schema.tables
    url = "sdkmessagefilters?$filter=primaryobjecttypecode eq 'msdyn_ciworkflowjob'&$select=name"
    assert {row["name"] for row in await rows(filled, url)} == {"Create", "Update", "Delete"}


async def test_the_linker_reads_them_and_does_not_write_them(filled: Sandbox) -> None:
    (job,) = await rows(filled, "msdyn_ciworkflowjobs")
    url = f"/msdyn_ciworkflowjobs({job['msdyn_ciworkflowjobid']})"
    answer = await in_process(filled, API_PATH, LINKER).patch(url, json={"msdyn_jobstatus": "failed"})
    assert answer.status_code == 403


async def test_private_tables_hold_an_opaque_payload(load: Load) -> None:
    sandbox = load(generate(SIZES))
    async with in_process(sandbox, API_PATH) as api:
        definitions = (
            await api.get("/EntityDefinitions?$select=LogicalName,EntitySetName,TableType,OwnershipType")
        ).json()
    private = [one for one in definitions["value"] if one["LogicalName"].startswith("mscipriv_")]
    assert {(one["TableType"], one["OwnershipType"]) for one in private} == {("Standard", "UserOwned")}
    assert len(private) == 4
    for one in private:
        (row,) = await rows(sandbox, one["EntitySetName"])
        assert row["mscipriv_payload1"]
        assert row["_ownerid_value"] == VENDOR.systemuser_id


def test_another_choice_after_a_restart_adds_or_removes_the_tables() -> None:
    database = Database()
    for choice, there in (("absent", False), ("filled", True), ("absent", False)):
        compose(Environment(database, SandboxConfig(workflow_tables=choice), URL))  # type: ignore[arg-type]
        assert ("msdyn_ciworkflowjob" in database.schema.tables) == there
    database.close()


async def test_a_job_that_ran_when_the_sandbox_stopped_is_aborted_in_its_row(load: Load) -> None:
    sandbox = load(generate(SIZES), workflow_tables="filled")
    await in_process(sandbox, "/sandbox").post("/unifications", json={"move": 0.5, "hydration_s": 60})
    assert sandbox.simulator.hydration is not None
    sandbox.simulator.hydration.cancel()
    again = compose(Environment(sandbox.environment.database, sandbox.environment.config, URL))
    statuses = [row["msdyn_jobstatus"] for row in await rows(again, "msdyn_ciworkflowjobs?$select=msdyn_jobstatus")]
    assert sorted(statuses) == ["aborted", "successful"]
