"""Definitions of tables, columns and relationships: docs/reference/dataverse.md 7, 8 and 17.5."""

import asyncio
from dataclasses import replace

import pytest

from sandbox.database import Database
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client, Clock
from tests.sandbox.webapi.definitions import CONTACT
from tests.sandbox.webapi.steps import Json, create, create_lookup, error, message, read

COLUMN = "new_customerprofile"


async def test_a_table_is_described_by_the_documented_properties(api: Client) -> None:
    wanted = (
        "LogicalName,SchemaName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,TableType,ObjectTypeCode,"
        "OwnershipType,IsCustomizable,CanCreateAttributes,CanBeRelatedEntityInRelationship,"
        "CanBePrimaryEntityInRelationship,ChangeTrackingEnabled,IsOptimisticConcurrencyEnabled,IsCustomEntity,"
        "IsManaged,MetadataId"
    )
    table = await read(api, f"{CONTACT}?$select={wanted}")
    assert set(table) == {"@odata.context", *wanted.split(",")}
    assert (table["EntitySetName"], table["PrimaryIdAttribute"], table["TableType"]) == (
        "contacts",
        "contactid",
        "Standard",
    )
    assert table["IsCustomizable"] == {
        "Value": True,
        "CanBeChanged": True,
        "ManagedPropertyLogicalName": "iscustomizable",
    }


async def test_a_table_is_found_by_its_metadata_id_as_well(api: Client) -> None:
    metadata_id = (await read(api, CONTACT))["MetadataId"]
    assert (await read(api, f"EntityDefinitions({metadata_id})"))["LogicalName"] == "contact"


async def test_the_metadata_id_is_always_returned(api: Client) -> None:
    found = await read(api, "EntityDefinitions?$select=LogicalName&$filter=LogicalName eq 'lead'")
    assert [set(table) for table in found["value"]] == [{"MetadataId", "LogicalName"}]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param("LogicalName eq 'account' or LogicalName eq 'lead'", ["account", "lead"], id="or"),
        pytest.param("IsCustomizable/Value eq true and EntitySetName eq 'leads'", ["lead"], id="managed property"),
        pytest.param("LogicalName eq 'Lead'", [], id="names are case-sensitive"),
        pytest.param("IsPrivate eq false and ObjectTypeCode lt 3", ["account", "contact"], id="number"),
    ],
)
async def test_tables_are_filtered(api: Client, condition: str, expected: list[str]) -> None:
    found = await read(api, f"EntityDefinitions?$select=LogicalName&$filter={condition}")
    assert sorted(table["LogicalName"] for table in found["value"]) == expected


async def test_a_property_of_a_table_can_be_read_alone(api: Client) -> None:
    answer = await api.get("EntityDefinitions(LogicalName='account')/ObjectTypeCode/$value")
    assert (answer.text, answer.headers["Content-Type"].partition(";")[0]) == ("1", "text/plain")


async def test_sub_collections_are_expanded(api: Client) -> None:
    url = f"{CONTACT}?$select=LogicalName&$expand=Attributes($select=LogicalName;$filter=LogicalName eq 'lastname')"
    attributes = (await read(api, url))["Attributes"]
    assert [attribute["LogicalName"] for attribute in attributes] == ["lastname"]


@pytest.mark.parametrize(
    "url",
    [
        "EntityDefinitions(LogicalName='nothing')",
        f"{CONTACT}/Attributes(LogicalName='nothing')",
        f"{CONTACT}/Nothing",
        "RelationshipDefinitions(SchemaName='nothing')",
    ],
)
async def test_a_definition_that_is_missing_is_404(api: Client, url: str) -> None:
    assert (await api.get(url)).status_code == 404


async def test_properties_of_a_derived_type_need_a_cast(api: Client) -> None:
    assert (await api.get(f"{CONTACT}/Attributes?$select=Targets")).status_code == 400
    cast = f"{CONTACT}/Attributes/Microsoft.Dynamics.CRM.LookupAttributeMetadata"
    found = await read(api, f"{cast}?$select=LogicalName,SchemaName,Targets,IsValidForUpdate,IsSecured")
    targets = {attribute["LogicalName"]: attribute["Targets"] for attribute in found["value"]}
    assert targets["parentcustomerid"] == ["account", "contact"]


async def test_columns_are_filtered_by_their_type(api: Client) -> None:
    condition = "AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'Money'"
    found = await read(api, f"{CONTACT}/Attributes?$select=LogicalName&$filter={condition}")
    assert [attribute["LogicalName"] for attribute in found["value"]] == ["creditlimit"]


async def test_options_come_with_their_labels_when_expanded(api: Client) -> None:
    cast = f"{CONTACT}/Attributes/Microsoft.Dynamics.CRM.PicklistAttributeMetadata"
    found = await read(api, f"{cast}?$select=LogicalName&$expand=OptionSet($select=Options)")
    options = found["value"][0]["OptionSet"]["Options"]
    assert [(o["Value"], o["Label"]["UserLocalizedLabel"]["Label"]) for o in options] == [(1, "Male"), (2, "Female")]


# -- tables and columns


def _table(name: str = "new_Member") -> Json:
    column = {
        "@odata.type": "Microsoft.Dynamics.CRM.ComplexStringAttributeMetadata",
        "SchemaName": "new_Name",
        "IsPrimaryName": True,
        "MaxLength": 20,
    }
    return {"Entities": [{"SchemaName": name, "OwnershipType": "UserOwned", "Attributes": [column]}]}


