"""Fixtures of several folders: the stores that state can stand on, and apps. A conftest imports those that it gives."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace

import pytest

from linker.adapters.storage.table_client import AzureTables
from linker.core.ports import Tables
from tests.fakes.app import FakeApp
from tests.fakes.insights import FakeInsights
from tests.fakes.memory_tables import MemoryTables
from tests.fakes.world import World


@pytest.fixture(params=["memory", "azurite"])
async def tables(request: pytest.FixtureRequest) -> AsyncIterator[Tables]:
    """Every store that the state can stand on, one after the other."""
    if request.param == "memory":
        yield MemoryTables()
        return
    azure = AzureTables(connection_string=request.getfixturevalue("azurite"))
    yield azure
    await azure.close()


@pytest.fixture
def make_app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeApp]]:
    """Give apps over three contacts, with settings of their own, to tests that are not asynchronous themselves."""
    with asyncio.Runner() as loop:

        def made(**settings: object) -> FakeApp:
            world = World(**settings)
            world.people(3)
            world.deps = replace(world.deps, insights=FakeInsights())  # type: ignore[arg-type]
            return FakeApp(world, monkeypatch, loop)

        yield made
