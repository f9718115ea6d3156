"""What the shell tests share: Azurite on a free port, once per session."""

from collections.abc import AsyncIterator, Iterator

import pytest

from linker.ports import Tables
from linker.tables import AzureTables
from sandbox.azurite import AzuriteError, azurite_tables, find_azurite
from tests.fakes.memory_tables import MemoryTables


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """Connection string of an empty Table Storage."""
    try:
        find_azurite()
    except AzuriteError as missing:
        pytest.skip(str(missing))
    with azurite_tables() as connection_string:
        yield connection_string


@pytest.fixture(params=["memory", "azurite"])
async def tables(request: pytest.FixtureRequest) -> AsyncIterator[Tables]:
    """Every store that the state can stand on, one after the other."""
    if request.param == "memory":
        yield MemoryTables()
        return
    azure = AzureTables(connection_string=request.getfixturevalue("azurite"))
    yield azure
    await azure.close()
