"""What these tests share: an empty world, and apps over three contacts."""

import pytest

from tests.fakes.fixtures import make_app
from tests.fakes.world import World

__all__ = ["make_app"]


@pytest.fixture
def world() -> World:
    return World()
