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
from tempfile import NamedTemporaryFile
from typing import IO, Any

import httpx

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[3]
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Running:
    """A started host. `ready` is what it printed, `log` the file of what it complains of."""

    process: subprocess.Popen[str]
    log: Path
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


def start_process(
    app: str, *, keys: bool = False, errors: int | IO[str] = subprocess.PIPE, **settings: str
) -> subprocess.Popen[str]:
    """Start the host. A caller that lets it run gives a file for `errors`: it would stand still once a pipe is full."""
    code = f"import sys; from pathlib import Path; from sandbox.host.main import run; run(0, {keys}, Path(sys.argv[1]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, str(APPS / app)],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )


def _read_ready_line(process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    """Return what the host printed when it was ready; fail with what it complained of if it ended before."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"The host ended with code {process.wait()} before it was ready: {log.read_text(encoding='utf-8')}"
    return dict(json.loads(line))


@contextmanager
def running(app: str, *, keys: bool = False, **settings: str) -> Iterator[Running]:
    """Run the host with an app of `apps/` until the end of the block."""
    with (
        NamedTemporaryFile("w", encoding="utf-8") as errors,
        start_process(app, keys=keys, errors=errors.file, **settings) as process,
    ):
        log = Path(errors.name)
        try:
            ready = _read_ready_line(process, log)
            with httpx.Client(base_url=ready["url"], timeout=PATIENCE_S) as http:
                yield Running(process, log, ready, http)
        finally:
            process.kill()
