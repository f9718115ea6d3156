"""One table from first link over "nothing changed" to "1 % changed", at two sizes: time, requests, memory, history.

Runs that read every mapping row, and runs that read those that changed (delta scans), on rows that are a day old. Delta
scans of 1 % changed rows are measured with rows that cost something as well, beside the writes of as many rows alone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from bench import ceiling, optimum
from bench.compare import connected
from bench.environment import TABLE, AppHost, Environment, app_host, sandbox
from bench.profiles import NORMAL, PLUGINS, Profile
from bench.writers import API, ENTITY_SET, KEY, Work
from linker.adapters.dataverse import lookup_column
from linker.core.names import LOOKUP_SCHEMA_NAME
from sandbox.switches.config import SandboxConfig

CHANGED, FEW = 0.01, 0.0001
DAY_S = 86_400.0
READS_ALL = {"LINKER_SMALL_TABLE_ROWS": "100000000"}
READS_CHANGES = {"LINKER_SMALL_TABLE_ROWS": "0"}
COSTS = (NORMAL, PLUGINS)  # what a changed row costs to write


@dataclass(frozen=True, slots=True)
class Pass:
    """One run. `written` are rows that Dataverse was asked to write."""

    seconds: float
    requests: int
    written: int
    status: str
    cpu_s: float = 0.0  # of the host process


@dataclass(frozen=True, slots=True)
class Costly:
    """A delta scan of 1 % changed rows that take `ms_per_row` each, and the seconds of as many writes alone."""

    ms_per_row: float
    run: Pass
    writes_s: float

    @property
    def over_writes(self) -> float:
        """Time of the run over that of its writes alone."""
        return self.run.seconds / self.writes_s


@dataclass(frozen=True, slots=True)
class Growth:
    """Everything measured at one size. Memory in MB of 2**20 bytes, history in events, traffic in bytes.

    `unchanged` and `changed` read every mapping row; `delta_unchanged` and `delta_changed` those that changed.
    """

    rows: int
    first: Pass
    unchanged: Pass
    changed: Pass
    delta_unchanged: Pass
    delta_changed: Pass
    costly: tuple[Costly, ...]
    peak_mb: float
    instances: int
    most_events: int
    sent_bytes: int
    received_bytes: int
    most_result_bytes: int

    @property
    def requests_allowed(self) -> float:
        """Requests that an unchanged run may cost with 500 rows a response, without its constant."""
        return self.rows / 500 * 1.05


def measure(rows: int, step: Callable[[str], None]) -> Growth:
    """Run the linker over a table of so many rows, with no simulated cost and no limits.

    A million rows in a few minutes are more requests than one server allows, and a pause says nothing about growth.
    """
    with sandbox(rows, age_s=DAY_S) as environment:
        environment.configure({"protection": False})
        with app_host(environment, settings=READS_ALL) as first_host:
            step(f"{rows:,} rows: first link")
            first = _pass(environment, first_host)
            step(f"{rows:,} rows: nothing changed")
            unchanged = _pass(environment, first_host)
            peaks_mb = [first_host.peak_mb()]
        with app_host(environment, settings=READS_CHANGES) as delta_host:
            # What was written within ten minutes of the newest row is read again: here, all that was loaded.
            environment.unify({"move": FEW, "seed": 9})
            _pass(environment, delta_host)
            step(f"{rows:,} rows: nothing changed, delta scan")
            delta_unchanged = _pass(environment, delta_host)
            environment.unify({"move": CHANGED, "seed": 8})
            step(f"{rows:,} rows: {CHANGED:.0%} changed, delta scan")
            delta_changed = _pass(environment, delta_host)
            costly = tuple(_costly(environment, delta_host, profile, step) for profile in COSTS)
            peaks_mb.append(delta_host.peak_mb())
        with app_host(environment, settings=READS_ALL) as last_host:
            environment.unify({"move": CHANGED, "seed": 7})
            step(f"{rows:,} rows: {CHANGED:.0%} changed")
            changed = _pass(environment, last_host)
            peaks_mb.append(last_host.peak_mb())
        hubs = _hubs([host.hub for host in (first_host, delta_host, last_host)])
        return Growth(rows, first, unchanged, changed, delta_unchanged, delta_changed, costly, max(peaks_mb), **hubs)


def _pass(environment: Environment, host: AppHost) -> Pass:
    environment.reset()
    before_s = host.cpu_s()
    run = host.run()
    if run["status"] != "Successful":  # one that failed writes nothing, and fast: no figure of it means anything
        raise RuntimeError(f"The run ended {run['status']}: {run['statusDetail']}")
    counters = environment.counters()
    written = sum(table["rowsWritten"] for table in counters["tables"].values())
    return Pass(
        run["wallSeconds"], counters["requests"].get("total", 0), written, run["status"], host.cpu_s() - before_s
    )


def _costly(environment: Environment, host: AppHost, profile: Profile, step: Callable[[str], None]) -> Costly:
    step(f"{environment.rows:,} rows: {CHANGED:.0%} changed, delta scan, {profile.ms_per_row:g} ms a row")
    environment.unify({"move": CHANGED, "seed": int(10 + profile.ms_per_row)})
    environment.configure({**profile.config(), "protection": False})
    run = _pass(environment, host)
    writes_s = _write_alone(environment, profile, run.written)
    free = SandboxConfig()
    environment.configure({"ms_per_row": free.ms_per_row, "latency_growth": free.latency_growth})
    return Costly(profile.ms_per_row, run, writes_s)


def _write_alone(environment: Environment, profile: Profile, rows: int) -> float:
    """Return the seconds that a client takes that only writes so many rows, each with the link that it has."""
    config = profile.sandbox()
    width = optimum.width(config)
    # As many requests in each lane, so that none ends before the others.
    each = ceil(rows / width / optimum.engine_request_rows(config))
    work = Work(environment, asyncio.run(_navigation(environment)), _linked(environment, rows))
    began = time.perf_counter()
    ceiling.send(work, width, ceil(rows / width / each))
    return time.perf_counter() - began


async def _navigation(environment: Environment) -> str:
    async with connected(environment) as dataverse:
        return await lookup_column.find(dataverse, TABLE) or ""


def _linked(environment: Environment, rows: int) -> dict[str, str]:
    """Return so many rows with the profile to which each is linked."""
    column = f"_{LOOKUP_SCHEMA_NAME}_value"
    headers = {"Authorization": f"Bearer {environment.token()}", "Prefer": "odata.maxpagesize=5000"}
    found: dict[str, str] = {}
    url = f"{API}{ENTITY_SET}?$select={column}&$filter={column} ne null"
    while url and len(found) < rows:
        page = environment.admin.get(url, headers=headers).raise_for_status().json()
        found |= {row[KEY]: row[column] for row in page["value"][: rows - len(found)]}
        url = page.get("@odata.nextLink", "")
    return found


def _hubs(hubs: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {
        "instances": sum(len(hub["events"]) for hub in hubs),
        "most_events": max((events for hub in hubs for events in hub["events"].values()), default=0),
        "sent_bytes": sum(hub["sent_bytes"] for hub in hubs),
        "received_bytes": sum(hub["received_bytes"] for hub in hubs),
        "most_result_bytes": max(hub["most_bytes"] for hub in hubs),
    }
