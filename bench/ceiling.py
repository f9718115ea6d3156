"""The raw ceiling: UpdateMultiple requests prepared beforehand and sent by a client that does nothing else."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

import aiohttp

from bench.environment import TABLE
from bench.profiles import Profile
from bench.writers import API, ENTITY_SET, KEY, Work
from linker.core.pace import Pace

WIDTHS = (2, 4, 8, 16)
BATCH = Pace().batch


@dataclass(frozen=True, slots=True)
class Rate:
    """What a width brought."""

    width: int
    rows: int
    seconds: float

    @property
    def rows_s(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def prepared(work: Work, batch: int = BATCH) -> list[bytes]:
    """Return the bodies of the requests."""
    kind = f"Microsoft.Dynamics.CRM.{TABLE}"
    rows = [{"@odata.type": kind, KEY: row, **work.change(row)} for row in work.links]
    return [
        json.dumps({"Targets": part}, separators=(",", ":")).encode() for part in batched(rows, batch, strict=False)
    ]


def widths_to_try(profile: Profile) -> list[int]:
    """Return the widths that a profile sustains; above them a write sent sooner is a write refused later."""
    return [width for width in WIDTHS if profile.sustains(width)]


def best(rates: Sequence[Rate]) -> Rate:
    """Return the fastest."""
    return max(rates, key=lambda rate: rate.rows_s)


def send(work: Work, width: int) -> Rate:
    """Send all rows with so many requests in flight and return the rate. A 429 is repeated after its Retry-After."""
    bodies = prepared(work)
    headers = {"Authorization": f"Bearer {work.environment.token()}", "Content-Type": "application/json"}
    return Rate(width, len(work.links), asyncio.run(_send_all(work, bodies, headers, width)))


async def _send_all(work: Work, bodies: Sequence[bytes], headers: Mapping[str, str], width: int) -> float:
    trust = ssl.create_default_context(cafile=work.environment.ca)
    url = f"{work.environment.url}{API}{ENTITY_SET}/Microsoft.Dynamics.CRM.UpdateMultiple"
    waiting = iter(bodies)
    async with aiohttp.ClientSession(
        headers=headers, connector=aiohttp.TCPConnector(ssl=trust), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        started = time.perf_counter()

        async def sender() -> None:
            for body in waiting:  # shared: each body is taken once
                await _until_accepted(session, url, body)

        await asyncio.gather(*(sender() for _ in range(width)))
        return time.perf_counter() - started


async def _until_accepted(session: aiohttp.ClientSession, url: str, body: bytes) -> None:
    while True:
        async with session.post(url, data=body) as answer:
            if answer.status != 429:  # what a bad row refuses stays refused: this client searches nothing
                return
            wait_s = float(answer.headers.get("Retry-After", "1"))
        await asyncio.sleep(wait_s)
