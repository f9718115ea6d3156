"""Faults of connections: resets, late commits, and requests that are held.

A server in a thread may be in the midst of a write: what it holds is asked over HTTP, as it serves one request at a time.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from sandbox.identity.accounts import ADMIN
from sandbox.server.app import API_PATH, Sandbox
from tests.sandbox.conftest import bearer, in_process, listening
from tests.sandbox.faults.arming import UPDATE, arm, contacts, fired, update

PATIENCE_S = 120.0
DELAY_S = 1.0


@asynccontextmanager
async def asked(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of the sandbox behind a socket."""
    with listening(sandbox) as url:
        sandbox.environment.base_url = url
        headers = bearer(sandbox, ADMIN, url)
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_S) as client:
            yield client


async def moved(client: httpx.AsyncClient) -> int:
    """Return how many contacts live where the tests send them."""
    found = await client.get(API_PATH + "/contacts?$select=contactid&$filter=address1_city eq 'Tartu'")
    return len(found.raise_for_status().json()["value"])


async def leave_during_a_write(client: httpx.AsyncClient, ids: list[str]) -> None:
    """Send a write of some contacts, and close its connection once a fault strikes it."""
    write = asyncio.create_task(client.post(API_PATH + UPDATE, json=update(ids)))
    async with asyncio.timeout(PATIENCE_S):
        while not (await client.get("/sandbox/faults")).json()["fired"]:
            pass
    assert write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write


async def first_count(client: httpx.AsyncClient) -> int:
    """Return how many contacts are moved as soon as any is."""
    async with asyncio.timeout(PATIENCE_S):
        while not (count := await moved(client)):
            pass
    return count


@pytest.mark.parametrize(("kind", "committed"), [("reset_before_commit", 0), ("reset_after_commit", 5)])
async def test_the_connection_is_reset(sandbox: Sandbox, kind: str, committed: int) -> None:
    ids = contacts(sandbox, 5)
    async with asked(sandbox) as client:
        await client.post("/sandbox/faults", json={"kind": kind})
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await client.post(API_PATH + UPDATE, json=update(ids))
        assert await moved(client) == committed


async def test_a_write_can_commit_after_the_client_gave_up(sandbox: Sandbox) -> None:
    ids = contacts(sandbox, 5)
    async with asked(sandbox) as client:
        await client.post("/sandbox/faults", json={"kind": "late_commit", "delay_s": DELAY_S})
        began = time.monotonic()
        await leave_during_a_write(client, ids)
        assert await first_count(client) == 5
        assert time.monotonic() - began > 0.9 * DELAY_S  # timers count in milliseconds and may be early by one


async def test_held_requests_wait_until_their_fault_is_disarmed(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    number = await arm(admin, kind="held", times=None)
    async with in_process(sandbox) as client:
        waiting = [asyncio.create_task(client.get(API_PATH + "/WhoAmI")) for _ in range(2)]
        for _ in range(1_200):
            if len(await fired(admin)) == 2:
                break
            await asyncio.sleep(0.05)
        assert not any(one.done() for one in waiting)
        await admin.delete(f"/faults/{number}")
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]


async def test_a_held_write_is_served_although_its_client_has_left(sandbox: Sandbox) -> None:
    ids = contacts(sandbox, 5)
    async with asked(sandbox) as client:
        await client.post("/sandbox/faults", json={"kind": "held"})
        await leave_during_a_write(client, ids)
        assert await moved(client) == 0
        await client.delete("/sandbox/faults")
        assert await first_count(client) == 5
