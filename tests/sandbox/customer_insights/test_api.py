"""The Customer Insights API: docs/reference/customer-insights.md 3 and 4."""

import json

import httpx
import pytest

from sandbox.identity.accounts import LINKER
from sandbox.server.app import INSIGHTS_PATH, Sandbox
from sandbox.server.serve import ready_line
from sandbox.switches.config import changed
from tests.sandbox.conftest import URL, bearer


def switch(sandbox: Sandbox, **switches: object) -> None:
    sandbox.environment.configure(changed(sandbox.environment.config, switches))


def instance_url(sandbox: Sandbox) -> str:
    return f"{URL}{INSIGHTS_PATH}/instances/{sandbox.instance_id}"


async def test_instance_names_the_linked_environment(sandbox: Sandbox, insights: httpx.AsyncClient) -> None:
    instance = (await insights.get(instance_url(sandbox))).json()
    assert instance["cdsOrgInfo"]["url"] == URL
    assert (instance["isB2B"], instance["isB2C"], instance["isCdsMdlOrCdsByodl"]) == (False, True, True)
    assert instance["cdsMdlInfo"] == {"privateWorkSpace": {}, "publicWorkSpace": {}}


async def test_data_sources_show_kind_and_chosen_keys(insights: httpx.AsyncClient) -> None:
    sources = [source["dataSourceMetadata"] for source in (await insights.get("/manage/datasources")).json()]
    assert [source["kind"] for source in sources] == ["attachCds", "powerQuery"]
    assert sources[0]["entityInformation"][0] == {"entityName": "contact", "primaryKey": "contactid"}


async def test_entities_have_attributes_and_keys(insights: httpx.AsyncClient) -> None:
    model = (await insights.get("/manage/entities")).json()  # IC360EntityModel of the published API client
    entities = {entity["name"]: entity for entity in model["entities"]}
    assert entities.keys() == {"contact", "lead", "loyCustomer"}
    assert entities["lead"]["keys"] == [[{"name": "leadid"}]]
    assert {"name": "lastname", "dataType": "string"} in entities["contact"]["attributes"]


@pytest.mark.parametrize(
    ("query", "with_tasks"), [("", False), ("?includeTasks=true", True), ("?includeTasks=True", True)]
)
async def test_jobs_show_tasks_when_asked(insights: httpx.AsyncClient, query: str, with_tasks: bool) -> None:
    (job,) = (await insights.get(f"/workflows/main/jobs{query}")).json()
    assert (job["jobType"], job["jobStatus"], job["operationType"]) == ("full", "successful", "all")
    assert bool(job["tasks"]) is with_tasks


async def test_a_submitted_job_is_the_newest_and_readable_by_id(insights: httpx.AsyncClient) -> None:
    submitted = (await insights.post("/workflows/main/jobs")).json()
    newest = (await insights.get("/workflows/main/jobs?top=1")).json()
    assert [job["jobId"] for job in newest] == [submitted["jobId"]]
    job = (await insights.get(f"/workflows/main/jobs/{submitted['jobId']}")).json()
    assert [task["operationType"] for task in job["tasks"]] == ["map", "match", "merge", "profileStore"]


async def test_a_job_is_full_or_scheduled_when_that_is_asked_for(insights: httpx.AsyncClient) -> None:
    body = {"operationType": "all", "jobType": "full", "submissionKind": "scheduled"}
    job = (await insights.post("/workflows/main/jobs?operationType=All", json=body)).json()
    assert (job["jobType"], job["jobSubmissionKind"], job["jobStatus"]) == ("full", "scheduled", "successful")


@pytest.mark.parametrize(
    ("query", "body", "status"),
    [
        pytest.param("?operationType=segmentation", b"", 501, id="another operation"),
        pytest.param("", b'{"operationType": "measures"}', 501, id="another operation in the body"),
        pytest.param("", b"{", 400, id="no JSON"),
        pytest.param("", b"[1]", 400, id="no object"),
        pytest.param("", b'{"jobType": "partial"}', 400, id="unknown job type"),
    ],
)
async def test_a_job_that_is_not_simulated_is_not_run(
    insights: httpx.AsyncClient, query: str, body: bytes, status: int
) -> None:
    assert (await insights.post(f"/workflows/main/jobs{query}", content=body)).status_code == status
    assert len((await insights.get("/workflows/main/jobs")).json()) == 1


