"""Faults of connections: resets, late commits, and requests that are held."""

import asyncio

import httpx
import pytest

from sandbox.identity.accounts import ADMIN
from sandbox.server.app import API_PATH, Sandbox
from tests.sandbox.conftest import bearer, in_process, listening
from tests.sandbox.faults.arming import UPDATE, arm, cities, contacts, fired, update


@pytest.mark.parametrize(("kind", "committed"), [("reset_before_commit", 0), ("reset_after_commit", 5)])
async def test_the_connection_is_reset(sandbox: Sandbox, kind: str, committed: int) -> None:
    with listening(sandbox) as url:
        sandbox.environment.base_url = url
        async with httpx.AsyncClient(base_url=url, headers=bearer(sandbox, ADMIN, url)) as client:
            await client.post("/sandbox/faults", json={"kind": kind})
            with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                await client.post(API_PATH + UPDATE, json=update(contacts(sandbox, 5)))
            assert cities(sandbox) == committed
            assert (await client.get(API_PATH + "/WhoAmI")).status_code == 200


async def test_a_write_can_commit_after_the_client_gave_up(sandbox: Sandbox) -> None:
    with listening(sandbox) as url:
        sandbox.environment.base_url = url
        async with httpx.AsyncClient(base_url=url, headers=bearer(sandbox, ADMIN, url)) as client:
            await client.post("/sandbox/faults", json={"kind": "late_commit", "delay_s": 3.0})
            with pytest.raises(httpx.ReadTimeout):
                await client.post(
                    API_PATH + UPDATE, json=update(contacts(sandbox, 5)), timeout=httpx.Timeout(60, read=0.05)
                )
            assert cities(sandbox) == 0
            for _ in range(1_200):
                await asyncio.sleep(0.05)
                if cities(sandbox):
                    break
            assert cities(sandbox) == 5


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
    with listening(sandbox) as url:
        sandbox.environment.base_url = url
        async with httpx.AsyncClient(base_url=url, headers=bearer(sandbox, ADMIN, url)) as client:
            await client.post("/sandbox/faults", json={"kind": "held"})
            with pytest.raises(httpx.ReadTimeout):
                await client.post(
                    API_PATH + UPDATE, json=update(contacts(sandbox, 5)), timeout=httpx.Timeout(60, read=0.05)
                )
            assert cities(sandbox) == 0
            await client.delete("/sandbox/faults")
            for _ in range(1_200):
                if cities(sandbox):
                    break
                await asyncio.sleep(0.05)
            assert cities(sandbox) == 5
