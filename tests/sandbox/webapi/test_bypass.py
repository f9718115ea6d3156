"""The linker's own writes under the policy to bypass: no shape of them fires anything, and no read asks for it (D2, D3)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest

from linker.adapters.dataverse import Connection, Dataverse
from linker.adapters.dataverse.web_api import BYPASS
from linker.core.keys import row_key
from linker.core.model import Link, Target
from linker.core.names import MAPPING_SET, PROFILE_SET
from linker.durable.activities import touch_profiles
from sandbox.runtime import AutomationCounters, Environment
from tests.fakes.world import StaticTokens
from tests.sandbox.webapi.conftest import Client, application
from tests.sandbox.webapi.steps import LOOKUP, add_step, create, create_lookup

COLUMN = LOOKUP.lower()
NONE = AutomationCounters()

type Write = Callable[[Dataverse], Awaitable[object]]


class Rows:
    """A contact that is linked, and the profile it is linked to."""

    def __init__(self, contact: str, profile: str) -> None:
        key = row_key(contact)
        assert key is not None
        self.key, self.profile = key, profile
        self.sent: list[httpx.Request] = []

    def target(self, *, bulk: bool = True) -> Target:
        return Target("contact", "contacts", "contactid", LOOKUP, bulk=bulk, lookup=COLUMN)

    async def link(self, dataverse: Dataverse, *, bulk: bool) -> None:
        assert await dataverse.write_links(self.target(bulk=bulk), {self.key: Link(self.profile)}) == {}

    async def unlink(self, dataverse: Dataverse) -> None:
        live = await dataverse.links(self.target(), [self.key])
        assert await dataverse.clear_links(self.target(), {self.key: live[self.key].etag}) == {}

    async def touch(self, dataverse: Dataverse) -> None:
        found = await touch_profiles.read_profiles(dataverse, [self.profile], has_in=True, has_partitions=False)
        await touch_profiles.write_again(dataverse, touch_profiles.write_parts_of(dataverse, found), refused := {})
        assert refused == {}


SHAPES = {
    "UpdateMultiple": lambda rows, dataverse: rows.link(dataverse, bulk=True),
    "PATCH in $batch": lambda rows, dataverse: rows.link(dataverse, bulk=False),
    "unlinking": lambda rows, dataverse: rows.unlink(dataverse),
    "touch": lambda rows, dataverse: rows.touch(dataverse),
}


@pytest.fixture
async def rows(api: Client) -> Rows:
    """Both tables with a synchronous step, an asynchronous one, a real-time workflow and a flow on every update."""
    await create_lookup(api)
    profile = await create(api, PROFILE_SET, msdynci_customerid="a1")
    bind = {f"{LOOKUP}@odata.bind": f"/{PROFILE_SET}({profile})"}
    made = Rows(await create(api, "contacts", lastname="Ash", **bind), profile)
    for table, columns in (("contact", COLUMN), ("msdynci_customerprofile", "msdynci_customerid")):
        await add_step(api, "Update", table)
        await add_step(api, "UpdateMultiple", table, mode=1, stage=40)
        workflow = {"name": "w", "primaryentity": table, "type": 1, "statecode": 1, "category": 0, "mode": 1}
        await create(api, "workflows", **workflow, triggeronupdateattributelist=columns)
        await create(api, "callbackregistrations", name="flow", entityname=table, scope=4, message=3)
    return made


@pytest.fixture
async def connection(environment: Environment, rows: Rows) -> AsyncIterator[Connection]:
    async def keep(request: httpx.Request) -> None:
        rows.sent.append(request)

    transport = httpx.ASGITransport(application(environment))
    async with httpx.AsyncClient(transport=transport, event_hooks={"request": [keep]}) as client:
        yield Connection(environment.base_url, client, StaticTokens())


@pytest.mark.parametrize("shape", SHAPES)
async def test_no_shape_of_a_write_fires_anything_when_it_bypasses(
    environment: Environment, connection: Connection, rows: Rows, shape: str
) -> None:
    environment.counters.reset()
    await SHAPES[shape](rows, Dataverse(connection, write_headers=BYPASS))
    assert environment.counters.automation == NONE


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_shape_fires_everything_when_it_does_not(
    environment: Environment, connection: Connection, rows: Rows, shape: str
) -> None:
    environment.counters.reset()
    await SHAPES[shape](rows, Dataverse(connection))
    fired = environment.counters.automation
    assert (fired.step_executions, fired.async_jobs, fired.flow_runs) == (2, 2, 1)


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_headers_stand_once_beside_each_write_and_beside_no_read(
    connection: Connection, rows: Rows, shape: str
) -> None:
    dataverse = Dataverse(connection, write_headers=BYPASS)
    await SHAPES[shape](rows, dataverse)
    await dataverse.get(MAPPING_SET)
    for request in rows.sent:
        texts = [f"{name}: {value}" for name, value in request.headers.items()] + request.content.decode().split("\r\n")
        for name in BYPASS:
            found = sum(text.lower().startswith(name.lower()) for text in texts)
            assert found == len([text for text in texts if text.startswith("PATCH ")]) + _is_bulk(request)


def _is_bulk(request: httpx.Request) -> bool:
    return request.url.path.endswith("UpdateMultiple")
