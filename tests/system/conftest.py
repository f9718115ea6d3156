"""What the system tests share: one Table Storage for all, and worlds of their own on it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .world import SAMPLE, World, world

type MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def tables(azurite: str) -> str:
    """Connection string of a Table Storage. State is kept by the address of a sandbox; each world begins without any."""
    return azurite


@pytest.fixture
def make(tables: str, tmp_path: Path) -> Iterator[MakeWorld]:
    """Give worlds with options of `serve` and app settings."""
    with ExitStack() as stack:
        yield lambda *options, **settings: stack.enter_context(world(tables, tmp_path, *options, **settings))


@pytest.fixture
def fresh(make: MakeWorld) -> World:
    """The sample, before any run."""
    return make("--load", str(SAMPLE))


@pytest.fixture
def linked(fresh: World) -> World:
    """The sample after its first run, counting from zero."""
    assert fresh.publish()["status"] == "Successful"
    fresh.sandbox.reset_counters()
    return fresh


@pytest.fixture(scope="module")
def shown(tables: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The sample after its first run, shared by tests that only look."""
    with world(tables, tmp_path_factory.mktemp("logs"), "--load", str(SAMPLE)) as made:
        assert made.publish()["status"] == "Successful"
        yield made
