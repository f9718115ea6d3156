"""The local host as a process of its own, as users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[3]
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Running:
    """A started host. `ready` is what it printed."""

    process: subprocess.Popen[str]
    ready: dict[str, Any]
    http: httpx.Client

    def start(self, orchestrator: str, instance_id: str, given: object = None) -> httpx.Response:
        return self.http.post(f"/api/start/{orchestrator}/{instance_id}", json=given)

    def status(self, instance_id: str) -> dict[str, Any]:
        return dict(self.http.get(f"/runtime/webhooks/durabletask/instances/{instance_id}").json())

    def outcome(self, orchestrator: str, instance_id: str, given: object = None) -> dict[str, Any]:
        """Run an orchestration to its end and return its status."""
        assert self.start(orchestrator, instance_id, given).status_code == 202
        return self.ended(instance_id)

    def ended(self, instance_id: str) -> dict[str, Any]:
        return until(lambda: self.status(instance_id), lambda status: status["runtimeStatus"] not in UNFINISHED)

    def seen(self) -> dict[str, Any]:
        return dict(self.http.get("/api/seen").json())


UNFINISHED = {"Pending", "Running"}


def until[T](ask: Callable[[], T], good: Callable[[T], bool]) -> T:
    """Ask again until the answer is good, and return it."""
    end = time.monotonic() + PATIENCE_S
    while not good(answer := ask()):
        assert time.monotonic() < end, f"still {answer}"
        time.sleep(0.02)
    return answer


def start_process(app: str, *, keys: bool = False, **settings: str) -> subprocess.Popen[str]:
    code = f"import sys; from pathlib import Path; from sandbox.host.main import run; run(0, {keys}, Path(sys.argv[1]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(APPS / app)],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _read_ready_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return what the host printed when it was ready; fail with what it complained of if it ended before."""
    assert process.stdout is not None
    assert process.stderr is not None
    line = process.stdout.readline()
    assert line, f"The host ended with code {process.wait()} before it was ready: {process.stderr.read()}"
    return dict(json.loads(line))


@contextmanager
def running(app: str, *, keys: bool = False, **settings: str) -> Iterator[Running]:
    """Run the host with an app of `apps/` until the end of the block."""
    process = start_process(app, keys=keys, **settings)
    with process:
        try:
            ready = _read_ready_line(process)
            with httpx.Client(base_url=ready["url"], timeout=PATIENCE_S) as http:
                yield Running(process, ready, http)
        finally:
            process.kill()
