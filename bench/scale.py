"""One table from first link over "nothing changed" to "1 % changed", at two sizes: time, requests, memory, history.

Runs that read every mapping row, and runs that read those that changed (delta scans), on rows that are a day old.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.environment import AppHost, Environment, app_host, sandbox

CHANGED, FEW = 0.01, 0.0001
DAY_S = 86_400.0
READS_ALL = {"LINKER_SMALL_TABLE_ROWS": "100000000"}
READS_CHANGES = {"LINKER_SMALL_TABLE_ROWS": "0"}


@dataclass(frozen=True, slots=True)
class Pass:
    """One run. `written` are rows that Dataverse was asked to write."""

    seconds: float
    requests: int
    written: int
    status: str
    cpu_s: float = 0.0  # of the host process


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
            peaks_mb.append(delta_host.peak_mb())
        with app_host(environment, settings=READS_ALL) as last_host:
            environment.unify({"move": CHANGED, "seed": 7})
            step(f"{rows:,} rows: {CHANGED:.0%} changed")
            changed = _pass(environment, last_host)
            peaks_mb.append(last_host.peak_mb())
        hubs = _hubs([host.hub for host in (first_host, delta_host, last_host)])
        return Growth(rows, first, unchanged, changed, delta_unchanged, delta_changed, max(peaks_mb), **hubs)


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


def _hubs(hubs: Sequence[dict[str, Any]]) -> dict[str, int]:
    return {
        "instances": sum(len(hub["events"]) for hub in hubs),
        "most_events": max((events for hub in hubs for events in hub["events"].values()), default=0),
        "sent_bytes": sum(hub["sent_bytes"] for hub in hubs),
        "received_bytes": sum(hub["received_bytes"] for hub in hubs),
        "most_result_bytes": max(hub["most_bytes"] for hub in hubs),
    }
