"""Outages pass: work starts again soon, no answer hangs a run, and a promised run is started by the next request."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from linker.adapters import outgoing as tokens_module
from linker.adapters.dataverse import Connection, Dataverse, http
from linker.adapters.outgoing import Identity
from linker.adapters.storage import table_client
from linker.core.errors import TransientError
from linker.core.model import Mode, RunRequest, Status, TableRun, Ticket
from linker.core.runs.activity_values import Ending
from linker.durable.activities import run_lifecycle
from linker.services import housekeeping, run_requests
from tests.fakes.client import Starter
from tests.fakes.lives import begun
from tests.fakes.requests import URL
from tests.fakes.world import StaticTokens, World

GOOD = TableRun("contact", "crm", Status.SUCCESSFUL)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def start() -> Starter:
    return Starter()


# ---- a run that ended as retrying ----


async def ended(world: World, start: Starter, request: RunRequest, status: Status) -> str:
    run = (await run_requests.request_run(world.deps, request, start)).id
    await run_lifecycle.begin_run(world.deps, start.started[-1])
    await world.deps.runs.advance(run, lambda old: old)
    await run_lifecycle.end_run(world.deps, Ending(run, status, "Table Storage answered 503."))
    return run


REQUESTS = {
    "incremental": RunRequest(),
    "verify": RunRequest(Mode.VERIFY),
    "full": RunRequest(Mode.FULL),
    "some tables": RunRequest(tables=("contact",)),
    "unification": RunRequest(jobs=("job",), trigger="event"),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_run_that_ended_as_retrying_is_asked_for_again_within_minutes(
    world: World, start: Starter, request_: RunRequest
) -> None:
    await ended(world, start, RunRequest(), Status.SUCCESSFUL)
    run = await ended(world, start, request_, Status.RETRYING)
    assert await run_requests.poll(world.deps, start) == ""
    world.clock.pass_s(run_requests.PASSING_RETRY_S + 1)
    again = await run_requests.poll(world.deps, start)
    assert again not in ("", run)
    asked = start.started[-1].request
    assert (asked.mode, asked.tables, asked.jobs) == (request_.mode, request_.tables, request_.jobs)


@pytest.mark.parametrize("tables", [(), ("contact", "lead")], ids=["all tables", "some tables"])
async def test_a_run_of_which_one_table_is_tried_again_is_asked_for_within_minutes(
    world: World, start: Starter, tables: tuple[str, ...]
) -> None:
    """Another table failed for good, and nothing has moved in Dataverse."""
    marks = await run_requests.marks_of(world.deps, None)
    await run_lifecycle.end_run(world.deps, Ending(await begun(world, start), marks=marks))
    world.clock.pass_s(60.0)
    run = (await run_requests.request_run(world.deps, RunRequest(tables=tables), start)).id
    await run_lifecycle.begin_run(world.deps, start.started[-1])
    ends = (replace(GOOD, status=Status.RETRYING), TableRun("lead", "crm", Status.FAILED))
    await world.deps.runs.advance(run, lambda old: replace(old, tables=ends))
    await run_lifecycle.end_run(world.deps, Ending(run))
    assert await run_requests.poll(world.deps, start) == ""
    world.clock.pass_s(run_requests.PASSING_RETRY_S + 1)
    assert await run_requests.poll(world.deps, start) not in ("", run)
    assert start.started[-1].request.tables == tables


@pytest.mark.parametrize("status", [Status.CANCELED, Status.SUCCESSFUL])
async def test_others_are_not(world: World, start: Starter, status: Status) -> None:
    await ended(world, start, RunRequest(tables=("contact",)), status)
    world.clock.pass_s(run_requests.PASSING_RETRY_S + 1)
    await run_requests.poll(world.deps, start)
    assert start.started[-1].request.tables != ("contact",) or len(start.started) == 1


# ---- a promised run ----

type Repair = Callable[[World, Starter], Awaitable[object]]


async def the_same_key(world: World, start: Starter) -> None:
    await run_requests.request_run(world.deps, RunRequest(), start, "key.one")


async def another_key(world: World, start: Starter) -> None:
    await run_requests.request_run(world.deps, RunRequest(), start, "other.one")


async def another_request(world: World, start: Starter) -> None:
    await run_requests.request_run(world.deps, RunRequest(dry_run=True), start)


async def the_next_tick(world: World, start: Starter) -> None:
    await housekeeping.watch_runs(world.deps, start)


@pytest.mark.parametrize("repair", [the_same_key, another_key, another_request, the_next_tick])
@pytest.mark.parametrize("lost_after", range(1, 8))
async def test_a_run_whose_request_broke_off_is_started_by_the_next_caller(
    world: World, start: Starter, lost_after: int, repair: Repair
) -> None:
    """Storage fails from the n-th operation after the lock was taken on, or the task hub does not take the run."""
    taken: list[str] = []

    def away(operation: str, partition: str, row: str) -> None:
        if taken or (row == "lock" and operation in ("insert", "replace")):
            taken.append(operation)
        if len(taken) > lost_after:
            raise TransientError("Table Storage answered 503.")

    async def lost(ticket: Ticket) -> None:
        raise TransientError("The task hub does not answer.")

    world.store.hooks.append(away)
    with pytest.raises(TransientError):
        await run_requests.request_run(world.deps, RunRequest(), lost, "key.one")
    world.store.hooks.clear()
    holder = (await world.deps.lock.peek()).holder
    assert holder is not None
    await repair(world, start)
    assert start.started[0].run == holder.run
    assert await world.deps.runs.load(holder.run) is not None


# ---- answers that trickle ----


class Trickle(httpx.AsyncByteStream):
    async def __aiter__(self) -> Any:
        while True:
            yield b" "
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("method", "reads"), [("GET", False), ("POST", True)])
async def test_a_read_that_trickles_ends(monkeypatch: pytest.MonkeyPatch, method: str, reads: bool) -> None:
    monkeypatch.setattr(http, "READ_LIMIT_S", 0.05)
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Trickle())))
    one = Dataverse(Connection(URL, client, StaticTokens()))
    async with asyncio.timeout(60):
        with pytest.raises(TransientError, match=r"within 0\.05 s") as raised:
            await one.connection.send(one.meter, method, "contacts", reads=reads)
    assert type(raised.value) is TransientError


async def test_a_token_that_never_comes_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        async def get_token(self, *_: object, **__: object) -> None:
            await asyncio.sleep(3_600)

    monkeypatch.setattr(tokens_module, "ANSWER_S", 0.05)
    async with asyncio.timeout(60):
        with pytest.raises(TransientError, match="no token within"):
            await Identity(None, Hanging()).get_token("scope")  # type: ignore[arg-type]


async def test_an_answer_of_storage_that_never_ends_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> None:
        await asyncio.sleep(3_600)

    monkeypatch.setattr(table_client, "_ANSWER_S", 0.05)
    async with asyncio.timeout(60):
        with pytest.raises(TransientError, match="Reading"):
            await table_client._answer("Reading", never)
