"""A shard that was linked, for the tests of what a later attempt makes of it."""

from linker.core.model import Counts
from tests.fakes.requests import Refusal
from tests.fakes.world import (
    World,
)

PLUGIN = Refusal(400, "0x80040265", "The plug-in said no.")


async def linked(world: World, number: int = 3) -> World:
    """A world in which `number` contacts were linked by run0."""
    world.people(number)
    assert (await world.link("run0")).counts == Counts(rows_read=number, linked=number)
    world.dataverse.asked.clear()
    world.dataverse.written.clear()
    world.dataverse.bodies.clear()
    world.store.reads.clear()
    world.store.writes.clear()
    return world
