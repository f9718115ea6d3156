"""An operator allows the first link of a table that was held (design decision 21)."""

import pytest

from linker import api
from linker.automations import Automation, Kind, estimate
from linker.roles import KEY_HOLDER
from linker.state import FirstLink
from tests.fakes.client import Client
from tests.fakes.world import World

STEP = Automation("Sync", Kind.STEP, id="1")


@pytest.fixture
def world() -> World:
    return World()


async def held(world: World, *ids: str) -> None:
    await world.deps.first_links.hold("contact", ids or (STEP.id,), estimate([STEP], 3, rows_a_request=500))


async def test_an_approval_says_who_and_when_and_asks_for_a_run(world: World) -> None:
    await held(world)
    client = Client(world)
    reply = await client.ask(api.post_approve, table="Contact")
    assert (reply.status, reply.headers["Location"]) == (202, f"https://app/api/runs/{reply.body['id']}")
    (ticket,) = client.start.started
    assert (ticket.run, ticket.request.trigger) == (reply.body["id"], "approval")
    link = await world.deps.first_links.load("contact")
    assert link is not None
    assert link.approval is not None
    assert (link.approval.by, link.approval.at) == (KEY_HOLDER.name, "2026-11-18T11:06:40Z")
    assert link.approval.automations == (STEP.id,)


async def test_it_is_written_down_as_a_manual_action(world: World) -> None:
    await held(world)
    client = Client(world)
    run = (await client.ask(api.post_approve, table="contact")).body["id"]
    (entry,) = (await client.ask(api.get_audit)).body["value"]
    assert (entry["action"], entry["who"], entry["parameters"], entry["run"]) == (
        "post_approve",
        KEY_HOLDER.name,
        {"table": "contact"},
        run,
    )


async def test_what_was_never_held_cannot_be_approved_and_starts_nothing(world: World) -> None:
    client = Client(world)
    reply = await client.ask(api.post_approve, table="contact")
    assert reply.status == 404
    assert "GET /api/preflight" in reply.body["detail"]
    assert not client.start.started


async def test_holding_again_keeps_when_it_began_and_who_approved_what(world: World) -> None:
    await held(world)
    await world.deps.first_links.approve("contact", "Ada")
    before = await world.deps.first_links.load("contact")
    world.clock.pass_s(60)
    await held(world, STEP.id, "2")
    after = await world.deps.first_links.load("contact")
    assert isinstance(before, FirstLink)
    assert isinstance(after, FirstLink)
    assert (after.held_since, after.approval) == (before.held_since, before.approval)
    assert after.automations == (STEP.id, "2")


async def test_two_that_change_it_at_once_lose_nothing(world: World) -> None:
    await held(world)

    async def hold_meanwhile(operation: str, partition: str, row: str) -> None:
        if operation == "replace" and row == "first-link-contact":
            world.store.hooks.clear()
            await held(world, "a", "b")

    world.store.hooks.append(hold_meanwhile)
    link = await world.deps.first_links.approve("contact", "Ada")
    assert link is not None
    assert link.approval is not None
    assert link.approval.automations == ("a", "b")
