"""The tables of Customer Insights - Data as elastic tables: definitions and the shape of rows.

Microsoft's table reference of msdynci_customerprofile, msdynci_alternatekey and the others (TableType Elastic), and the
output of Microsoft's sample for elastic tables.
"""

import re
from datetime import UTC, datetime

import pytest

from sandbox.identity.accounts import LINKER
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client, Clock
from tests.sandbox.webapi.kinds import ANNOTATED, MAPPINGS, PROFILES, add_link_column, add_profiles, of_kind
from tests.sandbox.webapi.steps import Json, create, create_lookup, error, read

TABLES = (
    "msdynci_customerprofile",
    "msdynci_alternatekey",
    "msdynci_customermeasure",
    "msdynci_segmentmembership",
    "msdynci_unifiedactivity",
)
CUSTOMER = "msdynci_lookupfield_customer"


@pytest.fixture
def config() -> SandboxConfig:
    return of_kind("elastic")


async def definition(api: Client, table: str, below: str = "") -> Json:
    return await read(api, f"EntityDefinitions(LogicalName='{table}'){below}")


async def columns(api: Client, table: str) -> dict[str, Json]:
    found = await definition(api, table, "/Attributes")
    return {column["LogicalName"]: column for column in found["value"]}


@pytest.mark.parametrize("table", TABLES)
async def test_the_table_says_that_it_is_elastic(api: Client, table: str) -> None:
    found = await definition(api, table)
    assert (found["TableType"], found["OwnershipType"]) == ("Elastic", "UserOwned")
    assert found["DataProviderId"] == "1d9bde74-9ebd-4da9-8ff5-aa74945b9f74"


@pytest.mark.parametrize("table", TABLES)
async def test_the_table_has_the_columns_of_elastic_tables_and_no_state(api: Client, table: str) -> None:
    found = await columns(api, table)
    assert (found["partitionid"]["MaxLength"], found["partitionid"]["SchemaName"]) == (100, "PartitionId")
    assert (found["ttlinseconds"]["AttributeType"], found["ttlinseconds"]["SchemaName"]) == ("Integer", "TTLInSeconds")
    assert found["versionnumber"]["AttributeType"] == "BigInt"
    assert {"ownerid", "owningbusinessunit", "createdon", "modifiedon"} < found.keys()
    assert not {"statecode", "statuscode"} & found.keys()


@pytest.mark.parametrize("table", TABLES)
async def test_the_only_key_is_primary_key_and_partition(api: Client, table: str) -> None:
    (key,) = (await definition(api, table, "/Keys"))["value"]
    assert (key["SchemaName"], key["KeyAttributes"]) == (
        "KeyForNoSqlEntityWithPKPartitionId",
        [f"{table}id", "partitionid"],
    )


@pytest.mark.parametrize("table", TABLES)
async def test_nothing_cascades(api: Client, table: str) -> None:
    if table == "msdynci_customerprofile":
        found = (await definition(api, table, "/OneToManyRelationships"))["value"]
    else:
        found = (await definition(api, table, "/ManyToOneRelationships"))["value"]
        found = [one for one in found if one["ReferencedEntity"] == "msdynci_customerprofile"]
    assert found
    assert {one["CascadeConfiguration"]["Delete"] for one in found} == {"NoCascade"}


async def test_names_that_do_not_follow_the_usual_pattern(api: Client) -> None:
    mapping = await definition(api, "msdynci_alternatekey")
    assert (mapping["EntitySetName"], mapping["LogicalCollectionName"]) == (
        "msdynci_alternatekeys",
        "msdynci_alternatekeies",
    )
    assert mapping["PrimaryNameAttribute"] == "msdynci_identifier"
    profile = await definition(api, "msdynci_customerprofile")
    assert profile["PrimaryNameAttribute"] == "msdynci_customerid"
    shown = [one["DisplayName"]["UserLocalizedLabel"]["Label"] for one in (profile, mapping)]
    assert shown == ["CustomerProfile", "AlternateKey"]


@pytest.mark.parametrize(
    ("table", "relationship"),
    [
        ("msdynci_alternatekey", "msdynci_customer_alternatekey"),
        ("msdynci_customermeasure", "msdynci_customer_customer_measure"),
    ],
)
async def test_the_lookup_to_the_profile_has_the_vendors_names_and_a_column_for_the_partition(
    api: Client, table: str, relationship: str
) -> None:
    found = (await definition(api, table, "/ManyToOneRelationships"))["value"]
    (lookup,) = [one for one in found if one["ReferencedEntity"] == "msdynci_customerprofile"]
    assert (lookup["SchemaName"], lookup["ReferencingEntityNavigationPropertyName"]) == (relationship, CUSTOMER)
    partition = (await columns(api, table))[f"{CUSTOMER}pid"]
    assert (partition["AttributeOf"], partition["SchemaName"]) == (CUSTOMER, f"{CUSTOMER}PId")
    assert (partition["MaxLength"], partition["IsValidForForm"]) == (100, False)


async def test_a_new_lookup_to_an_elastic_table_brings_the_column_of_the_partition(api: Client) -> None:
    await add_link_column(api)
    partition = (await columns(api, "contact"))["new_customerprofilepid"]
    assert (partition["AttributeOf"], partition["AttributeType"]) == ("new_customerprofile", "String")
    assert partition["IsValidForUpdate"] is True


async def test_a_lookup_that_would_be_emptied_is_refused(api: Client) -> None:
    assert error(await create_lookup(api)) == (400, "0x80047014")
    assert "new_customerprofilepid" not in await columns(api, "contact")


