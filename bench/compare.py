"""First link: every competitor on a fresh sandbox of the same seed and profile, one after the other."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from typing import Any

import httpx

from bench import ceiling, optimum
from bench.environment import TABLE, Environment, app_host, sandbox
from bench.neighbor import neighbor
from bench.profiles import Profile, Sizes
from bench.progress import Step
from bench.spent import Spent, spent
from bench.writers import API, ENTITY_SET, KEY, PEERS, Work, Writer, loop_of_patch, told
from linker.adapters.dataverse import Connection, Dataverse
from linker.adapters.dataverse.lookup_column import create
from linker.adapters.dataverse.metadata import find_tables
from linker.adapters.storage.block_store import HASHES
from linker.core.capabilities import TableKind
from linker.core.linking.shards import bits_for
from linker.core.names import LOOKUP_SCHEMA_NAME

LINKER, CEILING = "this engine", "raw ceiling"
SEED = 1


@dataclass(frozen=True, slots=True)
class Result:
    """One competitor in one profile. `lost` are good rows that do not have their link afterwards."""

    profile: str
    competitor: str
    rows: int
    seconds: float
    lost: int
    requests: int
    throttled: int
    told: str = ""
    width: int | None = None
    spent: Spent | None = None  # of this engine
    least_s: float | None = None  # what the limits leave for these rows, see bench/optimum.py
    cpu: float | None = None  # processors in use, on average, by this engine
    others_share: float = 0.0  # of the budget, spent by another client
    block_requests: float | None = None  # to Table Storage for the hash block of a shard

    @property
    def rows_s(self) -> float:
        """Rows offered a second; without those that were lost."""
        return (self.rows - self.lost) / self.seconds

    @property
    def share(self) -> float | None:
        """Rows a second over the most that the limits allow."""
        return self.least_s / self.seconds * (self.rows - self.lost) / self.rows if self.least_s else None


type Job = tuple[Profile, str, Callable[[], Result]]
"""A profile, the name of a competitor, and its measurement."""


def jobs(profile: Profile, all_sizes: Sizes) -> list[Job]:
    """Return the measurements of all competitors in one profile."""
    sizes, found = all_sizes.of(profile), list[Job]()
    for name, write in PEERS.items() if profile.peers else ():
        rows = sizes.patch if write is loop_of_patch else sizes.bulk
        found.append((profile, name, partial(_peer, profile, name, write, rows)))
    if profile.ceiling or (sizes.all_ceilings and profile.processes == 1):
        found.append((profile, CEILING, partial(_ceiling, profile, sizes)))
    return [*found, (profile, LINKER, partial(engine, profile, sizes.engine))]


def measured(job: Job, step: Step) -> Result:
    """Measure one competitor. One whose measurement breaks off is measured again; the second time its result says why."""
    profile, name, measure = job
    for is_last in (False, True):
        step(f"{profile.name}: {name}")
        try:
            return measure()
        except Exception as error:  # the other measurements continue, and the page shows this one
            why = f"The measurement broke off: {type(error).__name__}: {error}"[:160]
            step(f"{profile.name}: {name}: {why}")
            if is_last:
                return Result(profile.name, name, 1, 1.0, 1, 0, 0, why)
    raise AssertionError("the second round returns")


def bad_rows(links: Mapping[str, str], share: float) -> set[str]:
    """Return the rows that Dataverse will refuse, the same for the same rows."""
    return set(random.Random(SEED).sample(sorted(links), ceil(len(links) * share)))


def faults_for(rows: set[str]) -> list[dict[str, object]]:
    """Return faults that refuse these rows without naming them: the whole UpdateMultiple, or the one PATCH, in a batch too."""
    where = (("UpdateMultiple", "body"), ("Update", "path"))
    return [
        {"kind": "plugin_refusal", "operation": operation, matcher: row, "times": None}
        for operation, matcher in where
        for row in sorted(rows)
    ]


def _peer(profile: Profile, name: str, write: Writer, rows: int) -> Result:
    with sandbox(rows, azurite=False, tables=profile.tables) as environment:
        work = _prepare(environment, profile)
        with _counting(environment, profile, work.links) as measured:
            measured["told"] = told(lambda: write(work))
        return _result(profile, name, rows, rows, measured)


def _result(profile: Profile, name: str, rows: int, request_rows: int, measured: dict[str, Any], **more: Any) -> Result:
    least_s = optimum.least_s(profile, rows, request_rows, measured["others_share"])
    return Result(profile.name, name, rows, **measured, **more, least_s=least_s)


def _ceiling(profile: Profile, sizes: Sizes) -> Result:
    """Measure the ceiling. Bad rows are left out: its requests are the good ones."""
    config = profile.sandbox()
    width, batch = optimum.width(config), optimum.engine_request_rows(config)
    width = width // 2 if profile.neighbor else width  # what the other client leaves
    with sandbox(sizes.ceiling, azurite=False, tables=profile.tables) as environment:
        work = _prepare(environment, profile)
        with _counting(environment, replace(profile, bad_share=0.0), work.links) as measured:
            ceiling.send(work, width, batch)
        return _result(profile, CEILING, sizes.ceiling, batch, measured, width=width)


def engine(profile: Profile, rows: int, *, touch: bool = False) -> Result:
    """Measure this engine; with `touch` its last phase writes the profiles too."""
    with sandbox(rows, tables=profile.tables) as environment:
        with app_host(environment, touch=touch, processes=profile.processes) as host:
            links = environment.truth()
            before_s = host.cpu_s()
            with _counting(environment, profile, links) as measured:
                began = time.perf_counter()
                run = host.run()
                measured["told"] = f"{run['status']}. {run['statusDetail']}"[:160]
                cpu_s = host.cpu_s() - before_s
        requests = [(str(kind), start, end) for kind, start, end in host.hub["requests"]]
        where = spent(requests, began, began + measured["seconds"]) if profile.processes == 1 else None
        batch = optimum.engine_request_rows(profile.sandbox())
        asked = sum(count for what, count in host.hub["storage"].items() if HASHES in what)
        blocks = round(asked / (1 << bits_for(rows)), 1) if profile.processes == 1 else None
        return _result(
            profile,
            LINKER,
            rows,
            batch,
            measured,
            spent=where,
            cpu=cpu_s / measured["seconds"],
            block_requests=blocks,
        )


def _prepare(environment: Environment, profile: Profile) -> Work:
    kind = TableKind(profile.tables)
    return Work(environment, asyncio.run(_lookup_column(environment, kind)), environment.truth())


async def _lookup_column(environment: Environment, kind: TableKind) -> str:
    """Create the lookup column as the product does, and return the name of its navigation property."""
    async with connected(environment) as dataverse:
        table = (await find_tables(dataverse, TABLE))[0]
        return await create(dataverse, table, None, kind)


@asynccontextmanager
async def connected(environment: Environment) -> AsyncIterator[Dataverse]:
    """Connect as the product does, with its identity."""
    async with httpx.AsyncClient(verify=environment.trust(), trust_env=False) as client:
        yield Dataverse(Connection(environment.url, client, _Token(environment.token())))


@dataclass(frozen=True, slots=True)
class _Token:
    text: str

    async def token(self) -> str:
        return self.text

    def forget(self) -> None:
        """There is only this one."""


@contextmanager
def _counting(environment: Environment, profile: Profile, links: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Set the profile, time the block, and look at what it cost and at what is missing afterwards."""
    bad = bad_rows(links, profile.bad_share)
    environment.configure(profile.config())
    environment.arm(faults_for(bad))
    environment.reset()
    measured: dict[str, Any] = {"others_share": 0.0}
    with neighbor(environment, list(links)) if profile.neighbor else nullcontext() as other:
        started = time.perf_counter()
        yield measured
        measured["seconds"] = time.perf_counter() - started
        asked = environment.counters()["requests"]
    measured |= {"requests": asked.get("total", 0), "throttled": asked.get("429", 0)}
    if other is not None:
        measured["requests"] -= other.requests
        measured["throttled"] -= other.throttled
        config = profile.sandbox()
        allowed_s = optimum.budget_s(config) / optimum.window_s(config) * measured["seconds"]
        measured["others_share"] = min(0.95, other.rows * optimum.row_s(config) / allowed_s)
    environment.configure({"protection": False, "ms_per_row": 0})
    live = live_links(environment)
    measured["lost"] = sum(1 for row, wanted in links.items() if row not in bad and live.get(row) != wanted)


def live_links(environment: Environment) -> dict[str, str | None]:
    """Return the profile id to which each row is linked now."""
    column = f"_{LOOKUP_SCHEMA_NAME}_value"
    headers = {"Authorization": f"Bearer {environment.token()}", "Prefer": "odata.maxpagesize=5000"}
    found: dict[str, str | None] = {}
    url = f"{API}{ENTITY_SET}?$select={column}"
    while url:
        page = environment.admin.get(url, headers=headers).raise_for_status().json()
        found |= {row[KEY]: row.get(column) for row in page["value"]}
        url = page.get("@odata.nextLink", "")
    return found
