"""What the proxy before Table Storage does to a client, and that nothing else happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager

import pytest

from linker.adapters.storage.table_client import AzureTables
from linker.core.errors import ChangedError, TransientError
from sandbox.server.azurite import connection_string

from .clock import HurriedLoop
from .proxy import FaultProxy, StorageFault, proxied
from .scene import port_of

HERE = ("linkerproxy", "p", "r")


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """Runs on a loop on which the patience of the client ends soon."""
    with asyncio.Runner(loop_factory=HurriedLoop) as runner:
        yield runner


@asynccontextmanager
async def behind(azurite: str) -> AsyncIterator[tuple[FaultProxy, AzureTables]]:
    async with proxied(port_of(azurite)) as (proxy, port):
        tables = AzureTables(connection_string=connection_string(port))
        try:
            await tables.replace(*HERE, {"n": 0})
            yield proxy, tables
        finally:
            await tables.close()


@pytest.mark.parametrize(
    ("fault", "struck", "error", "stored"),
    [
        pytest.param(StorageFault("unavailable"), True, None, 1, id="busy once: the client asks again"),
        pytest.param(StorageFault("unavailable", times=None), True, TransientError, 0, id="busy for good"),
        pytest.param(StorageFault("silence", times=None), True, TransientError, 0, id="silence"),
        pytest.param(StorageFault("reset", times=None), True, TransientError, 0, id="reset"),
        pytest.param(StorageFault("lost answer"), True, ChangedError, 1, id="lost answer: its own write was faster"),
        pytest.param(StorageFault("changed"), True, ChangedError, 0, id="412"),
        pytest.param(StorageFault("slow"), True, None, 1, id="slow"),
        pytest.param(StorageFault("reset", method="GET"), False, None, 1, id="another method"),
        pytest.param(StorageFault("reset", path="/linkerhashes("), False, None, 1, id="another table"),
        pytest.param(StorageFault("changed", skip=1), False, None, 1, id="the next one"),
    ],
)
def test_a_write_under_an_etag(
    runner: asyncio.Runner, azurite: str, fault: StorageFault, struck: bool, error: type[Exception] | None, stored: int
) -> None:
    async def written() -> tuple[bool, type[Exception] | None, object]:
        async with behind(azurite) as (proxy, tables):
            before = await tables.get(*HERE)
            assert before is not None
            proxy.arm(fault)
            raised = await error_of(tables.replace(*HERE, {"n": 1}, etag=before.etag))
            fired, after = proxy.disarm(), await tables.get(*HERE)
            assert after is not None
            return fired > 0, raised, after.properties["n"]

    assert runner.run(written()) == (struck, error, stored)


async def error_of(work: Awaitable[object]) -> type[Exception] | None:
    try:
        await work
    except (ChangedError, TransientError) as error:
        return type(error)
    return None


def test_time_passes_faster_on_the_loop_and_jumps_over_what_was_due(runner: asyncio.Runner) -> None:
    loop = runner.get_loop()
    assert isinstance(loop, HurriedLoop)

    async def waited() -> float:
        began, sleeping = loop.time(), asyncio.create_task(asyncio.sleep(10_000))
        await asyncio.sleep(0)
        loop.pass_s(9_999)
        await sleeping
        return loop.time() - began

    assert runner.run(waited()) >= 10_000
