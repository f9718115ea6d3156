"""GET /api/runs with filters, unknown query parameters, and tables that do not exist."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from linker.core.errors import TransientError
from linker.core.model import Counts, Mode, Run, Status, TableRun
from linker.entrypoints import api
from linker.entrypoints.operations import Operation
from tests.fakes.client import Client
from tests.fakes.world import World, contact_id

CONTACT, LEAD = (TableRun(name, "crm", Status.SUCCESSFUL) for name in ("contact", "lead"))
PLACES = {"run": "r", "table": "contact", "row": contact_id(1)}


def run_of(day: int, **facts: Any) -> Run:
    return replace(Run(f"202611{day:02}T120000Z-0a", Mode.INCREMENTAL, Status.SUCCESSFUL, tables=(CONTACT,)), **facts)


RUNS = [
    run_of(1, mode=Mode.FULL, tables=(CONTACT, LEAD)),
    run_of(2, status=Status.FAILED, started_at="2026-11-02T12:00:00Z", ended_at="2026-11-02T12:01:00Z"),
    run_of(3, dry_run=True),
    run_of(4, requested_tables=("lead",), tables=(), status=Status.QUEUED),
    run_of(5, tables=(), status=Status.QUEUED),
]


@pytest.fixture
async def world() -> World:
    """Five runs of five days, each requested at noon."""
    made = World()
    for run in RUNS:
        await requested(made, run)
    return made


async def requested(world: World, run: Run) -> None:
    """Save a run as requested at the time in its id."""
    world.clock.pass_s(datetime.strptime(run.id, "%Y%m%dT%H%M%SZ-0a").replace(tzinfo=UTC).timestamp() - world.clock())
    await world.deps.runs.create(run)


async def days(world: World, **query: object) -> list[int]:
    """Return the days of the runs that are listed."""
    reply = await Client(world).ask(api.get_runs, **query)
    assert reply.status == 200, reply.text
    return [int(run["id"][6:8]) for run in reply.body["value"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, [5, 4, 3, 2, 1], id="all"),
        pytest.param({"status": "Queued"}, [5, 4], id="status"),
        pytest.param({"status": "Failed (permanent)"}, [2], id="status of two words"),
        pytest.param({"mode": "full"}, [1], id="mode"),
        pytest.param({"table": "LEAD"}, [5, 4, 1], id="table, and a run of all tables that has not settled them"),
        pytest.param({"dryRun": "true"}, [3], id="dry runs"),
        pytest.param({"dryRun": "false", "status": "Successful"}, [1], id="real runs with a status"),
        pytest.param({"since": "2026-11-03T12:00:00Z"}, [5, 4, 3], id="since, inclusive"),
        pytest.param({"until": "2026-11-03T12:00:00Z"}, [2, 1], id="until, exclusive"),
        pytest.param({"since": "2026-11-02T13:00:00+01:00", "until": "2026-11-03T00:00:00Z"}, [2], id="another offset"),
        pytest.param({"status": "Canceled"}, [], id="none"),
    ],
)
async def test_runs_are_filtered(world: World, query: dict[str, str], expected: list[int]) -> None:
    assert await days(world, **query) == expected


async def test_pages_of_a_filtered_list_follow_each_other(world: World) -> None:
    client, found, query = Client(world), [], {"table": "lead", "top": "1"}
    while True:
        body = (await client.ask(api.get_runs, **query)).body
        found += [int(run["id"][6:8]) for run in body["value"]]
        if body["continuation"] is None:
            break
        query["continuation"] = body["continuation"]
    assert found == [5, 4, 1]


async def test_a_run_is_compared_with_those_that_the_filter_leaves_out() -> None:
    world = World()
    for day in (1, 2):
        ended = {"started_at": f"2026-11-0{day}T12:00:00Z", "ended_at": f"2026-11-0{day}T12:0{day}:00Z"}
        await requested(world, run_of(day, counts=Counts(day, day), **ended))
    (shown,) = (await Client(world).ask(api.get_runs, since="2026-11-02T00:00:00Z")).body["value"]
    assert (shown["change"]["run"], shown["change"]["seconds"]) == (run_of(1).id, 100.0)


@pytest.mark.parametrize("one", api.OPERATIONS, ids=lambda one: one.name)
async def test_a_query_parameter_that_is_not_known_is_refused_and_not_repeated(one: Operation) -> None:
    places = {name: PLACES[name] for name in one.parameters}
    reply = await Client(World()).ask(one, **places, **{"<stauts>": "Failed"})
    assert (reply.status, reply.body["title"]) == (400, "The query isn't valid")
    assert "The query has a parameter that isn't known" in reply.body["detail"]
    assert "stauts" not in reply.text


async def test_the_refusal_names_the_parameters_and_a_function_key_is_one(world: World) -> None:
    detail = (await Client(world).ask(api.get_runs, foo=1)).body["detail"]
    assert detail.endswith("Known: top, continuation, status, mode, table, since, until, dryRun.")
    assert await days(world, code="a-key", mode="full") == [1]


# ---- tables that do not exist ----


async def test_a_table_that_does_not_exist_is_refused_at_once() -> None:
    client = Client(World())
    reply = await client.ask(api.post_run, body={"tables": ["contact", "nope"]})
    assert (reply.status, reply.body["title"]) == (404, "Unknown table")
    assert reply.body["detail"] == "Dataverse has no table 'nope'. Nothing was started. Check its logical name."
    assert not client.start.started


async def test_a_table_of_an_earlier_run_is_known_without_a_look_at_dataverse() -> None:
    world = World()
    world.people(1)
    await world.link()
    del world.dataverse.tables["contacts"]
    assert (await Client(world).ask(api.post_run, body={"tables": ["contact"]})).status == 202


async def test_when_dataverse_does_not_answer_the_run_is_started_and_looks_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def silent(*_: object) -> None:
        raise TransientError("Dataverse could not be reached.")

    monkeypatch.setattr("linker.entrypoints.api.runs.find_tables", silent)
    assert (await Client(World()).ask(api.post_run, body={"tables": ["nope"]})).status == 202
