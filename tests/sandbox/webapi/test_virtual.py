"""Profile and mapping as virtual tables: Microsoft's pages on virtual tables."""

import pytest

from sandbox.database import Stamp, bulk_load
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.kinds import PROFILES, add_link_column, add_profiles, of_kind, switch
from tests.sandbox.webapi.steps import NONE, create, create_lookup, error, read

TABLE = "EntityDefinitions(LogicalName='msdynci_customerprofile')"


@pytest.fixture
def config() -> SandboxConfig:
    return of_kind("virtual")


async def names(api: Client) -> set[str]:
    found = (await read(api, f"{TABLE}/Attributes?$select=LogicalName"))["value"]
    return {column["LogicalName"] for column in found}


async def test_the_table_says_that_it_is_virtual(api: Client) -> None:
    found = await read(api, TABLE)
    assert (found["TableType"], found["OwnershipType"]) == ("Virtual", "OrganizationOwned")
    assert found["DataProviderId"] not in {None, "1d9bde74-9ebd-4da9-8ff5-aa74945b9f74"}
    assert (found["ChangeTrackingEnabled"], found["IsOptimisticConcurrencyEnabled"]) == (False, False)
    assert (await read(api, f"{TABLE}/Keys"))["value"] == []


async def test_it_has_neither_versions_nor_partitions_nor_owners(api: Client) -> None:
    await add_profiles(api, "a")
    hidden = {"versionnumber", "partitionid", "ttlinseconds", "ownerid", "createdby", "modifiedby", "statecode"}
    assert not hidden & await names(api)
    (row,) = (await read(api, PROFILES))["value"]
    assert not {"@odata.etag", "versionnumber", "partitionid", "_createdby_value"} & row.keys()
    assert "versionnumber" not in (await api.get("$metadata")).text.split('"msdynci_customerprofile"')[1][:3000]


@pytest.mark.parametrize("column", ["versionnumber", "modifiedon", "_modifiedby_value"])
@pytest.mark.parametrize("query", ["$select={}", "$filter={} ne null", "$orderby={}"])
async def test_a_column_that_it_does_not_have_is_unknown(api: Client, column: str, query: str) -> None:
    assert (await api.get(f"{PROFILES}?{query.format(column)}")).status_code == 400


class TestWithTimes:
    """The switch that gives the tables the times of the source."""

    @pytest.fixture
    def config(self) -> SandboxConfig:
        return of_kind("virtual", virtual_modifiedon="present")

    async def test_the_times_can_be_read(self, api: Client) -> None:
        await add_profiles(api, "a")
        rows = await read(api, f"{PROFILES}?$select=createdon,modifiedon&$orderby=modifiedon desc")
        assert rows["value"][0]["modifiedon"] == "2026-03-01T12:00:00Z"
        assert "modifiedby" not in await names(api)


async def test_one_row_has_no_etag_either(api: Client) -> None:
    (profile,) = await add_profiles(api, "a")
    answer = await api.get(f"{PROFILES}({profile})")
    assert (answer.status_code, "ETag" in answer.headers, "@odata.etag" in answer.json()) == (200, False, False)


async def test_changes_are_not_tracked(api: Client) -> None:
    answer = await api.get(PROFILES, headers={"Prefer": "odata.track-changes"})
    assert error(answer) == (400, "0x80072491")


def load_profiles(environment: Environment, count: int) -> None:
    rows = ({"msdynci_customerid": f"c{number}"} for number in range(count))
    bulk_load(environment.database, "msdynci_customerprofile", rows, Stamp(environment.clock(), bytes(16)))


@pytest.mark.parametrize("mode", ["error", "cut", "page"])
async def test_what_more_than_1000_rows_get_is_a_switch(api: Client, environment: Environment, mode: str) -> None:
    switch(environment, virtual_limit=mode)
    load_profiles(environment, 1001)
    answer = await api.get(PROFILES)
    if mode == "error":
        assert error(answer) == (400, "0x80048d0b")
        return
    assert len(answer.json()["value"]) == 1000
    assert ("@odata.nextLink" in answer.json()) is (mode == "page")


@pytest.mark.parametrize("mode", ["error", "cut", "page"])
async def test_up_to_1000_rows_are_read_whatever_the_switch_says(
    api: Client, environment: Environment, mode: str
) -> None:
    switch(environment, virtual_limit=mode)
    load_profiles(environment, 1000)
    assert len((await read(api, PROFILES))["value"]) == 1000
    load_profiles(environment, 1)
    assert len((await read(api, f"{PROFILES}?$filter=msdynci_customerid ne 'c0'"))["value"]) < 1000


@pytest.mark.parametrize(
    "query", ["$filter=_msdynci_lookupfield_customer_value eq null", "$orderby=_msdynci_lookupfield_customer_value"]
)
async def test_a_lookup_can_be_neither_filtered_nor_sorted(api: Client, query: str) -> None:
    assert (await api.get(f"msdynci_alternatekeys?{query}")).status_code == 400


async def test_the_number_of_all_rows_is_refused(api: Client) -> None:
    assert (await api.get("RetrieveTotalRecordCount(EntityNames=['msdynci_customerprofile'])")).status_code == 400


async def test_a_lookup_to_it_has_no_partition_and_must_not_cascade(api: Client) -> None:
    assert error(await create_lookup(api)) == (400, "0x80047014")
    await add_link_column(api)
    found = (await read(api, "EntityDefinitions(LogicalName='contact')/Attributes?$select=LogicalName"))["value"]
    assert "new_customerprofilepid" not in {column["LogicalName"] for column in found}


async def test_a_bind_is_not_checked(api: Client) -> None:
    await add_link_column(api)
    contact = await create(api, "contacts", **{"new_CustomerProfile@odata.bind": f"{PROFILES}({NONE})"})
    assert (await read(api, f"contacts({contact})"))["_new_customerprofile_value"] == NONE


async def test_a_list_cannot_be_joined_to_it(api: Client) -> None:
    await add_link_column(api)
    assert error(await api.get("contacts?$expand=new_CustomerProfile")) == (400, "0x80048d0b")


async def test_texts_compare_exactly(api: Client) -> None:
    await add_profiles(api, "a", "A")
    assert len((await read(api, f"{PROFILES}?$filter=msdynci_customerid eq 'a'"))["value"]) == 1
