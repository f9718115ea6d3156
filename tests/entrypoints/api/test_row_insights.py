"""What the API answers about what a row reaches, for every kind of table, and when a part of it may not be read."""

from collections.abc import AsyncIterator

import pytest

from linker.adapters.dataverse import http
from linker.adapters.dataverse import insight_reader as reading
from linker.adapters.dataverse.lookup_column import find_linked_table
from linker.adapters.storage.block_store import StoredBlock
from linker.core.linking.hash_blocks import Entry, HashBlock, hash_link
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import shard_of
from linker.core.model import Link
from linker.entrypoints import api
from sandbox.switches.config import SandboxConfig
from tests.fakes.client import Client
from tests.fakes.measured import TABLE, Measured, measured
from tests.fakes.reached import KINDS, RELATED, Watched, partitioned


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[Measured]:
    async with measured(SandboxConfig(profile_table=request.param, mapping_table=request.param)) as made:
        yield made


@pytest.fixture
async def elastic() -> AsyncIterator[Measured]:
    async with measured(SandboxConfig(profile_table="elastic", mapping_table="elastic")) as made:
        yield made


# ---- the routes ----


@pytest.fixture
async def client(world: Measured) -> Client:
    await world.sandboxed.deps.states.save(TABLE, TableState(), None)
    return Client(world.sandboxed)  # type: ignore[arg-type]


async def test_the_api_shows_what_a_row_reaches(world: Measured, client: Client) -> None:
    reply = await client.ask(api.get_insights, table=TABLE, row=world.row)
    assert (reply.status, reply.body["customer"]) == (200, world.customer)
    assert {"name": "LeadScore", "label": "LeadScore", "type": "", "value": world.measures.lead_score, "text": ""} in (
        reply.body["measures"]
    )


@pytest.mark.parametrize(
    ("table", "row"),
    [
        pytest.param(TABLE, "00000000-0000-4000-8000-000000000001", id="no such row"),
        pytest.param("contact", "00000000-0000-4000-8000-000000000001", id="no linked table"),
    ],
)
async def test_a_row_that_is_not_there_is_not_found(client: Client, table: str, row: str) -> None:
    assert (await client.ask(api.get_insights, table=table, row=row)).status == 404


@pytest.mark.parametrize(
    ("privilege", "what"),
    [
        pytest.param("prvReadmsdynci_customerprofile", "msdynci_customerprofile", id="profiles"),
        pytest.param("prvReadmsdynci_customermeasure", "msdynci_customermeasure", id="measures"),
        pytest.param("prvReadmsdynci_unifiedactivity", "msdynci_unifiedactivity", id="activities"),
    ],
)
async def test_a_missing_privilege_takes_its_part_from_the_page_and_no_more(
    world: Measured, client: Client, privilege: str, what: str
) -> None:
    await world.deny(privilege)
    reply = await client.ask(api.get_insights, table=TABLE, row=world.row)
    assert (reply.status, reply.body["profile"]) == (200, world.profile["msdynci_customerprofileid"])
    assert privilege in {part["what"]: part["why"] for part in reply.body["unreachable"]}[what]


@pytest.mark.parametrize("throttle", ["wait", "bare"])
async def test_a_pause_of_an_elastic_table_takes_its_part_from_the_page_and_no_more(
    monkeypatch: pytest.MonkeyPatch, throttle: str
) -> None:
    monkeypatch.setattr(http, "BUSY_WAITS", 0)  # the table stays busy for longer than a read waits
    config = SandboxConfig(profile_table="elastic", mapping_table="elastic", elastic_throttle=throttle)  # type: ignore[arg-type]
    async with measured(config) as world:
        dataverse = world.sandboxed.dataverse
        for _ in range(5):  # each tenth request gets a pause
            found = await reading.reach(dataverse, world.target, world.key)
            assert found is not None
            if found.unreachable:
                break
    assert found.profile == world.profile["msdynci_customerprofileid"]
    missing = {part.what for part in found.unreachable}
    assert missing
    assert missing <= {"msdynci_customerprofile", "msdynci_customermeasure", "related tables", *RELATED}


@pytest.mark.parametrize(
    ("table", "missing"),
    [
        pytest.param(TABLE, set[str](), id="of the row: it is read without its partition"),
        pytest.param("msdynci_customerprofile", {"msdynci_customerprofile"}, id="of the profile"),
        pytest.param("msdynci_supportissue", {"msdynci_supportissue"}, id="of a related table"),
    ],
)
async def test_columns_that_may_not_be_read_take_their_part_from_the_page_and_no_more(
    world: Measured, table: str, missing: set[str]
) -> None:
    dataverse = Watched(world, f"EntityDefinitions(LogicalName='{table}')/Attributes", 403)
    found = await reading.reach(dataverse, await find_linked_table(dataverse, TABLE), world.key)
    assert found is not None
    assert found.customer == world.customer
    assert {part.what for part in found.unreachable} == missing


async def test_a_row_that_cannot_be_read_at_all_is_reported_as_such(world: Measured, client: Client) -> None:
    await world.deny("prvReadLead")
    reply = await client.ask(api.get_insights, table=TABLE, row=world.row)
    assert (reply.status, "prvReadLead" in reply.body["detail"]) == (503, True)


@pytest.mark.parametrize(
    ("confirmed", "comparison"),
    [pytest.param("west", "equal", id="the same partition"), pytest.param("", "differs", id="another partition")],
)
async def test_a_row_is_compared_with_its_partition(elastic: Measured, confirmed: str, comparison: str) -> None:
    deps = elastic.sandboxed.deps
    profile = await partitioned(elastic, "west", named=True)
    entry = Entry(0, hash_link(elastic.key, Link(profile, confirmed), await deps.salt()))
    state = TableState()
    await deps.states.save(TABLE, state, None)
    block = HashBlock().saved_by("run", "", {elastic.key: (entry,)})
    await deps.blocks.save(TABLE, shard_of(elastic.key, state.bits).name, StoredBlock(block, None))
    reply = await Client(elastic.sandboxed).ask(api.get_row, table=TABLE, row=elastic.row)  # type: ignore[arg-type]
    assert (reply.status, reply.body["comparison"]) == (200, comparison)
