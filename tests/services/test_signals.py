"""Signals of a finished unification: each is remembered when it is received, and none of them has to be there."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from linker.adapters.customer_insights import Insights
from linker.adapters.dataverse.change_times import JOBS, TASKS
from linker.adapters.storage import TaskState
from linker.core.runs.signals import SignalKind
from linker.core.serialization import iso
from linker.entrypoints.api.runs import get_status, post_unification_event
from linker.services import run_requests
from tests.fakes.browser import Browser
from tests.fakes.client import Client, Starter
from tests.fakes.requests import Refusal
from tests.fakes.world import StaticTokens, World

JOB = {
    "jobId": "api-job",
    "operationType": "all",
    "jobStatus": "successful",
    "submittedTimestamp": "2026-11-18T10:00:00Z",
    "tasks": [{"operationType": "merge", "taskStatus": "successful"}],
}
EVENT = {
    "records": [
        {
            "operationName": "Merge.TaskCompleted",
            "resultType": "Successful",
            "resourceId": "one",
            "properties": {"eventType": "WorkflowEvent", "workflowJobId": "event-job", "instanceId": "one"},
        }
    ]
}


@pytest.fixture
async def world() -> World:
    """Contacts, in an environment in which a run has just ended that saw no marks."""
    world = World()
    world.people(2)

    async def complete(task: TaskState) -> TaskState:
        return replace(task, completed=world.clock())

    await world.deps.runs.change_task(complete)
    return world


def workflow(world: World, answers: dict[str, Any]) -> None:
    """Let the workflow tables answer: rows, or a Refusal."""
    served = world.dataverse._route

    def route(asked: Any) -> tuple[int, Any]:
        if asked.path not in answers:
            return served(asked)
        answer = answers[asked.path]
        if isinstance(answer, Refusal):
            raise answer
        return 200, {"value": answer}

    world.dataverse._route = route  # type: ignore[method-assign]


def merge_task(world: World, **values: object) -> dict[str, object]:
    return {
        "msdyn_operationtype": "Merge",
        "msdyn_taskstatus": "SUCCESSFUL",
        "msdyn_jobidsserialized": json.dumps(["table-job"]),
        "msdyn_starttimestamp": iso(world.clock() - 600),
        "modifiedon": iso(world.clock() - 60),
    } | values


async def by_kind(world: World) -> dict[str, dict[str, Any]]:
    reply = await Client(world).ask(get_status)
    return {signal["kind"]: signal for signal in json.loads(reply.text)["signals"]}


async def test_before_anything_happened_every_signal_is_listed_as_never_received(world: World) -> None:
    signals = await by_kind(world)
    assert list(signals) == [str(kind) for kind in SignalKind]
    assert {signal["receivedAt"] for signal in signals.values()} == {None}


async def test_events_and_the_webhook_are_remembered_each_time(world: World) -> None:
    start = Starter()
    await run_requests.unification_events(world.deps, [json.dumps(EVENT).encode()], start)
    await Client(world).ask(post_unification_event, body={"jobId": "hook-job"})
    first = iso(world.clock())
    world.clock.pass_s(60)
    await Client(world).ask(post_unification_event, body={"jobId": "hook-job"})
    signals = await by_kind(world)
    assert (signals["events"]["receivedAt"], signals["events"]["detail"]) == (first, "Job event-job has merged.")
    assert (signals["webhook"]["receivedAt"], signals["webhook"]["detail"]) == (
        iso(world.clock()),
        "Job hook-job has merged.",
    )


async def test_the_api_is_asked_first_and_its_silence_is_a_note_beside_what_it_said(world: World) -> None:
    answers = [httpx.Response(200, json=[JOB]), httpx.Response(410)]
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answers[0]))
    world.insights = Insights("https://api", "one", client, StaticTokens())
    world.deps = world.host()
    workflow(world, {TASKS: [merge_task(world)], JOBS: []})
    start = Starter()
    await run_requests.poll(world.deps, start)
    assert start.started[0].request.jobs == ("api-job",)
    told = (await by_kind(world))["insights"]
    answers.pop(0)
    world.clock.pass_s(300)
    await run_requests.poll(world.deps, start)
    silent = (await by_kind(world))["insights"]
    assert (silent["receivedAt"], silent["detail"]) == (told["receivedAt"], told["detail"])
    assert "(410)" in silent["note"]
    assert silent["notedAt"] == iso(world.clock())


async def test_the_workflow_tables_start_a_run_where_the_api_does_not_answer(world: World) -> None:
    workflow(world, {TASKS: [merge_task(world)], JOBS: []})
    start = Starter()
    run = await run_requests.poll(world.deps, start)
    (ticket,) = start.started
    assert ticket.run == run
    assert ticket.request.jobs == ("table-job",)
    assert ticket.request.job_start == world.clock() - 600
    assert (await by_kind(world))["workflow"]["detail"] == "Job table-job has merged."


SILENT: dict[str, Any] = {
    "absent": (Refusal(404, "0x80060888", "Resource not found"), "Dataverse has no table"),
    "refused": (Refusal(400, "0x0", "Could not find a property named 'msdyn_taskstatus'."), "cannot be read"),
    "forbidden": (Refusal(403, "0x80040220", "missing prvReadmsdyn_ciworkflowtask privilege"), "cannot be read"),
    "throttled": (Refusal(429, "429", "Too many requests", "1"), "did not answer"),
    "down": (Refusal(503, "", "Unavailable"), "did not answer"),
    "empty": ([], "no unification of the last two days"),
    "unknown words": ([{"msdyn_operationtype": "zusammenführen", "modifiedon": None}], "no unification"),
    "another shape": (["no row"], "did not answer"),
}


@pytest.mark.parametrize(("answer", "note"), SILENT.values(), ids=SILENT.keys())
async def test_workflow_tables_that_say_nothing_are_a_note_and_the_marks_decide(
    world: World, answer: Any, note: str
) -> None:
    workflow(world, {TASKS: answer, JOBS: answer})
    start = Starter()
    assert await run_requests.poll(world.deps, start) == start.started[0].run
    signals = await by_kind(world)
    assert signals["workflow"]["receivedAt"] is None
    assert note in signals["workflow"]["note"]
    assert signals["watermarks"]["receivedAt"] == iso(world.clock())


async def test_marks_that_cannot_be_read_are_a_note_too(world: World) -> None:
    def refuse(asked: Any) -> None:
        if asked.kind == "marks":
            raise Refusal(400, "0x80048d0b", "Sorting is not supported.")

    world.dataverse.hooks.append(refuse)
    await run_requests.poll(world.deps, Starter())
    assert "does not say" in (await by_kind(world))["watermarks"]["note"]


async def test_damaged_signals_and_looks_are_as_good_as_none(world: World) -> None:
    for row in ("signal-events", "signal-watermarks", "look"):
        await world.deps.documents.save(row, {"made": "of wood"})
    await run_requests.poll(world.deps, Starter())
    assert (await by_kind(world))["events"]["receivedAt"] is None
    assert (await by_kind(world))["watermarks"]["receivedAt"] == iso(world.clock())


async def test_the_pages_show_signals_and_capabilities(world: World) -> None:
    browser = Browser(world)
    await browser.sign_in()
    text = await browser.text()
    assert "Customer Insights API never" in text
    assert "Not known yet. A preflight or the first run probes them." in text
    await run_requests.unification_events(world.deps, [json.dumps(EVENT).encode()], Starter())
    found = await world.deps.check_capabilities()
    text = await browser.text()
    assert "Job event-job has merged." in text
    assert all(finding.evidence in text for finding in found.findings)
    assert all((finding.cost in text) is not finding.available for finding in found.findings)
    preflight = await browser.text("/api/portal/preflight")
    assert f"Profile table: {found.profile_kind}. Mapping table: {found.mapping_kind}." in preflight
