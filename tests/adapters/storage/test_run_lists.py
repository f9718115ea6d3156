"""Lists of runs: from summaries beside the runs, in requests that do not grow with what is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from linker.adapters.storage import Documents, Runs
from linker.core.model import Counts, Finding, Mode, Run, Status, TableRun, Verdict
from linker.core.ports import Tables
from linker.core.runs.history import summary
from linker.core.serialization import brief
from tests.fakes.memory_tables import MemoryTables

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
TABLE = TableRun(
    "contact",
    "crm",
    Status.SUCCESSFUL,
    "a detail",
    Mode.FULL,
    counts=Counts(rows_read=3, linked=3),
    findings=(Finding("R1", Verdict.MET, "evidence"),),
)


def run_of(hours_ago: float) -> Run:
    return Run(f"{NOW - timedelta(hours=hours_ago):%Y%m%dT%H%M%SZ}-0a", Mode.FULL, Status.SUCCESSFUL, tables=(TABLE,))


def runs_on(tables: Tables) -> Runs:
    return Runs(Documents(tables, "env"), NOW.isoformat)


async def test_runs_of_some_days_come_newest_first(tables: Tables) -> None:
    runs = runs_on(tables)
    for hours in (1, 100, 30):
        await runs.create(run_of(hours))
    assert [run.id for run in await runs.since(3)] == [run_of(1).id, run_of(30).id]
    assert [run.id for run in await runs.since(None)] == [run_of(1).id, run_of(30).id, run_of(100).id]


async def test_a_list_shows_a_run_as_it_is_now() -> None:
    runs = runs_on(MemoryTables())
    await runs.create(replace(run_of(1), status=Status.REFRESHING))
    whole = await runs.advance(run_of(1).id, lambda run: replace(run, status=Status.WARNINGS, warnings=("w",)))
    assert await runs.since(1) == [summary(whole)]


async def test_a_run_of_an_earlier_version_is_listed_as_well() -> None:
    store = MemoryTables()
    runs = runs_on(store)
    await Documents(store, "env").insert(f"run-{run_of(1).id}", run_of(1))
    assert await runs.since(1) == [run_of(1)]


async def test_a_run_of_more_tables_than_a_summary_holds_is_listed_as_well() -> None:
    runs = runs_on(MemoryTables())
    many = replace(run_of(1), tables=tuple(replace(TABLE, table=f"table{n}") for n in range(400)))
    await runs.create(many)
    ((listed,), whole) = await runs.since(1), await runs.load(many.id)
    assert listed == whole


@pytest.mark.parametrize(
    ("hours", "most", "requests"),
    [
        pytest.param([1, 2, 3], 3, 1, id="all of them were lately"),
        pytest.param([1, 20, 100], 3, 2, id="within ten days"),
        pytest.param([1, 20, 9_000], 3, 3, id="as far back as runs are kept"),
        pytest.param([n / 4 for n in range(1_000)], 20, 1, id="of a thousand"),
    ],
)
async def test_the_newest_runs_take_few_requests(hours: list[float], most: int, requests: int) -> None:
    store = MemoryTables()
    runs = runs_on(store)
    for each in hours:
        await runs.create(run_of(each))
    for expected in (requests, 1):  # a process that asks again knows how far back it has to look
        store.calls = 0
        assert [run.id for run in await runs.newest(most)] == [run_of(each).id for each in hours[:most]]
        assert store.calls == expected


async def test_an_installation_that_gets_busy_is_read_no_further_back_than_necessary() -> None:
    store = MemoryTables()
    runs = runs_on(store)
    for hours in range(24, 9_000, 24):
        await runs.create(run_of(hours))
    assert len(await runs.newest(20)) == 20
    for n in range(40):
        await runs.create(run_of(n / 4))
    await runs.newest(20)
    store.listed = 0
    assert len(await runs.newest(20)) == 20
    assert store.listed <= 41


async def test_a_thousand_runs_are_one_request() -> None:
    store = MemoryTables()
    runs = runs_on(store)
    for n in range(1_000):
        await runs.create(run_of(n / 2))
    store.calls = 0
    assert len(await runs.since(30)) == 1_000
    assert store.calls == 1


def test_a_summary_is_small() -> None:
    assert len(brief(summary(run_of(1)))) < 400
    assert len(brief(summary(replace(run_of(1), status_detail="x" * 5_000, mode_reason="y" * 5_000)))) < 1_000
