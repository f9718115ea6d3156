"""What a page costs: requests to storage, and rounds of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

import pytest

from linker.core.model import Status
from linker.entrypoints.api import Reply
from linker.entrypoints.portal import render
from tests.entrypoints.portal.stored_runs import CONTACT, run_id, run_of, stored
from tests.fakes.browser import Browser
from tests.fakes.world import World

# ---- what a page costs ----


class Rounds:
    """Answers all requests that a page has under way at once, and counts how often it does: the depth of a page."""

    def __init__(self, world: World) -> None:
        self.store, self.waiting, self.rounds = world.store, list[asyncio.Event](), 0

    async def of(self, page: Awaitable[Reply]) -> int:
        """Return in how many rounds a page got all that it asked the storage for."""
        network, self.store.network = self.store.network, self.wait
        task = asyncio.ensure_future(page)
        while not task.done():
            await self.settle()
            self.rounds += bool(self.waiting)
            for event in self.waiting:
                event.set()
            self.waiting.clear()
        self.store.network = network
        assert task.result().status == 200, task.result().text
        return self.rounds

    async def settle(self) -> None:
        """Let everything run that waits for its turn alone."""
        for _ in range(100):
            await asyncio.sleep(0)

    async def wait(self) -> None:
        self.waiting.append(asyncio.Event())
        await self.waiting[-1].wait()


@pytest.mark.parametrize(
    ("address", "requests", "rounds"),
    [
        pytest.param("/api/portal", 6, 2, id="status"),
        pytest.param("/api/portal/timeline", 1, 1, id="timeline"),
        pytest.param("/api/portal/history", 1, 1, id="last runs"),
        pytest.param("/api/portal/rows", 2, 2, id="rows"),
        pytest.param("/api/portal/actions", 4, 2, id="actions"),
    ],
)
async def test_on_a_young_installation_a_page_asks_the_storage_few_questions_at_the_same_time(
    world: World, browser: Browser, address: str, requests: int, rounds: int
) -> None:
    await stored(world, run_of(Status.SUCCESSFUL))
    await browser.get(address)  # what a process has to learn once
    world.store.calls = 0
    assert await Rounds(world).of(browser.get(address)) == rounds
    assert world.store.calls == requests


@pytest.fixture(scope="module")
async def crowded() -> World:
    """A world with a thousand runs stored, and one that is under way."""
    world = World()
    done = run_of(Status.SUCCESSFUL, replace(CONTACT, status=Status.SUCCESSFUL))
    for number in range(1_000):
        await world.deps.runs.create(replace(done, id=run_id(number / 2, number)))
    await stored(world, run_of(Status.REFRESHING, CONTACT))
    return world


@pytest.mark.parametrize(
    ("address", "requests", "runs"),
    [
        pytest.param("/api/portal", 7, 100, id="status"),
        pytest.param("/api/portal?run={run}", 7, 100, id="details"),
        pytest.param("/api/portal/history", 5, 100, id="last runs"),
        pytest.param("/api/portal/history?table=contact", 5, 100, id="last runs of a table"),
        pytest.param("/api/portal/timeline?days=30", 1, 1_001, id="timeline"),
        pytest.param("/api/portal/actions", 8, 100, id="actions"),
        pytest.param("/api/portal/runs/{run}/cancel", 3, 1, id="stopping a run"),
    ],
)
async def test_with_a_thousand_runs_stored_a_page_takes_few_requests_and_is_small(
    crowded: World, address: str, requests: int, runs: int
) -> None:
    browser = Browser(crowded)
    await browser.sign_in()
    crowded.store.calls = crowded.store.listed = 0
    reply = await browser.get(address.format(run=run_of(Status.REFRESHING).id))
    assert reply.status == 200
    assert crowded.store.calls <= requests
    assert crowded.store.listed <= runs
    sent = len(reply.text.encode()) + sum((render.FOLDER / name).stat().st_size for name in render.MEDIA_TYPES)
    assert sent < 100_000
