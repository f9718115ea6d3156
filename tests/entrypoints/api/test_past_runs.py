"""The last runs: in order, page by page, filtered, and compared."""

import json

import pytest

from linker.core.model import Mode, Run, Status
from linker.entrypoints import api
from tests.fakes.client import Client
from tests.fakes.world import World


async def past_runs(world: World, number: int) -> list[str]:
    """Leave that many completed runs; return their ids, newest first."""
    ids = [f"20261123T0000{n:02}Z-{n:08}" for n in range(number)]
    for run in ids:
        await world.deps.runs.create(Run(run, Mode.INCREMENTAL, Status.SUCCESSFUL))
    return ids[::-1]


async def test_the_last_runs_come_newest_first_and_page_by_page_without_gap_or_repetition(world: World) -> None:
    ids, client = await past_runs(world, 5), Client(world)
    shown, continuation = [], ""
    while True:
        page = (await client.ask(api.get_runs, top=2, continuation=continuation)).body
        shown.append([run["id"] for run in page["value"]])
        if page["continuation"] is None:
            break
        continuation = page["continuation"]
    assert shown == [ids[:2], ids[2:4], ids[4:]]


async def test_the_last_run_of_a_page_is_compared_with_one_behind_it(world: World) -> None:
    newest, before = await past_runs(world, 2)
    (shown,) = (await Client(world).ask(api.get_runs, top=1)).body["value"]
    assert (shown["id"], shown["change"]["run"]) == (newest, before)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"top": 0}, "top"),
        ({"top": 101}, "top"),
        ({"top": "<script>"}, "top"),
        ({"continuation": "<script>"}, "previous response"),
        ({"continuation": "x"}, "previous response"),
        ({"continuation": "_w"}, "previous response"),
        ({"continuation": "A" * 1_001}, "continuation"),
    ],
    ids=str,
)
async def test_a_query_that_does_not_fit_is_refused(client: Client, query: dict[str, object], named: str) -> None:
    reply = await client.ask(api.get_runs, **query)
    assert (reply.status, reply.media_type) == (400, "application/problem+json")
    assert named in reply.body["detail"]
    assert "script" not in json.dumps(reply.body)
