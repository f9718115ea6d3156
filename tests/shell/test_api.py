"""The HTTP API without its transport: bodies, answers, and nothing of the input in them."""

import json

import pytest

from linker import api
from linker.errors import ConfigurationError, TransientError
from linker.model import Mode, RunRequest, Status, Ticket
from tests.fakes.world import World

BASE = "https://app"


class Starter:
    """Remembers the runs that were started."""

    def __init__(self) -> None:
        self.started: list[Ticket] = []

    async def __call__(self, ticket: Ticket) -> None:
        self.started.append(ticket)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


async def test_a_run_is_accepted_located_and_readable_at_once(world: World, start: Starter) -> None:
    body = b'{"mode":"full","dryRun":true,"tables":["Contact"]}'
    reply = await api.post_run(world.deps, body, start, BASE)
    run = reply.body["id"]
    assert (reply.status, reply.headers["Location"]) == (202, f"{BASE}/api/runs/{run}")
    assert start.started == [Ticket(run, RunRequest(Mode.FULL, dry_run=True, tables=("contact",)))]
    found = await api.get_run(world.deps, run)
    assert (found.status, found.body["status"], found.body["mode"]) == (200, "Queued", "full")


async def test_a_request_that_was_merged_leads_to_the_run_that_does_it(world: World, start: Starter) -> None:
    first = await api.post_run(world.deps, b"", start, BASE)
    second = await api.post_run(world.deps, b"{}", start, BASE)
    third = await api.post_run(world.deps, b'{"mode":"full"}', start, BASE)
    assert len(start.started) == 1
    assert first.body["id"] != second.body["id"] == third.body["id"]
    assert (await api.get_run(world.deps, second.body["id"])).body["status"] == "Queued"


@pytest.mark.parametrize("member", ["jobId", "workflowJobId", "unificationJobId"])
async def test_the_same_unification_twice_is_one_run(world: World, start: Starter, member: str) -> None:
    body = json.dumps({member: "job-1", "whatever": {"a flow": "sends"}}).encode()
    replies = [await api.post_unification_event(world.deps, body, start, BASE) for _ in range(3)]
    assert len({reply.body["id"] for reply in replies}) == 1
    assert [ticket.request.jobs for ticket in start.started] == [("job-1",)]


@pytest.mark.parametrize(
    ("body", "member"),
    [
        pytest.param(b"{", "no JSON", id="no JSON"),
        pytest.param(b"\xff\xfe", "no JSON", id="no text"),
        pytest.param(b"[1]", "body", id="a list"),
        pytest.param(b"null", "body", id="null"),
        pytest.param(b'{"mode":"sideways"}', "mode", id="another mode"),
        pytest.param(b'{"dryRun":"perhaps"}', "dryRun", id="no bool"),
        pytest.param(b'{"tables":"contact"}', "tables", id="no list"),
        pytest.param(b'{"tables":["a b"]}', "tables", id="no table name"),
        pytest.param(b'{"tables":["' + b"x" * 129 + b'"]}', "tables", id="a long table name"),
        pytest.param(json.dumps({"tables": ["t"] * 201}).encode(), "tables", id="many tables"),
        pytest.param(b'{"dry":true}', "", id="an unknown member"),
        pytest.param(b"[" * 60_000, "no JSON", id="deep"),
        pytest.param(b"9" * 5_000, "", id="a long number"),
    ],
)
async def test_a_body_that_is_wrong_is_refused_with_what_is_wrong(
    world: World, start: Starter, body: bytes, member: str
) -> None:
    reply = await api.post_run(world.deps, body, start, BASE)
    assert (reply.status, reply.media_type) == (400, "application/problem+json")
    assert member in reply.body["detail"]
    assert not start.started


async def test_a_large_body_is_refused(world: World, start: Starter) -> None:
    assert (await api.post_run(world.deps, b" " * 70_000, start, BASE)).status == 413


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
async def test_nothing_of_a_body_is_sent_back(world: World, start: Starter, body: dict[str, object]) -> None:
    reply = await api.post_run(world.deps, json.dumps(body).encode(), start, BASE)
    assert reply.status == 400
    assert "script" not in json.dumps(reply.body)


@pytest.mark.parametrize("job", ["", "x" * 201, "a\nb", 5, ["x"], "\ud800"], ids=repr)
async def test_a_job_id_that_is_none_is_refused(world: World, start: Starter, job: object) -> None:
    reply = await api.post_unification_event(world.deps, json.dumps({"jobId": job}).encode(), start, BASE)
    assert reply.status == 400
    assert not start.started


@pytest.mark.parametrize("run", ["nothing", "", "../x", "a/b", "x" * 65, "ä", "a'b", "a b"])
async def test_a_run_that_is_not_there_is_not_found_and_not_named(world: World, run: str) -> None:
    for answer in (
        await api.get_run(world.deps, run),
        await api.post_cancel(world.deps, run),
        await api.get_errors(world.deps, run),
    ):
        assert answer.status == 404
        assert not run or len(run) < 3 or run not in json.dumps(answer.body)


async def test_the_status_before_the_first_run(world: World) -> None:
    assert (await api.get_status(world.deps)).body == {
        "task": "CustomerId Backstamping Hydration",
        "group": "Dataverse Hydration",
        "status": "Not started",
        "lastUpdated": None,
        "run": None,
    }


async def test_a_json_of_a_run_has_the_documented_members(world: World, start: Starter) -> None:
    reply = await api.post_run(world.deps, b"", start, BASE)
    documented = (
        "id mode modeReason trigger status statusDetail startedAt endedAt lastUpdated serviceAccount counts tables"
    )
    assert {*documented.split(), "warnings"} <= reply.body.keys()
    assert set(reply.body["counts"]) == {"rowsRead", "linked", "unchanged", "unlinked", "rejected", "deferred"}


async def test_cancelling_a_run_that_waits_ends_it_and_one_that_runs_is_asked(world: World, start: Starter) -> None:
    running = (await api.post_run(world.deps, b"", start, BASE)).body["id"]
    waiting = (await api.post_run(world.deps, b"", start, BASE)).body["id"]
    assert (await api.post_cancel(world.deps, waiting)).body["status"] == Status.CANCELED
    assert (await api.post_cancel(world.deps, waiting)).status == 409
    assert (await api.post_cancel(world.deps, running)).status == 202
    assert (await world.deps.lock.peek()).cancel == running


async def test_a_missing_setting_and_a_passing_fault_are_told_apart() -> None:
    assert api.failure(ConfigurationError("LINKER_X is missing")).body["title"] == "The app is not set up"
    assert api.failure(TransientError("busy")).body["title"] == "Try again later"
