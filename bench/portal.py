"""The status page with few and with many runs stored: what must not grow with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from statistics import median

import httpx

from bench.environment import AppHost, Environment, app_host, sandbox
from linker.adapters.storage import Documents, Runs, TaskState
from linker.adapters.storage.table_client import AzureTables
from linker.bootstrap import environment_key
from linker.core.model import Counts, Mode, Run, Status, TableRun

FEW, MANY = 10, 1_000
DAYS = 30
SAMPLES = 21
WRITES_AT_ONCE = 16
PAGES = {
    "Status": "",
    "Progress details": "?run={run}",
    "Last runs of the task": "/history",
    "Timeline of 30 days": f"/timeline?days={DAYS}",
}


@dataclass(frozen=True, slots=True)
class PageTime:
    """One page: median milliseconds from request to answer with FEW and with MANY runs stored, and bytes of its HTML."""

    name: str
    few_ms: float
    many_ms: float
    html_bytes: int


def measure() -> tuple[PageTime, ...]:
    """Return every page, asked for one after the other by one visitor."""
    runs = past_runs(MANY)
    with sandbox(1) as environment, app_host(environment) as host, _signed_in(host) as client:
        asyncio.run(_store(environment, runs[:FEW]))
        few = _times(client, runs[0].id)
        asyncio.run(_store(environment, runs[FEW:]))
        many = _times(client, runs[0].id)
    return tuple(PageTime(name, few[name][0], *many[name]) for name in PAGES)


def past_runs(count: int) -> list[Run]:
    """Return runs of the last DAYS days, newest first."""
    now, apart = datetime.now(UTC), timedelta(days=DAYS) / (count + 1)
    return [_run(now - number * apart, number) for number in range(1, count + 1)]


def _run(asked: datetime, number: int) -> Run:
    counts = Counts(100_000, number, 100_000 - number)
    tables = tuple(
        TableRun(name, "DynamicsSales", Status.SUCCESSFUL, mode=Mode.INCREMENTAL, counts=counts)
        for name in ("contact", "lead", "account")
    )
    return Run(
        f"{asked:%Y%m%dT%H%M%SZ}-{number:08x}",
        Mode.INCREMENTAL,
        Status.SUCCESSFUL,
        trigger="event",
        requested_at=_text(asked),
        started_at=_text(asked),
        ended_at=_text(asked + timedelta(minutes=2)),
        counts=counts + counts + counts,
        tables=tables,
    )


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


async def _store(environment: Environment, runs: Sequence[Run]) -> None:
    tables = AzureTables(connection_string=environment.ready["tables"])
    documents, gate = Documents(tables, environment_key(environment.url)), asyncio.Semaphore(WRITES_AT_ONCE)

    async def store(run: Run) -> None:
        async with gate:
            await Runs(documents, lambda: run.requested_at).create(run)

    await asyncio.gather(*(store(run) for run in runs))
    await Runs(documents, str).change_task(lambda task: _showing(task, runs[0].id))
    await tables.close()


async def _showing(task: TaskState, run: str) -> TaskState:
    return replace(task, run=run)


@contextmanager
def _signed_in(host: AppHost) -> Iterator[httpx.Client]:
    with host.client() as client:
        client.post("/api/portal-session")
        yield client


def _times(client: httpx.Client, run: str) -> dict[str, tuple[float, int]]:
    return {name: _time(client, f"/api/portal{path.format(run=run)}") for name, path in PAGES.items()}


def _time(client: httpx.Client, path: str) -> tuple[float, int]:
    """Return median milliseconds, and bytes of the answer."""
    taken = []
    for _ in range(SAMPLES):
        started = time.perf_counter()
        answer = client.get(path).raise_for_status()
        taken.append((time.perf_counter() - started) * 1000)
    return round(median(taken), 1), len(answer.content)
