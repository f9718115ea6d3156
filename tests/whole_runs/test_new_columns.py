"""A lookup column that was just created is unknown to some servers for half a minute, for reads and for writes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from linker.core.model import Counts, Status
from tests.fakes.app import FakeApp
from tests.fakes.requests import COLUMN, NAVIGATION, Refusal, Request
from tests.fakes.world import World

LAG_S = 30.0
UNKNOWN = {
    "payload": Refusal(400, "0x80048d19", "Error identified in Payload"),
    "property": Refusal(400, "0x0", f"Could not find a property named '_{COLUMN}_value'."),
    "no code": Refusal(400, "", f"Eine Eigenschaft '{NAVIGATION}' ist nicht bekannt."),
}


def names_column(asked: Request) -> bool:
    return COLUMN in str(asked.options) + asked.path or NAVIGATION in str(asked.body)


def is_read(asked: Request) -> bool:
    return asked.method == "GET" and not asked.path.startswith("EntityDefinitions")


def is_write(asked: Request) -> bool:
    return asked.kind in ("update", "patch")


def is_either(asked: Request) -> bool:
    return is_read(asked) or is_write(asked)


def unknown(world: World, refusal: Refusal, concerns: Callable[[Request], bool], *, every: int = 1) -> list[str]:
    """Let each `every`-th request that names the column meet a server that does not know it, for half a minute."""
    until, met = world.clock.now + LAG_S, list[str]()
    seen = [0]

    def hook(asked: Any) -> None:
        if world.clock.now < until and concerns(asked) and names_column(asked):
            seen[0] += 1
            if seen[0] % every == 0:
                met.append(asked.kind)
                raise refusal

    world.dataverse.hooks.append(hook)
    return met


@pytest.mark.parametrize("refusal", UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.parametrize("concerns", [is_read, is_write, is_either])
@pytest.mark.parametrize("every", [1, 2, 3], ids=["no lucky server", "every second", "every third"])
@pytest.mark.parametrize("bulk", [True, False], ids=["bulk", "single"])
def test_a_first_run_waits_for_servers_that_do_not_know_the_column(
    make_app: Callable[..., FakeApp], refusal: Refusal, concerns: Callable[[Request], bool], every: int, bulk: bool
) -> None:
    app = make_app()
    world: World = app.world  # type: ignore[assignment]
    world.contacts.column, world.contacts.bulk = False, bulk
    met = unknown(world, refusal, concerns, every=every)
    run = app.run()
    assert (run.status, run.counts) == (Status.SUCCESSFUL, Counts(rows_read=3, linked=3)), run.status_detail
    assert world.is_right()
    assert met or every == 3  # there are few writes


async def state(world: World, **values: Any) -> None:
    await world.prepare()
    await world.deps.change_state("contact", lambda old: replace(old, **values))


@pytest.mark.parametrize("refusal", UNKNOWN.values(), ids=UNKNOWN)
@pytest.mark.parametrize("values", [{"linked": False}, {"epoch": "run0"}], ids=["the next run", "created again"])
async def test_the_run_after_that_waits_as_well(refusal: Refusal, values: dict[str, Any]) -> None:
    world = World()
    world.people(3)
    await state(world, **values)
    unknown(world, refusal, is_write)
    outcome = await world.link()
    assert outcome.later_s > 0
    assert "not all servers" in outcome.later_reason
    world.clock.pass_s(LAG_S)
    assert (await world.link()).counts.linked == 3


async def test_a_column_that_was_removed_is_not_waited_for() -> None:
    world = World()
    world.people(3)
    await state(world, linked=False)
    world.contacts.column = False
    assert "Could not find a property" in (await world.link()).failed


async def test_a_table_that_was_linked_whole_has_a_column_that_every_server_knows() -> None:
    world = World()
    world.people(3)
    unknown(world, UNKNOWN["payload"], is_write)
    assert "0x80048d19" in (await world.link()).failed