async def test_a_table_of_the_standard_kind_has_no_such_columns(api: Client) -> None:
    assert not {"partitionid", "parentcustomeridpid"} & (await columns(api, "contact")).keys()


# -- rows


async def test_the_etag_has_the_form_of_cosmos_db_and_changes_with_each_write(api: Client) -> None:
    (profile,) = await add_profiles(api, "a")
    etags = []
    for name in ("b", "c"):
        await api.patch(f"{PROFILES}({profile})", json={"msdynci_fullname": name}, headers={"If-Match": "*"})
        etags.append((await read(api, f"{PROFILES}({profile})"))["@odata.etag"])
    assert len(set(etags)) == 2
    assert all(re.fullmatch(r'W/"[0-9a-f]{8}-0000-0200-0000-[0-9a-f]{8}0000"', etag) for etag in etags)


async def test_the_etag_guards_a_write(api: Client) -> None:
    (profile,) = await add_profiles(api, "a")
    etag = (await read(api, f"{PROFILES}({profile})"))["@odata.etag"]
    answers = [
        await api.patch(f"{PROFILES}({profile})", json={"msdynci_fullname": "b"}, headers={"If-Match": etag})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [204, 412]


async def test_versions_are_ticks_of_time_that_rise(api: Client, clock: Clock) -> None:
    clock.now = datetime(2025, 2, 14, 17, 44, 8, tzinfo=UTC)
    await add_profiles(api, "a", "b")
    found = (await read(api, f"{PROFILES}?$select=versionnumber"))["value"]
    versions = sorted(row["versionnumber"] for row in found)
    assert versions == [638751518480000000, 638751518480000001]


async def test_select_also_returns_key_version_partition_and_owner(api: Client) -> None:
    (profile,) = await add_profiles(api, "a")
    url = f"{PROFILES}({profile})?$select=msdynci_fullname"
    for answer in (await read(api, url), (await read(api, f"{PROFILES}?$select=msdynci_fullname"))["value"][0]):
        assert {name for name in answer if "@" not in name} == {
            "msdynci_fullname",
            "msdynci_customerprofileid",
            "versionnumber",
            "partitionid",
            "_ownerid_value",
            "_owningbusinessunit_value",
        }
        assert answer["partitionid"] == profile
    context = (await read(api, f"{PROFILES}?$select=msdynci_fullname"))["@odata.context"]
    assert context.endswith("#msdynci_customerprofiles(msdynci_fullname)")


async def test_select_of_a_standard_table_returns_what_it_names(api: Client) -> None:
    await create(api, "contacts", lastname="Ash")
    (row,) = (await read(api, "contacts?$select=lastname"))["value"]
    assert {name for name in row if "@" not in name} == {"lastname", "contactid"}


async def test_times_have_whole_seconds(api: Client, clock: Clock) -> None:
    clock.pass_seconds(0.75)
    (profile,) = await add_profiles(api, "a")
    row = await read(api, f"{PROFILES}({profile})")
    assert row["modifiedon"] == row["createdon"] == "2026-03-01T12:00:00Z"


async def test_rows_have_an_owner_and_a_business_unit(api: Client) -> None:
    (profile,) = await add_profiles(api, "a")
    row = (await api.get(f"{PROFILES}({profile})", headers=ANNOTATED)).json()
    assert row["_ownerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "systemuser"
    assert row["_owningbusinessunit_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "businessunit"


async def test_the_table_offers_change_tracking(api: Client) -> None:
    profile, other = await add_profiles(api, "a", "b")
    answer = await read(api, PROFILES, Prefer="odata.track-changes")
    assert {row["msdynci_customerprofileid"] for row in answer["value"]} == {profile, other}
    await api.delete(f"{PROFILES}({other})")
    (added,) = await add_profiles(api, "c")
    changes = (await read(api, answer["@odata.deltaLink"]))["value"]
    assert [row.get("msdynci_customerprofileid") or row["id"] for row in changes] == [added, other]


async def test_the_linker_reads_the_tables_with_its_own_privileges(api: Client, environment: Environment) -> None:
    for name in (PROFILES, MAPPINGS):
        assert (await api.get(name, headers={"x-user": LINKER.name})).status_code == 200


class TestOthersAnswers:
    """Switches about the profile table that no public source settles."""

    @pytest.fixture
    def config(self) -> SandboxConfig:
        return of_kind("elastic", profile_relationships="refused", elastic_change_tracking="off")

    async def test_a_profile_table_that_takes_no_relationships_says_so_and_refuses_them(self, api: Client) -> None:
        found = await definition(api, "msdynci_customerprofile", "?$select=CanBePrimaryEntityInRelationship")
        assert found["CanBePrimaryEntityInRelationship"]["Value"] is False
        refused = await create_lookup(api, CascadeConfiguration={"Delete": "NoCascade"})
        assert refused.status_code == 400
        assert "CanBePrimaryEntityInRelationship is false" in refused.text

    @pytest.mark.parametrize("table", TABLES)
    async def test_tables_that_do_not_track_changes_say_so_and_refuse_to(self, api: Client, table: str) -> None:
        found = await definition(api, table, "?$select=ChangeTrackingEnabled,EntitySetName")
        assert found["ChangeTrackingEnabled"] is False
        answer = await api.get(found["EntitySetName"], headers={"Prefer": "odata.track-changes"})
        assert error(answer) == (400, "0x80072491")
