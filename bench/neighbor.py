"""Another client with the same application user, which spends half of its budget while a competitor is measured."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import batched, cycle

import httpx

from bench.environment import TABLE, Environment
from bench.writers import API, ENTITY_SET, KEY

LANES = 2  # of the four that the documented limits sustain
ROWS = 200


@dataclass(slots=True)
class Spent:
    """What the neighbor did: rows, requests and refusals."""

    rows: int = 0
    requests: int = 0
    throttled: int = 0
    ended: threading.Event = field(default_factory=threading.Event)


@contextmanager
def neighbor(environment: Environment, rows: list[str]) -> Iterator[Spent]:
    """Write one column of the same rows, without a break but for the pauses that the sandbox asks for."""
    spent = Spent()
    bodies = [_body(part) for part in batched(rows, ROWS, strict=False)]
    threads = [threading.Thread(target=_write, args=(environment, bodies[lane:], spent)) for lane in range(LANES)]
    for thread in threads:
        thread.start()
    try:
        yield spent
    finally:
        spent.ended.set()
        for thread in threads:
            thread.join()


def _body(rows: tuple[str, ...]) -> bytes:
    kind = f"Microsoft.Dynamics.CRM.{TABLE}"
    targets = [{"@odata.type": kind, KEY: row, "jobtitle": f"{time.monotonic_ns()}"} for row in rows]
    return json.dumps({"Targets": targets}, separators=(",", ":")).encode()


def _write(environment: Environment, bodies: list[bytes], spent: Spent) -> None:
    headers = {"Authorization": f"Bearer {environment.token()}", "Content-Type": "application/json"}
    url = f"{API}{ENTITY_SET}/Microsoft.Dynamics.CRM.UpdateMultiple"
    with httpx.Client(base_url=environment.url, verify=environment.trust(), timeout=600, trust_env=False) as client:
        for body in cycle(bodies):
            if spent.ended.is_set():
                return
            answer = client.post(url, content=body, headers=headers)
            spent.requests += 1
            if answer.status_code == 429:
                spent.throttled += 1
                spent.ended.wait(float(answer.headers.get("Retry-After", "1")))
            else:
                answer.raise_for_status()
                spent.rows += ROWS
