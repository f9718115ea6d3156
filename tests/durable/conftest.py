"""What these tests share: apps over three contacts, and the stores that state can stand on."""

import pytest

from tests.fakes.fixtures import make_app, tables
from tests.fakes.world import World, contact_id

__all__ = ["make_app", "tables"]


@pytest.fixture
async def world() -> World:
    """Three contacts linked by run0; the mapping names another customer for the first since."""
    world = World()
    world.people(3)
    await world.link("run0")
    world.dataverse.map(contact_id(1), "c2")
    return world
