"""Names with wildcards: `a_b` neither hides nor returns `aXb`, and `x[1]` finds itself (docs/reference/dataverse.md 6.2)."""

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from linker.adapters.dataverse import Connection, Dataverse
from linker.core.linking.mapping_scan import KeySpan
from linker.core.model import Source, Target
from linker.core.odata import MappingColumns
from linker.services.fact_gathering import find_sources
from sandbox.database import Database, Stamp, bulk_load
from sandbox.identity.accounts import LINKER
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig, changed
from tests.fakes.sandboxed import URL, client
from tests.fakes.world import StaticTokens, contact_id, key_of

TARGET = Target("contact", "contacts", "contactid", "")
COLUMNS = MappingColumns("msdynci_entityname")
SOURCES = [
    Source(data_source, table)
    for data_source in ("CRM [EU]", "CRM E", "a_b", "aXb", "100%", "100 pieces")
    for table in ("new_member", "newXmember")
]


@pytest.fixture(
    params=[
        pytest.param({"mapping_table": "standard", "string_order": "word"}, id="standard, word order"),
        pytest.param({"mapping_table": "standard", "string_order": "ordinal"}, id="standard, code points"),
        pytest.param({"mapping_table": "elastic"}, id="elastic"),
    ]
)
async def dataverse(request: pytest.FixtureRequest) -> AsyncIterator[Dataverse]:
    """Ten mapping rows of each source, in an environment of each order of strings. Wildcards are letters in elastic tables."""
    config = changed(SandboxConfig(), request.param)
    with closing(Database(config=config)) as database:
        environment = Environment(database, config, base_url=URL)
        rows = (
            {
                "msdynci_datasourcename": source.data_source,
                "msdynci_entityname": source.table,
                "msdynci_alternatevalue": contact_id(number),
                "msdynci_customerid": f"{source.data_source} {number}",
                "msdynci_identifier": f"{source.data_source}|{source.table}|{contact_id(number)}",
            }
            for source in SOURCES
            for number in range(10)
        )
        bulk_load(database, "msdynci_alternatekey", rows, Stamp(datetime.now(UTC), bytes(16)))
        yield Dataverse(Connection(URL, client(environment, LINKER), StaticTokens()))


async def test_every_source_is_found(dataverse: Dataverse) -> None:
    assert await find_sources(dataverse, COLUMNS) == sorted(SOURCES)


@pytest.mark.parametrize(
    ("span", "expected"), [(KeySpan(), 10), (KeySpan(None, "00000005"), 5), (KeySpan("00000005"), 5)]
)
async def test_a_source_gives_its_own_rows_and_no_others(dataverse: Dataverse, span: KeySpan, expected: int) -> None:
    for source in SOURCES:
        rows, more = await dataverse.mapping_page(COLUMNS, source, dataverse.stream_path(COLUMNS, TARGET, source, span))
        assert (len(rows), more) == (expected, ""), source
        assert {row.claim.stored.rpartition(" ")[0] for row in rows} == {source.data_source}


@pytest.mark.parametrize("has_in", [True, False], ids=["In", "chains of eq"])
async def test_a_look_at_single_rows_gives_those_of_its_sources_and_no_others(
    dataverse: Dataverse, has_in: bool
) -> None:
    target, keys = replace(TARGET, has_in=has_in), {key_of(1): (), key_of(2): ()}
    for source in SOURCES:
        found = await dataverse.claims_of(COLUMNS, target, [source], keys)
        assert {row.key for row in found} == keys.keys()
        assert {row.claim.stored for row in found} == {f"{source.data_source} {number}" for number in (1, 2)}
