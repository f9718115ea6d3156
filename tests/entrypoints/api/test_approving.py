"""An operator allows the first link of a table that was held (docs/dev/proofs.md G21)."""

from typing import Any

import pytest

from linker.adapters.storage import FirstLink
from linker.core.errors import ConflictError
from linker.core.permissions.automations import Automation, Kind, estimate
from linker.core.roles import KEY_HOLDER
from linker.entrypoints import api
from tests.fakes.client import Client
from tests.fakes.world import World

STEP = Automation("Sync", Kind.STEP, id="1")


async def held(world: World, *ids: str, shown: str = "Plug-in step 'Sync'.") -> str:
    """Hold the first link of contact; return the digest of what is shown."""
    cost = estimate([STEP], 3, rows_a_request=500)
    await world.deps.first_links.hold("contact", ids or (STEP.id,), cost, (shown,))
    link = await world.deps.first_links.load("contact")
    assert link is not None
    return link.digest


async def test_an_approval_says_who_and_when_and_asks_for_a_run(world: World) -> None:
    digest = await held(world)
    client = Client(world)
    seen = (await client.ask(api.get_first_link, table="Contact")).body
    assert (seen["digest"], seen["waits"], seen["automations"]) == (digest, True, ["Plug-in step 'Sync'."])
    reply = await client.ask(api.post_approve, table="Contact", body={"digest": digest})
    assert (reply.status, reply.headers["Location"]) == (202, f"https://app/api/runs/{reply.body['id']}")
    (ticket,) = client.start.started
    assert (ticket.run, ticket.request.trigger) == (reply.body["id"], "approval")
    link = await world.deps.first_links.load("contact")
    assert link is not None
    assert link.approval is not None
    assert (link.approval.by, link.approval.at) == (KEY_HOLDER.name, "2026-11-18T11:06:40Z")
    assert link.approval.automations == (STEP.id,)


async def test_it_is_written_down_as_a_manual_action(world: World) -> None:
    digest = await held(world)
    client = Client(world)
    run = (await client.ask(api.post_approve, table="contact", body={"digest": digest})).body["id"]
    (entry,) = (await client.ask(api.get_audit)).body["value"]
    assert (entry["action"], entry["who"], entry["parameters"], entry["run"]) == (
        "post_approve",
        KEY_HOLDER.name,
        {"table": "contact"},
        run,
    )


async def test_what_was_never_held_cannot_be_approved_and_starts_nothing(world: World) -> None:
    client = Client(world)
    reply = await client.ask(api.post_approve, table="contact", body={"digest": "0" * 16})
    assert reply.status == 404
    assert "GET /api/preflight" in reply.body["detail"]
    assert not client.start.started


async def test_holding_again_keeps_when_it_began_and_who_approved_what(world: World) -> None:
    await world.deps.first_links.approve("contact", "Ada", await held(world))
    before = await world.deps.first_links.load("contact")
    world.clock.pass_s(60)
    await held(world, STEP.id, "2")
    after = await world.deps.first_links.load("contact")
    assert isinstance(before, FirstLink)
    assert isinstance(after, FirstLink)
    assert (after.held_since, after.approval) == (before.held_since, before.approval)
    assert after.automations == (STEP.id, "2")


async def test_what_changes_while_it_is_approved_is_not_approved(world: World) -> None:
    digest = await held(world)

    async def hold_meanwhile(operation: str, partition: str, row: str) -> None:
        if operation == "replace" and row == "first-link-contact":
            world.store.hooks.clear()
            await held(world, "a", "b")

    world.store.hooks.append(hold_meanwhile)
    with pytest.raises(ConflictError, match="not what you saw"):
        await world.deps.first_links.approve("contact", "Ada", digest)
    link = await world.deps.first_links.load("contact")
    assert link is not None
    assert (link.approval, link.automations) == (None, ("a", "b"))


async def test_an_approval_stays_when_a_first_look_of_another_host_ends_after_it(world: World) -> None:
    """Two hosts find the table held for the first time; an operator approves what the faster one showed."""

    async def be_faster(operation: str, partition: str, row: str) -> None:
        if operation in ("insert", "replace") and row == "first-link-contact":
            world.store.hooks.clear()
            await world.deps.first_links.approve("contact", "Ada", await held(world))

    world.store.hooks.append(be_faster)
    await held(world)
    link = await world.deps.first_links.load("contact")
    assert link is not None
    assert link.approval is not None
    assert not link.waits


@pytest.mark.parametrize(
    "later",
    [
        pytest.param({"ids": ("1", "2")}, id="another automation"),
        pytest.param({"ids": ("2",)}, id="one for another"),
        pytest.param({"ids": ("unread",)}, id="automations that cannot be read any more"),
        pytest.param({"shown": "Plug-in step 'Sync', synchronous now."}, id="another behavior of the same one"),
    ],
)
async def test_an_approval_of_what_is_no_longer_so_is_refused_with_what_to_do(
    world: World, later: dict[str, Any]
) -> None:
    digest = await held(world)
    await held(world, *later.pop("ids", ("1",)), **later)
    client = Client(world)
    reply = await client.ask(api.post_approve, table="contact", body={"digest": digest})
    assert (reply.status, reply.body["title"]) == (409, "Look again")
    assert not client.start.started
    link = await world.deps.first_links.load("contact")
    assert link is not None
    assert link.approval is None


@pytest.mark.parametrize("body", [None, {}, {"digest": ""}, {"digest": "x" * 16}, {"digest": None}])
async def test_an_approval_says_what_it_approves(world: World, body: object) -> None:
    await held(world)
    assert (await Client(world).ask(api.post_approve, table="contact", body=body)).status == 400
