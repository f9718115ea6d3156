"""One table from first link over "nothing changed" to "1 % changed", at two sizes: time, requests, memory, history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bench.environment import AppHost, Environment, app_host, sandbox

CHANGED = 0.01


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
    """Everything measured at one size. Memory in MB of 2**20 bytes, history in events, traffic in bytes."""

    rows: int
    first: Pass
    unchanged: Pass
    changed: Pass
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
    """Run the linker three times over a table of so many rows, with no simulated cost and no limits.

    A million rows in a few minutes are more requests than one server allows, and a pause says nothing about growth.
    """
    with sandbox(rows) as environment:
        environment.configure({"protection": False})
        with app_host(environment) as host:
            step(f"{rows:,} rows: first link")
            first = _pass(environment, host)
            step(f"{rows:,} rows: nothing changed")
            unchanged = _pass(environment, host)
            environment.unify({"move": CHANGED, "seed": 7})
            step(f"{rows:,} rows: {CHANGED:.0%} changed")
            changed = _pass(environment, host)
            peak_mb = host.peak_mb()
        return Growth(rows, first, unchanged, changed, peak_mb, **_hub(host.hub))


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


def _hub(hub: dict[str, Any]) -> dict[str, int]:
    return {
        "instances": len(hub["events"]),
        "most_events": max(hub["events"].values(), default=0),
        "sent_bytes": hub["sent_bytes"],
        "received_bytes": hub["received_bytes"],
        "most_result_bytes": hub["most_bytes"],
    }
