"""The HTTP API without its transport: bodies, answers, and nothing of the input in them."""

import json
from datetime import UTC, datetime

import pytest

from linker.core.errors import ConfigurationError, TransientError
from linker.core.model import Mode, RunRequest, Status, Ticket
from linker.core.roles import PRINCIPAL_ID
from linker.core.runs.lifecycle import end_early
from linker.core.runs.signals import SignalKind
from linker.core.serialization import iso
from linker.durable.activities import run_lifecycle
from linker.entrypoints import api
from linker.entrypoints.serving import failure
from tests.fakes.client import BASE, Client
from tests.fakes.principal import headers
from tests.fakes.world import World


async def test_a_run_is_accepted_located_and_readable_at_once(client: Client) -> None:
    body = b'{"mode":"full","dryRun":true,"tables":["Contact"]}'
    reply = await client.ask(api.post_run, body=body)
    run = reply.body["id"]
    assert (reply.status, reply.headers["Location"]) == (202, f"{BASE}/api/runs/{run}")
    assert client.start.started == [Ticket(run, RunRequest(Mode.FULL, dry_run=True, tables=("contact",)))]
    found = await client.ask(api.get_run, run=run)
    assert (found.status, found.body["status"], found.body["mode"]) == (200, "Queued", "full")


async def test_a_request_that_was_merged_leads_to_the_run_that_does_it(client: Client) -> None:
    first = await client.ask(api.post_run, body=b"")
    second = await client.ask(api.post_run, body=b"{}")
    third = await client.ask(api.post_run, body=b'{"mode":"full"}')
    assert len(client.start.started) == 1
    assert first.body["id"] != second.body["id"] == third.body["id"]
    assert (await client.ask(api.get_run, run=second.body["id"])).body["status"] == "Queued"


async def test_a_request_with_a_key_that_is_sent_again_leads_to_the_same_run(client: Client) -> None:
    client.headers["idempotency-key"] = "k1"
    first, again = [await client.ask(api.post_run) for _ in range(2)]
    client.headers["idempotency-key"] = "k2"
    other = await client.ask(api.post_run)
    assert first.body["id"] == again.body["id"] != other.body["id"]
    assert len(client.start.started) == 1


async def test_the_same_key_of_two_callers_makes_two_requests(world: World) -> None:
    operator = headers(("roles", "operator")) | {"idempotency-key": "k"}
    callers = [operator | {PRINCIPAL_ID: who} for who in ("ada", "bob")]
    replies = [await Client(world, authenticated=True, headers=sent).ask(api.post_run) for sent in callers]
    assert replies[0].body["id"] != replies[1].body["id"]


@pytest.mark.parametrize("member", ["jobId", "workflowJobId", "unificationJobId"])
async def test_the_same_unification_twice_is_one_run(client: Client, member: str) -> None:
    body = json.dumps({member: "job-1", "whatever": {"a flow": "sends"}}).encode()
    replies = [await client.ask(api.post_unification_event, body=body) for _ in range(3)]
    assert len({reply.body["id"] for reply in replies}) == 1
    assert [ticket.request.jobs for ticket in client.start.started] == [("job-1",)]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"jobId": null, "instanceId": "a flow sends this"}'])
async def test_a_unification_without_a_name_is_waited_for_like_any_other(client: Client, body: bytes) -> None:
    assert (await client.ask(api.post_unification_event, body=body)).status == 202
    request = client.start.started[0].request
    assert request == RunRequest(trigger="webhook", nameless_job=True)
    assert request.for_unification


async def test_the_webhook_may_say_when_the_unification_began(client: Client) -> None:
    body = {"jobId": "job-1", "startedAt": "2026-11-18T11:00:00+01:00"}
    await client.ask(api.post_unification_event, body=body)
    began = datetime(2026, 11, 18, 10, tzinfo=UTC).timestamp()
    assert client.start.started[0].request == RunRequest(jobs=("job-1",), job_start=began, trigger="webhook")
    for wrong in ("yesterday", "2026-11-23T21:00:00", 1e400):
        reply = await client.ask(api.post_unification_event, body={"startedAt": wrong})
        assert (reply.status, "startedAt" in reply.body["detail"]) == (400, True)


