"""What these tests share: a caller of the API."""

import pytest

from tests.fakes.client import Client
from tests.fakes.world import World


@pytest.fixture
def client(world: World) -> Client:
    return Client(world)