async def test_a_job_cannot_be_submitted_while_another_one_writes(
    sandbox: Sandbox, insights: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await admin.post("/unifications", json={"hydration_s": 0.05, "steps": 2})
    assert (await insights.post("/workflows/main/jobs")).status_code == 503
    assert sandbox.simulator.hydration is not None
    await sandbox.simulator.hydration


async def test_history_lists_tasks_and_status_lists_nodes(insights: httpx.AsyncClient) -> None:
    history = (await insights.get("/workflows/main/history?top=2")).json()
    assert [task["operationType"] for task in history] == ["profileStore", "merge"]
    nodes = {node["operationType"]: node for node in (await insights.get("/workflows/main/status")).json()}
    assert nodes["merge"]["taskStatus"] == "successful"
    assert nodes["merge"]["lastSuccessfulTimestamp"] == nodes["merge"]["endTimestamp"]


async def test_a_failed_merge_keeps_the_last_success(sandbox: Sandbox, insights: httpx.AsyncClient) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url=URL) as client:
        await client.post("/sandbox/unifications", json={"outcome": "failed", "move": 0.5})
    (job,) = (await insights.get("/workflows/main/jobs?top=1&includeTasks=true")).json()
    assert job["jobStatus"] == "failed"
    assert [task["taskStatus"] for task in job["tasks"]] == ["successful", "successful", "failed", "skipped"]
    assert [task["ciError"] and task["ciError"]["message"] for task in job["tasks"]] == [
        *(None, None, "Merge failed.", None)
    ]
    nodes = {node["operationType"]: node for node in (await insights.get("/workflows/main/status")).json()}
    assert nodes["merge"]["taskStatus"] == "failed"
    assert nodes["merge"]["lastSuccessJobIds"] != nodes["merge"]["jobIds"]
    assert nodes["merge"]["ciError"]["errorCode"] == "MergeFailed"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/instances/00000000-0000-4000-8000-000000000000", 404, id="another instance"),
        pytest.param("/instances/{id}/workflows/other/jobs", 404, id="another workflow"),
        pytest.param("/instances/{id}/workflows/main/jobs/none", 404, id="no such job"),
        pytest.param("/instances/{id}/manage/measures", 501, id="not simulated"),
    ],
)
async def test_errors_have_the_documented_body(sandbox: Sandbox, path: str, status: int) -> None:
    transport = httpx.ASGITransport(sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url=URL + INSIGHTS_PATH) as client:
        answer = await client.get(path.format(id=sandbox.instance_id), headers=bearer(sandbox))
    assert answer.status_code == status
    assert answer.json()["httpStatusCode"] == str(status)
    assert set(answer.json()) == {
        "exception",
        "httpStatusCode",
        "exceptionCulprit",
        "errorCode",
        "resultSeverity",
        "message",
        "name",
        "params",
        "ciResults",
    }


@pytest.mark.parametrize("resource", [URL, URL + "/", "https://api.ci.ai.dynamics.com", None])
async def test_a_token_for_dataverse_or_the_api_is_asked_for(sandbox: Sandbox, resource: str | None) -> None:
    headers = bearer(sandbox, LINKER, resource) if resource else {}
    transport = httpx.ASGITransport(sandbox.app)
    async with httpx.AsyncClient(transport=transport, base_url=URL + INSIGHTS_PATH) as client:
        answer = await client.get(f"/instances/{sandbox.instance_id}", headers=headers)
    assert answer.status_code == (200 if resource else 401)


@pytest.mark.parametrize(("key", "status"), [("secret", 200), ("wrong", 401), (None, 401)])
async def test_a_configured_subscription_key_is_asked_for(
    sandbox: Sandbox, insights: httpx.AsyncClient, admin: httpx.AsyncClient, key: str | None, status: int
) -> None:
    await admin.post("/config", json={"insights_subscription_key": "secret"})
    headers = {"Ocp-Apim-Subscription-Key": key} if key else {}
    assert (await insights.get(instance_url(sandbox), headers=headers)).status_code == status


async def test_events_follow_the_resource_log_schema(admin: httpx.AsyncClient) -> None:
    messages = (await admin.get("/events")).json()
    records = [record for message in messages for record in message["records"]]
    assert [record["operationName"] for record in records] == [
        "All.WorkflowStarted",
        *(
            f"{name}.Task{stage}"
            for name in ("Map", "Match", "Merge", "ProfileStore")
            for stage in ("Started", "Completed")
        ),
        "All.WorkflowCompleted",
    ]
    merge = records[6]
    properties = json.loads(merge["properties"])
    assert (merge["category"], merge["resultType"]) == ("Operational", "Successful")
    assert merge["resourceId"].split("/")[-2] == "INSTANCES"
    assert (properties["eventType"], properties["operationType"], properties["workflowType"]) == (
        "WorkflowEvent",
        "Merge",
        "full",
    )


class TestAvailability:
    """The API of a tenant may refuse, move or be gone: facts on the withdrawn deprecation, and reports."""

    @pytest.mark.parametrize("status", [401, 403, 404, 410])
    async def test_a_switch_refuses_with_a_status(
        self, sandbox: Sandbox, insights: httpx.AsyncClient, status: int
    ) -> None:
        switch(sandbox, insights_api=str(status))
        answer = await insights.get("")
        assert (answer.status_code, answer.json()["statusCode"]) == (status, status)

    async def test_a_switch_redirects_to_a_host_that_is_not_there(
        self, sandbox: Sandbox, insights: httpx.AsyncClient
    ) -> None:
        switch(sandbox, insights_api="redirect")
        answer = await insights.get("")
        assert (answer.status_code, httpx.URL(answer.headers["Location"]).host) == (302, "login.invalid")

    async def test_without_an_address_nothing_answers(self, sandbox: Sandbox, insights: httpx.AsyncClient) -> None:
        switch(sandbox, insights_api="no_address")
        with pytest.raises(ConnectionResetError):
            await insights.get("")
        assert json.loads(ready_line(sandbox, None, None))["insights"] == "https://insights.invalid/v1"

    async def test_it_answers_by_default(self, sandbox: Sandbox, insights: httpx.AsyncClient) -> None:
        assert (await insights.get(instance_url(sandbox))).status_code == 200
        assert json.loads(ready_line(sandbox, None, None))["insights"] == URL + INSIGHTS_PATH
