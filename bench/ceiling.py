"""The raw ceiling: UpdateMultiple requests prepared beforehand and sent by a client that does nothing else.

It sends at the width of the hint, sends nothing before Retry-After has passed, and counts from its first request to its last
answer. Requests are as large as this engine's.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from itertools import batched

import aiohttp

from bench.environment import TABLE
from bench.writers import API, ENTITY_SET, KEY, Work


def prepared(work: Work, batch: int) -> list[bytes]:
    """Return the bodies of the requests."""
    kind = f"Microsoft.Dynamics.CRM.{TABLE}"
    rows = [{"@odata.type": kind, KEY: row, **work.change(row)} for row in work.links]
    return [
        json.dumps({"Targets": part}, separators=(",", ":")).encode() for part in batched(rows, batch, strict=False)
    ]


def send(work: Work, width: int, batch: int) -> None:
    """Send all rows with so many requests in flight."""
    bodies = prepared(work, batch)
    headers = {"Authorization": f"Bearer {work.environment.token()}", "Content-Type": "application/json"}
    asyncio.run(_Sender(work, headers).send(bodies, width))


class _Sender:
    """Shares one pause among all requests: a refused request makes the others wait."""

    def __init__(self, work: Work, headers: Mapping[str, str]) -> None:
        self.url = f"{work.environment.url}{API}{ENTITY_SET}/Microsoft.Dynamics.CRM.UpdateMultiple"
        self.trust = ssl.create_default_context(cafile=work.environment.ca)
        self.headers = headers
        self.held_until = 0.0

    async def send(self, bodies: Sequence[bytes], width: int) -> None:
        waiting = iter(bodies)
        async with aiohttp.ClientSession(
            headers=self.headers,
            connector=aiohttp.TCPConnector(ssl=self.trust),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
        ) as session:

            async def sender() -> None:
                for body in waiting:  # shared: each body is taken once
                    await self._until_accepted(session, body)

            await asyncio.gather(*(sender() for _ in range(width)))

    async def _until_accepted(self, session: aiohttp.ClientSession, body: bytes) -> None:
        while True:
            await asyncio.sleep(max(0.0, self.held_until - time.monotonic()))
            async with session.post(self.url, data=body) as answer:
                if answer.status != 429:  # what a bad row refuses stays refused: this client searches nothing
                    return
                wait_s = float(answer.headers.get("Retry-After", "1"))
            self.held_until = max(self.held_until, time.monotonic() + wait_s)
