"""First link: every competitor on a fresh sandbox of the same seed and profile, one after the other."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Any

import httpx

from bench import ceiling
from bench.environment import TABLE, Environment, app_host, sandbox
from bench.profiles import Profile, Sizes
from bench.progress import Step
from bench.spent import Spent, spent
from bench.writers import API, ENTITY_SET, KEY, PEERS, Work, Writer, loop_of_patch, told
from linker.dataverse import Connection, Dataverse
from linker.dataverse.column import create
from linker.dataverse.metadata import find_tables
from linker.model import LOOKUP_SCHEMA_NAME

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

    @property
    def rows_s(self) -> float:
        """Rows offered a second; without those that were lost."""
        return (self.rows - self.lost) / self.seconds


def compare(profile: Profile, sizes: Sizes, step: Step) -> list[Result]:
    """Measure all competitors in one profile."""
    sizes, results = sizes.of(profile), []
    for name, write in PEERS.items():
        step(f"{profile.name}: {name}")
        results.append(_peer(profile, name, write, sizes.patch if write is loop_of_patch else sizes.bulk))
    step(f"{profile.name}: {CEILING}")
    results.append(_ceiling(profile, sizes))
    step(f"{profile.name}: {LINKER}")
    results.append(engine(profile, sizes.engine))
    return results


def steps(profiles: int) -> int:
    """Return how many times `compare` tells a step over so many profiles."""
    return profiles * (len(PEERS) + 2)


def bad_rows(links: Mapping[str, str], share: float) -> set[str]:
    """Return the rows that Dataverse will refuse, the same for the same rows."""
    return set(random.Random(SEED).sample(sorted(links), ceil(len(links) * share)))


def faults_for(rows: set[str]) -> list[dict[str, object]]:
    """Return faults that refuse these rows without naming them: the whole UpdateMultiple, or the one PATCH, in a batch too."""
    bulk, single = (
        {"kind": "server_error", "operation": "UpdateMultiple"},
        {"kind": "sql_timeout", "operation": "Update"},
    )
    kinds = ((bulk, "body"), (single, "path"))
    return [{**kind, matcher: row, "times": None} for kind, matcher in kinds for row in sorted(rows)]


def _peer(profile: Profile, name: str, write: Writer, rows: int) -> Result:
    with sandbox(rows, azurite=False) as environment:
        work = _prepare(environment, profile)
        with _counting(environment, profile, work.links) as measured:
            measured["told"] = told(lambda: write(work))
        return Result(profile.name, name, rows, **measured)


def _ceiling(profile: Profile, sizes: Sizes) -> Result:
    """Search the width on part of the rows, then measure it. Bad rows are left out: its requests are the good ones."""
    widths = ceiling.widths_to_try(profile)
    with sandbox(sizes.ceiling, azurite=False) as environment:
        work = _prepare(environment, profile)
        environment.configure(profile.config())
        some = Work(environment, work.navigation, dict(list(work.links.items())[: sizes.search]))
        tried = [_rested(environment, lambda width=width: ceiling.send(some, width)) for width in widths]  # type: ignore[misc]
        width = ceiling.best(tried).width
        with _counting(
            environment, Profile(profile.name, profile.ms_per_row, "", profile.switches), work.links
        ) as measured:
            ceiling.send(work, width)
        return Result(profile.name, CEILING, sizes.ceiling, **measured, width=width)


def _rested[T](environment: Environment, measure: Callable[[], T]) -> T:
    environment.reset()
    return measure()


def engine(profile: Profile, rows: int, *, touch: bool = False) -> Result:
    """Measure this engine; with `touch` its last phase writes the profiles too."""
    with sandbox(rows) as environment:
        with app_host(environment, touch=touch) as host:
            links = environment.truth()
            with _counting(environment, profile, links) as measured:
                began = time.perf_counter()
                run = host.run()
                measured["told"] = f"{run['status']}. {run['statusDetail']}"[:160]
        where = spent(
            [(str(kind), start, end) for kind, start, end in host.hub["requests"]], began, began + measured["seconds"]
        )
        return Result(profile.name, LINKER, rows, **measured, spent=where)


def _prepare(environment: Environment, profile: Profile) -> Work:
    del profile
    return Work(environment, asyncio.run(_lookup_column(environment)), environment.truth())


async def _lookup_column(environment: Environment) -> str:
    """Create the lookup column as the product does, and return the name of its navigation property."""
    trust = ssl.create_default_context(cafile=environment.ca)
    async with httpx.AsyncClient(verify=trust, trust_env=False) as client:
        dataverse = Dataverse(Connection(environment.url, client, _Token(environment.token())))
        table = (await find_tables(dataverse, TABLE))[0]
        return (await create(dataverse, table, None)).navigation


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
    measured: dict[str, Any] = {}
    started = time.perf_counter()
    yield measured
    measured["seconds"] = time.perf_counter() - started
    asked = environment.counters()["requests"]
    measured |= {"requests": asked.get("total", 0), "throttled": asked.get("429", 0)}
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
