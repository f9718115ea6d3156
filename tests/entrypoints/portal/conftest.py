"""What these tests share: a world, and the browser of a person who signed in."""

import pytest

from tests.fakes.browser import Browser
from tests.fakes.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def browser(world: World) -> Browser:
    made = Browser(world)
    await made.sign_in()
    return made
