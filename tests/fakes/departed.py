"""A world in which a row has just left the mapping."""

from __future__ import annotations

from .world import World


async def left_by(row: str) -> World:
    """Twenty contacts linked by run0; `row` has left the mapping since, and run1 noted it."""
    world = World()
    world.people(20)
    await world.link("run0")
    world.dataverse.map(row, None)
    assert (await world.link("run1")).departed == 1
    return world
