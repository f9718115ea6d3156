"""The environments of this suite: each begins without state, also at an address that an earlier one had."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest

from linker.adapters.storage import Documents, TableStates
from linker.adapters.storage.table_client import AzureTables
from linker.bootstrap import environment_key
from linker.core.linking.mapping_scan import TableState
from tests.fakes.stored_state import forget_environment

from .scene import BITS, port_of, scene

OLD = TableState(1)


@pytest.fixture
async def azure(azurite: str) -> AsyncIterator[AzureTables]:
    tables = AzureTables(connection_string=azurite)
    yield tables
    await tables.close()


async def test_all_state_of_an_address_is_forgotten_and_no_other(azurite: str, azure: AzureTables) -> None:
    url = "http://127.0.0.1:5000"
    key = environment_key(url)
    partitions = [key, f"{key}-contact", f"{key}-contact-07", f"{key}1", f"{key}1-contact", "20261201T000000Z-0a"]
    for partition in partitions:
        await azure.replace("forgotten", partition, "row", {"value": "old"})
    assert forget_environment(azurite, url) == 3
    assert [one for one in partitions if await azure.get("forgotten", one, "row")] == partitions[3:]


@pytest.fixture
async def used(azure: AzureTables) -> AsyncIterator[socket.socket]:
    """The listener of an address where an earlier environment left the state of a table."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        key = environment_key(f"http://127.0.0.1:{listener.getsockname()[1]}")
        await TableStates(Documents(azure, key)).save("contact", OLD, None)
        yield listener


def test_a_scene_at_an_address_that_was_used_begins_without_state(azurite: str, used: socket.socket) -> None:
    with scene(port_of(azurite), used) as made:
        found = made.app.do(made.deps.states.load("contact"))
        assert found is not None
        assert found[0].bits == BITS