async def test_a_new_table_holds_rows_and_supports_bulk_messages(api: Client) -> None:
    assert (await api.post("CreateEntities", json=_table())).status_code == 200
    table = await read(api, "EntityDefinitions(LogicalName='new_member')")
    assert (table["EntitySetName"], table["PrimaryIdAttribute"]) == ("new_members", "new_memberid")
    await create(api, "new_members", new_name="Ash")
    found = await read(api, "sdkmessagefilters?$filter=primaryobjecttypecode eq 'new_member'&$select=name")
    assert "UpdateMultiple" in {row["name"] for row in found["value"]}


async def test_a_table_that_exists_cannot_be_created_again(api: Client) -> None:
    await api.post("CreateEntities", json=_table())
    assert error(await api.post("CreateEntities", json=_table())) == (400, "0x80044346")


async def test_a_custom_table_can_be_deleted_and_a_system_table_cannot(api: Client) -> None:
    await api.post("CreateEntities", json=_table())
    assert (await api.delete("EntityDefinitions(LogicalName='new_member')")).status_code == 204
    assert (await api.get("new_members")).status_code == 404
    assert (await api.delete(CONTACT)).status_code == 400


async def test_columns_are_added_changed_and_removed(api: Client) -> None:
    kind = {"@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata", "SchemaName": "new_Tier", "MaxLength": 5}
    url = (await api.post(f"{CONTACT}/Attributes", json=kind)).headers["OData-EntityId"]
    assert error(await api.post("contacts", json={"new_tier": "silver"})) == (400, "0x80044331")
    assert (await api.put(url, json=kind | {"MaxLength": 10})).status_code == 204
    await create(api, "contacts", new_tier="silver")
    assert (await api.delete(url)).status_code == 204
    assert (await api.get("contacts?$select=new_tier")).status_code == 400


async def test_a_lookup_cannot_be_made_as_a_column(api: Client) -> None:
    kind = {"@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata", "SchemaName": "new_Parent"}
    assert (await api.post(f"{CONTACT}/Attributes", json=kind)).status_code == 400


async def test_an_alternate_key_names_rows_and_is_unique(api: Client) -> None:
    key = {"SchemaName": "new_number", "KeyAttributes": ["accountnumber"]}
    await api.post("EntityDefinitions(LogicalName='account')/Keys", json=key)
    await create(api, "accounts", accountnumber="A_1", name="one")
    assert (await read(api, "accounts(accountnumber='A_1')"))["name"] == "one"
    assert (await api.get("accounts(accountnumber='AB1')")).status_code == 404
    assert error(await api.post("accounts", json={"accountnumber": "a_1"})) == (412, "0x80060892")
    assert (await api.patch("accounts(accountnumber='B2')", json={"name": "two"})).status_code == 204
    assert (await read(api, "accounts(accountnumber='B2')"))["name"] == "two"


@pytest.mark.parametrize("action", ["PublishAllXml", "PublishXml"])
async def test_publishing_is_accepted(api: Client, action: str) -> None:
    assert (await api.post(action, json={"ParameterXml": "<importexportxml/>"})).status_code == 204


async def test_tables_show_whether_they_can_be_related(api: Client) -> None:
    answer = await api.post("CanBeReferenced", json={"EntityName": "account"})
    assert answer.json()["CanBeReferenced"] is True
    found = await read(api, "GetValidReferencingEntities(ReferencedEntityName='account')")
    assert "contact" in found["EntityNames"]


# -- lag and lock


async def test_a_new_column_is_invisible_for_a_while_unless_strong_consistency_is_asked_for(
    api: Client, environment: Environment, clock: Clock
) -> None:
    environment.configure(SandboxConfig(metadata_lag_s=30))
    await create_lookup(api)
    url = f"contacts?$select=_{COLUMN}_value"
    clock.pass_seconds(29)
    assert (await api.get(url)).status_code == 400
    assert (await api.get(url, headers={"Consistency": "Strong"})).status_code == 200
    clock.pass_seconds(2)
    assert (await api.get(url)).status_code == 200


async def test_only_one_customization_runs_at_a_time(api: Client, environment: Environment) -> None:
    environment.configure(SandboxConfig(customization_ms=50))
    answers = await asyncio.gather(create_lookup(api), api.post("PublishAllXml", json={}))
    refused = next(answer for answer in answers if answer.status_code != 204)
    assert error(refused) == (429, "0x80071151")
    assert message(refused).startswith("Cannot start another [EntityCustomization] because there is a previous")
    assert "Retry-After" not in refused.headers


async def test_another_users_customization_locks_out_metadata_and_nothing_else(
    api: Client, environment: Environment
) -> None:
    environment.configure(SandboxConfig(customizing=True))
    assert error(await create_lookup(api)) == (429, "0x80071151")
    await create(api, "contacts", lastname="Ash")
    environment.configure(SandboxConfig())
    assert (await create_lookup(api)).status_code == 204


async def test_what_was_made_at_run_time_survives_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("db") / "sandbox.db")
    first = Database(path)
    column = first.schema.tables["contact"].columns["lastname"]
    first.add_columns(
        first.schema.tables["contact"], [replace(column, logical_name="new_tier", schema_name="new_Tier")]
    )
    first.close()
    second = Database(path)
    assert second.schema.tables["contact"].columns["new_tier"].schema_name == "new_Tier"
    second.close()


async def test_a_table_that_takes_no_columns_says_so_and_refuses_them(api: Client, environment: Environment) -> None:
    database = environment.database
    database.replace_table(replace(database.schema.tables["contact"], takes_columns=False))
    told = await read(api, f"{CONTACT}?$select=CanCreateAttributes")
    assert told["CanCreateAttributes"]["Value"] is False
    assert (await create_lookup(api)).status_code == 400
