"""The queries that a reader of the mapping asks, at a size where a scan would be noticed."""

import time
import uuid
from collections.abc import Iterator
from itertools import pairwise

import pytest

from sandbox.database import Database, Stamp, bulk_load
from sandbox.identity.accounts import LINKER
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from sandbox.switches.tables import MappingNameColumn
from tests.sandbox.webapi.conftest import Client, Clock
from tests.sandbox.webapi.steps import create, create_lookup, names, read

SOURCES = [("Dyn_Sales", "contact"), ("Dyn_Sales", "new_member"), ("Other", "new_member")]


def mapping(count: int, name_column: str = "msdynci_entityname") -> Iterator[dict[str, str]]:
    """Yield mapping rows of three sources in turn."""
    for number in range(count):
        source, table = SOURCES[number % 3]
        key = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))
        yield {
            "msdynci_datasourcename": source,
            name_column: table,
            "msdynci_alternatevalue": key,
            "msdynci_customerid": key.replace("-", ""),
            "msdynci_identifier": f"{source}|{table}|{key}",
        }


@pytest.fixture
def filled(environment: Environment) -> Environment:
    bulk_load(environment.database, "msdynci_alternatekey", mapping(3000), Stamp(environment.clock(), bytes(16)))
    return environment


def _source(source: str, table: str) -> str:
    return f"msdynci_datasourcename eq '{source}' and msdynci_entityname eq '{table}'"


async def test_sources_are_found_by_skipping(api: Client, filled: Environment) -> None:
    found: list[tuple[str, str]] = []
    while True:
        outside = " and ".join(f"not ({_source(*pair)})" for pair in found)
        url = "msdynci_alternatekeys?$select=msdynci_datasourcename,msdynci_entityname&$top=1"
        rows = (await read(api, url + (f"&$filter={outside}" if outside else "")))["value"]
        if not rows:
            break
        found.append((rows[0]["msdynci_datasourcename"], rows[0]["msdynci_entityname"]))
    assert sorted(found) == SOURCES


async def test_pages_of_key_ranges_partition_a_source(api: Client, filled: Environment) -> None:
    cuts = [None, "4", "8a", "c", None]
    keys: list[str] = []
    for low, high in pairwise(cuts):
        condition = _source("Dyn_Sales", "new_member")
        condition += f" and msdynci_identifier ge 'Dyn_Sales|new_member|{low}'" if low else ""
        condition += f" and msdynci_identifier lt 'Dyn_Sales|new_member|{high}'" if high else ""
        url = f"msdynci_alternatekeys?$select=msdynci_alternatevalue&$filter={condition}"
        keys += [row["msdynci_alternatevalue"] for row in (await read(api, url))["value"]]
    assert (len(keys), len(set(keys))) == (1000, 1000)


async def test_an_underscore_in_a_name_is_a_wildcard_there_too(api: Client, filled: Environment) -> None:
    bulk_load(
        filled.database,
        "msdynci_alternatekey",
        [{"msdynci_datasourcename": "DynXSales", "msdynci_entityname": "contact"}],
        Stamp(filled.clock(), bytes(16)),
    )
    assert (await api.get(f"msdynci_alternatekeys/$count?$filter={_source('Dyn_Sales', 'contact')}")).text == "1001"
    assert (await api.get(f"msdynci_alternatekeys/$count?$filter={_source('Dyn[_]Sales', 'contact')}")).text == "1000"


@pytest.mark.parametrize("order", ["word", "ordinal"])
async def test_a_range_does_not_read_the_whole_table(environment: Environment, api: Client, order: str) -> None:
    environment.configure(SandboxConfig(string_order=order))  # type: ignore[arg-type]  # one of the two
    bulk_load(environment.database, "msdynci_alternatekey", mapping(30_000), Stamp(environment.clock(), bytes(16)))
    condition = _source("Dyn_Sales", "new_member") + " and msdynci_identifier lt 'Dyn_Sales|new_member|001'"
    started = time.process_time()
    await read(api, f"msdynci_alternatekeys?$select=msdynci_alternatevalue&$filter={condition}")
    assert time.process_time() - started < 0.05  # a scan of 30,000 rows takes several times as long


async def test_the_newest_change_is_found(api: Client, filled: Environment) -> None:
    newest = "msdynci_alternatekeys?$select=modifiedon,versionnumber&$orderby=modifiedon desc,versionnumber desc&$top=1"
    (found,) = (await read(api, newest))["value"]
    versions = [
        row["versionnumber"] for row in (await read(api, "msdynci_alternatekeys?$select=versionnumber"))["value"]
    ]
    assert (found["modifiedon"], found["versionnumber"]) == ("2026-03-01T12:00:00Z", max(versions))


async def test_the_newest_change_by_others_is_found(api: Client, environment: Environment, clock: Clock) -> None:
    by_others = f"_modifiedby_value ne {LINKER.systemuser_id} or _modifiedby_value eq null"
    newest = "msdynci_customerprofiles?$select=modifiedon&$orderby=modifiedon desc&$top=1"
    rows = [await create(api, "msdynci_customerprofiles", msdynci_customerid=customer) for customer in ("a1", "b2")]
    before = [row["modifiedon"] for row in (await read(api, newest))["value"]]
    for row in rows:
        clock.pass_seconds(60)
        assert [found["modifiedon"] for found in (await read(api, f"{newest}&$filter={by_others}"))["value"]] == before
        await api.patch(
            f"msdynci_customerprofiles({row})", json={"msdynci_customerid": "c3"}, headers={"x-user": "linker"}
        )
    assert (await read(api, f"{newest}&$filter={by_others}"))["value"] == []
    assert [row["modifiedon"] for row in (await read(api, newest))["value"]] != before


async def test_rows_without_a_link_are_listed(api: Client, environment: Environment) -> None:
    bulk_load(
        environment.database,
        "contact",
        [{"lastname": "Ash"}, {"lastname": "Elm"}],
        Stamp(environment.clock(), bytes(16)),
    )
    await create_lookup(api)
    assert await names(api, "_new_customerprofile_value eq null") == ["Ash", "Elm"]


@pytest.mark.parametrize("column", ["msdynci_tablename", "msdynci_entityname"])
def test_the_mappings_name_column_differs_by_tenant(column: MappingNameColumn) -> None:
    database = Database(config=SandboxConfig(mapping_name_column=column))
    table = database.schema.tables["msdynci_alternatekey"]
    assert {"msdynci_tablename", "msdynci_entityname"} & table.columns.keys() == {column}
    bulk_load(database, table.logical_name, mapping(3, column), Stamp(database.clock(), bytes(16)))
    database.close()
