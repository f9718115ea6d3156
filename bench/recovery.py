"""How long the work pauses when the host is killed while it writes, with the settings of a deployed app.

Several are killed at the same time, each beside a sandbox of its own: most of the time they wait.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from bench.compare import live_links
from bench.environment import Environment, ended, linker_settings, running, sandbox

TIMES, ROWS, MS_PER_ROW = 3, 40_000, 2.0
KILLED_AT = 0.25  # of the rows written
UNDER_WAY_S = 5.0  # writes that were under way when the host was killed have ended by then
LONGEST_S = 400.0
POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds from the kill to the first write afterwards, and to the end of the work; `lost` rows lack their link then."""

    continues_s: float
    done_s: float
    lost: int
    status: str


def measure(times: int = TIMES) -> tuple[Recovery, ...]:
    """Kill hosts in the middle of a first link, start others at once, and follow their work."""
    with ThreadPoolExecutor(times) as pool:
        return tuple(pool.map(lambda _: _killed_once(), range(times)))


def _killed_once() -> Recovery:
    with sandbox(ROWS) as environment, TemporaryDirectory() as folder:
        environment.configure({"ms_per_row": MS_PER_ROW})
        settings = linker_settings(environment) | {
            "BENCH_METER": str(Path(folder) / "meter.json"),
            "LINKER_TOUCH_PROFILES": "false",
        }
        command = [sys.executable, "-m", "bench.metered_host"]
        with running(command, settings) as (ready, pid):
            with httpx.Client(base_url=ready["url"], timeout=60, trust_env=False) as client:
                run = client.post("/api/runs", json={}).raise_for_status().json()["id"]
            _until(lambda: _written(environment) >= KILLED_AT * ROWS)
            os.kill(pid, signal.SIGKILL)
            killed = time.perf_counter()
        with running(command, settings) as (ready, _):
            time.sleep(max(0.0, UNDER_WAY_S - (time.perf_counter() - killed)))
            before = _written(environment)
            _until(lambda: _written(environment) > before)
            continues_s = time.perf_counter() - killed
            with httpx.Client(base_url=ready["url"], timeout=60, trust_env=False) as client:
                last = _followed(client, run)
        done_s = time.perf_counter() - killed
        return Recovery(round(continues_s, 1), round(done_s, 1), _lost(environment), last["status"])


def _followed(client: httpx.Client, run: str) -> dict[str, Any]:
    """Return the run that did the work of an interrupted one, when it has ended."""
    found = ended(client, run)
    while found.get("followUp"):
        found = ended(client, found["followUp"])
    return found


def _written(environment: Environment) -> int:
    return sum(table["rowsWritten"] for table in environment.counters()["tables"].values())


def _lost(environment: Environment) -> int:
    environment.configure({"protection": False, "ms_per_row": 0})
    live = live_links(environment)
    return sum(1 for row, wanted in environment.truth().items() if live.get(row) != wanted)


def _until(is_so: Callable[[], bool]) -> None:
    end = time.perf_counter() + LONGEST_S
    while not is_so():
        if time.perf_counter() > end:
            raise RuntimeError(f"What was waited for did not come within {LONGEST_S:.0f} s.")
        time.sleep(POLL_S)
