"""Looks at Dataverse for callers: shared, kept for seconds, within a budget, and open to no other site."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from linker.core.errors import BusyError, TransientError
from linker.core.model import Status
from linker.deps import KEPT_S, MAX_COST, MAX_KEPT, PREFLIGHT_COST, REFUSED_S, WINDOW_S, Looks
from linker.entrypoints import api
from tests.fakes.browser import Browser
from tests.fakes.client import Client
from tests.fakes.principal import headers
from tests.fakes.world import World


class Work:
    """Counts how often it is done; `error` is what it meets."""

    def __init__(self, error: Exception | None = None) -> None:
        self.done, self.error = 0, error

    async def __call__(self) -> int:
        self.done += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return self.done


async def test_callers_at_the_same_time_share_one_look() -> None:
    looks, work = Looks(), Work()
    assert await asyncio.gather(*(looks.once("a", 1, 0.0, work) for _ in range(50))) == [1] * 50


@pytest.mark.parametrize(
    ("error", "kept_s"), [(None, KEPT_S), (TransientError("busy"), REFUSED_S)], ids=["answer", "refusal"]
)
async def test_an_answer_serves_for_seconds(error: Exception | None, kept_s: float) -> None:
    looks, work = Looks(), Work(error)
    for now in (0.0, kept_s - 0.1, kept_s + 0.1):
        if error is None:
            await looks.once("a", 1, now, work)
        else:
            with pytest.raises(TransientError):
                await looks.once("a", 1, now, work)
    assert work.done == 2


async def test_other_looks_are_other_looks_and_a_decision_makes_all_of_them_new() -> None:
    looks, work = Looks(), Work()
    assert [await looks.once(kind, 1, 0.0, work) for kind in ("a", "b", "a")] == [1, 2, 1]
    looks.forget()
    assert await looks.once("a", 1, 0.0, work) == 3


@pytest.mark.parametrize("error", [None, TransientError("busy")], ids=["answer", "refusal"])
async def test_a_look_that_began_before_a_decision_does_not_serve_callers_after_it(error: Exception | None) -> None:
    looks, work, before = Looks(), Work(error), asyncio.Event()

    async def slow() -> int:
        await before.wait()
        return await work()

    under_way = asyncio.create_task(looks.once("a", 1, 10.0, slow))
    await asyncio.sleep(0)
    looks.forget()
    after = asyncio.create_task(looks.once("a", 1, 10.0, work))
    before.set()
    await asyncio.gather(under_way, after, return_exceptions=True)
    assert work.done == 2


async def test_looks_that_the_budget_refuses_are_forgotten_too() -> None:
    looks, work = Looks(), Work()
    for number in range(10 * MAX_KEPT):
        with suppress(BusyError):
            await looks.once(f"{number}", int(MAX_COST), 1.0, work)
    assert len(looks._looks) <= MAX_KEPT + 1


async def test_all_looks_together_stay_within_their_budget_for_any_caller_and_question() -> None:
    looks, work = Looks(), Work()
    served = 0
    for number in range(2_000):
        try:
            await looks.once(f"row {number}", 20, number * WINDOW_S / 1_000, work)
            served += 1
        except BusyError as error:
            assert 0 < error.wait_s <= WINDOW_S
    assert served * 20 <= MAX_COST + 2 * MAX_COST  # the first budget, and what two windows give
    assert work.done == served
    assert len(looks._looks) <= 2 * MAX_KEPT


async def test_a_hundred_preflights_of_a_viewer_cost_one() -> None:
    world = World(declared=("R2", "R5"))
    world.people(3)
    client = Client(world, authenticated=True, headers=headers(("roles", "viewer")))
    replies = await asyncio.gather(*(client.ask(api.get_preflight) for _ in range(100)))
    asked = len(world.dataverse.asked)
    assert {reply.status for reply in replies} == {200}
    assert await client.ask(api.get_preflight) == replies[0]
    assert len(world.dataverse.asked) == asked
    assert asked < 2 * PREFLIGHT_COST


async def test_who_asks_for_too_much_hears_when_to_come_again() -> None:
    world = World(declared=("R2", "R5"))
    world.people(3)
    client = Client(world)
    statuses = []
    for _ in range(20):
        world.deps.looks.forget()
        reply = await client.ask(api.get_preflight)
        statuses.append(reply.status)
    assert set(statuses) == {200, 429}
    assert statuses.count(200) == MAX_COST // PREFLIGHT_COST
    assert int(reply.headers["Retry-After"]) >= 1
    world.clock.pass_s(WINDOW_S)
    assert (await client.ask(api.get_preflight)).status == 200


SITES = [
    pytest.param(
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"}, 403, id="img"
    ),
    pytest.param(
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}, 403, id="frame"
    ),
    pytest.param(
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, 403, id="fetch"
    ),
    pytest.param(
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, 403, id="a neighbor"
    ),
    pytest.param(
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}, 200, id="link"
    ),
    pytest.param(
        {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, 200, id="own page"
    ),
    pytest.param({}, 200, id="no browser"),
]


@pytest.mark.parametrize(("says", "status"), SITES)
@pytest.mark.parametrize("page", ["/api/portal", "/api/portal/preflight", "/api/portal/rows", "/api/portal/history"])
async def test_no_other_site_makes_a_browser_look(page: str, says: dict[str, str], status: int) -> None:
    world = World(declared=("R2", "R5"))
    browser = Browser(world, authenticated=True, headers={**headers(("roles", "viewer")), **says})
    reply = await browser.get(page)
    assert reply.status == status
    assert status == 200 or not world.dataverse.asked


async def test_a_look_that_fails_is_not_repeated_by_everybody_who_waits() -> None:
    world = World(declared=("R2", "R5"))

    def busy(_: object) -> None:
        raise TransientError("busy")

    world.dataverse.hooks.append(busy)
    client = Client(world)
    replies = await asyncio.gather(*(client.ask(api.get_preflight) for _ in range(30)))
    assert {reply.status for reply in replies} == {503}
    assert len(world.dataverse.asked) < 5
    assert (await client.ask(api.get_status)).body["status"] == Status.NOT_STARTED