@pytest.mark.parametrize(
    ("setting", "operation"), [("webhook", api.post_unification_event), ("start_by_api", api.post_run)]
)
async def test_what_is_switched_off_starts_nothing(setting: str, operation: api.Operation) -> None:
    client = Client(World(**{setting: False}))
    reply = await client.ask(operation, body=b"{}")
    assert (reply.status, reply.body["title"]) == (403, "Switched off")
    assert f"LINKER_{setting.upper()}" in reply.body["detail"]
    assert not client.start.started


@pytest.mark.parametrize(
    ("body", "member"),
    [
        pytest.param(b"{", "The request body isn't valid JSON.", id="no JSON"),
        pytest.param(b"\xff\xfe", "isn't valid JSON", id="no text"),
        pytest.param(b"[1]", "body", id="a list"),
        pytest.param(b"null", "body", id="null"),
        pytest.param(b'{"mode":"sideways"}', "mode", id="another mode"),
        pytest.param(b'{"dryRun":"perhaps"}', "dryRun", id="no bool"),
        pytest.param(b'{"tables":"contact"}', "tables", id="no list"),
        pytest.param(b'{"tables":["a b"]}', "tables", id="no table name"),
        pytest.param(b'{"tables":["' + b"x" * 129 + b'"]}', "tables", id="a long table name"),
        pytest.param(json.dumps({"tables": ["t"] * 201}).encode(), "tables", id="many tables"),
        pytest.param(b'{"dry":true}', "", id="an unknown member"),
        pytest.param(b"[" * 60_000, "isn't valid JSON", id="deep"),
        pytest.param(b"9" * 5_000, "", id="a long number"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_with_what_is_wrong(client: Client, body: bytes, member: str) -> None:
    reply = await client.ask(api.post_run, body=body)
    assert (reply.status, reply.media_type) == (400, "application/problem+json")
    assert member in reply.body["detail"]
    assert not client.start.started


async def test_a_large_body_is_refused(client: Client) -> None:
    assert (await client.ask(api.post_run, body=b" " * 70_000)).status == 413


@pytest.mark.parametrize(
    "body",
    [
        {"mode": "<script>"},
        {"tables": ["<script>"]},
        {"<script>": 1},
        {"tables": {"<script>": 1}},
        {"dryRun": "<script>"},
    ],
    ids=str,
)
async def test_nothing_of_a_body_is_sent_back(client: Client, body: dict[str, object]) -> None:
    reply = await client.ask(api.post_run, body=body)
    assert reply.status == 400
    assert "script" not in json.dumps(reply.body)


@pytest.mark.parametrize("job", ["", "x" * 201, "a\nb", 5, ["x"], "\ud800"], ids=repr)
async def test_a_job_id_that_is_none_is_refused(client: Client, job: object) -> None:
    reply = await client.ask(api.post_unification_event, body={"jobId": job})
    assert reply.status == 400
    assert not client.start.started


@pytest.mark.parametrize("run", ["nothing", "", "../x", "a/b", "x" * 65, "ä", "a'b", "a b"])
async def test_a_run_that_is_not_there_is_not_found_and_not_named(client: Client, run: str) -> None:
    for answer in (
        await client.ask(api.get_run, run=run),
        await client.ask(api.post_cancel, run=run),
        await client.ask(api.get_errors, run=run),
    ):
        assert answer.status == 404
        assert not run or len(run) < 3 or run not in json.dumps(answer.body)


async def test_the_status_before_the_first_run(client: Client) -> None:
    body = (await client.ask(api.get_status)).body
    triggers = body.pop("triggers")
    assert [(one["name"], one["isOn"]) for one in triggers] == [
        ("events", False),
        ("webhook", True),
        ("timer", True),
        ("verify timer", False),
        ("on request", True),
    ]
    assert triggers[2]["next"] > iso(client.api.deps().clock())
    assert body == {
        "task": "CustomerId Backstamping Hydration",
        "group": "Dataverse Hydration",
        "status": "Not started",
        "lastUpdated": None,
        "run": None,
        "dryRun": None,
        "pause": None,
        "signals": [
            {"kind": str(kind), "receivedAt": None, "detail": "", "note": "", "notedAt": None} for kind in SignalKind
        ],
        "capabilities": None,
    }


async def test_a_dry_run_stands_beside_the_real_run_until_the_next_one(client: Client) -> None:
    lock, runs = client.api.deps().lock, client.api.deps().runs
    shown: list[tuple[str | None, str | None]] = []
    for body in (b"{}", b'{"dryRun":true}', b"{}"):
        run = (await client.ask(api.post_run, body=body)).body["id"]
        await run_lifecycle.begin_run(client.api.deps(), client.start.started[-1])
        status = (await client.ask(api.get_status)).body
        assert status["status"] == (await runs.load(status["run"]["id"])).status
        shown.append((status["run"]["id"], (status["dryRun"] or {"id": None})["id"]))
        await lock.finish(run, completed=False)
    first, third = shown[0][0], shown[2][0]
    assert first != third
    assert [(real == first, dry is None) for real, dry in shown] == [(True, True), (True, False), (False, True)]


async def test_a_json_of_a_run_has_the_documented_members(client: Client) -> None:
    reply = await client.ask(api.post_run, body=b"")
    documented = (
        "id mode modeReason trigger status statusDetail startedAt endedAt lastUpdated serviceAccount counts tables"
    )
    assert {*documented.split(), "warnings"} <= reply.body.keys()
    assert set(reply.body["counts"]) == {"rowsRead", "linked", "unchanged", "unlinked", "rejected", "deferred"}


async def test_cancelling_a_run_that_waits_ends_it_and_one_that_runs_is_asked(client: Client) -> None:
    running = (await client.ask(api.post_run, body=b"")).body["id"]
    waiting = (await client.ask(api.post_run, body=b"")).body["id"]
    assert (await client.ask(api.post_cancel, run=waiting)).body["status"] == Status.CANCELED
    assert (await client.ask(api.post_cancel, run=waiting)).status == 409
    assert (await client.ask(api.post_cancel, run=running)).status == 202
    assert (await client.api.deps().lock.peek()).cancel == running


async def test_a_run_that_is_shown_as_ended_cannot_be_canceled_although_it_holds_the_lock_still(client: Client) -> None:
    """A run is shown as ended first and leaves the lock then, and its host may be slow in between, or die."""
    run = (await client.ask(api.post_run, body=b"")).body["id"]
    deps = client.api.deps()
    await deps.runs.advance(run, lambda old: end_early(old, Status.FAILED, "", deps.clock()))
    assert (await deps.lock.peek()).holder is not None
    reply = await client.ask(api.post_cancel, run=run)
    assert reply.status == 409
    assert reply.body["detail"] == f"The run is over: {Status.FAILED}."
    assert (await deps.runs.load(run)).status is Status.FAILED


async def test_a_dead_run_that_was_taken_over_is_not_shown_as_canceled_while_another_run_does_its_work(
    world: World, client: Client
) -> None:
    """The watchdog takes a run over first and shows that then, and its host may die in between."""
    run = (await client.ask(api.post_run, body=b"")).body["id"]
    world.clock.pass_s(world.settings.lease_seconds)
    taken = await world.deps.lock.take_over()
    assert taken is not None
    reply = await client.ask(api.post_cancel, run=run)
    assert reply.status == 409
    assert reply.body["detail"] == f"The run is over: {Status.FAILED}. Run {taken.successor} continues its work."
    shown = (await client.ask(api.get_run, run=run)).body
    assert (shown["status"], shown["followUp"]) == (Status.FAILED, taken.successor)
    assert (await client.ask(api.get_run, run=taken.successor)).status == 200


async def test_a_missing_setting_and_a_passing_fault_are_told_apart() -> None:
    assert failure(ConfigurationError("LINKER_X is missing")).title == "The app is not set up"
    assert failure(TransientError("busy")).title == "Try again later"


async def test_a_table_that_is_named_twice_is_asked_for_once(world: World, client: Client) -> None:
    world.dataverse.table("lead")
    reply = await client.ask(api.post_run, body={"tables": ["contact", "lead", "Contact"]})
    assert reply.body["requestedTables"] == ["contact", "lead"]


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b'{"tables":5}', b'{"mode":[]}', b'{"more":1}'])
async def test_a_refusal_speaks_of_the_request_and_not_of_our_classes(client: Client, body: bytes) -> None:
    detail = (await client.ask(api.post_run, body=body)).body["detail"]
    assert "Body" not in detail
    assert detail.endswith("Nothing was started.")


async def test_a_fault_of_the_app_is_an_answer_too(world: World, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(world)
    world.store.hooks.append(lambda *asked: 1 / 0)
    reply = await client.ask(api.get_status)
    assert (reply.status, reply.media_type) == (500, "application/problem+json")
    assert "get_status" in caplog.text


# ---- the last runs ----


async def test_a_function_key_in_the_query_is_none_of_the_apis_business(client: Client) -> None:
    assert (await client.ask(api.get_runs, code="secret")).status == 200
