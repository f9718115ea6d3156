"""Definitions beyond what the linker and Microsoft's SDK request (docs/reference/dataverse.md 8.1 and 8.3)."""

from typing import Any

import pytest

from sandbox.identity.accounts import LINKER
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.definitions import CONTACT, TYPE, bank, column, labelled, paired
from tests.sandbox.webapi.steps import create, create_lookup, error, message, read

GENDER = f"{CONTACT}/Attributes(LogicalName='gendercode')"


async def test_a_table_is_created_by_a_post_of_its_definition(api: Client) -> None:
    answer = await api.post("EntityDefinitions", json=bank())
    assert answer.status_code == 204
    table = await read(api, answer.headers["OData-EntityId"])
    assert (table["LogicalName"], table["PrimaryNameAttribute"]) == ("new_bankaccount", "new_accountname")
    await create(api, table["EntitySetName"], new_accountname="x")
    assert error(await api.post("EntityDefinitions", json=bank())) == (400, "0x80044346")


async def test_the_definition_of_a_new_table_is_returned_when_asked_for(api: Client) -> None:
    answer = await api.post("EntityDefinitions", json=bank(), headers={"Prefer": "return=representation"})
    assert (answer.status_code, answer.json()["LogicalName"]) == (201, "new_bankaccount")


async def test_the_labels_of_a_table_change_by_a_put_of_its_definition(api: Client) -> None:
    definition = await read(api, CONTACT) | {"DisplayName": labelled("Person")}
    assert (await api.put(CONTACT, json=definition, headers={"MSCRM.MergeLabels": "true"})).status_code == 204
    changed = await read(api, f"{CONTACT}?$select=DisplayName,DisplayCollectionName")
    assert changed["DisplayName"]["UserLocalizedLabel"]["Label"] == "Person"
    assert changed["DisplayCollectionName"]["UserLocalizedLabel"]["Label"] == "Contacts"


async def test_what_happens_to_children_changes_by_a_put_of_the_relationship(api: Client) -> None:
    url = (await create_lookup(api)).headers["OData-EntityId"]
    definition = await read(api, url)
    cascade = definition["CascadeConfiguration"] | {"Delete": "Restrict"}
    assert (await api.put(url, json=definition | {"CascadeConfiguration": cascade})).status_code == 204
    assert (await read(api, url))["CascadeConfiguration"]["Delete"] == "Restrict"


async def test_the_associated_menu_of_a_relationship_is_kept(api: Client) -> None:
    menu = {"Behavior": "UseLabel", "Group": "Details", "Order": 10000, "Label": labelled("Contacts")}
    url = (await create_lookup(api, AssociatedMenuConfiguration=menu)).headers["OData-EntityId"]
    kept = (await read(api, url))["AssociatedMenuConfiguration"]
    assert (kept["Behavior"], kept["Label"]["LocalizedLabels"][0]["Label"]) == ("UseLabel", "Contacts")


async def test_a_change_never_works_on_metadata_that_lag(api: Client, environment: Environment) -> None:
    environment.configure(SandboxConfig(metadata_lag_s=30))
    column = {"@odata.type": f"{TYPE}.StringAttributeMetadata", "SchemaName": "new_Note", "MaxLength": 10}
    assert (await api.post(f"{CONTACT}/Attributes", json=column)).status_code == 204
    await api.put(CONTACT, json={"DisplayName": labelled("Person")})
    fresh = {"Consistency": "Strong"}
    assert (await read(api, f"{CONTACT}/Attributes(LogicalName='new_note')", **fresh))["SchemaName"] == "new_Note"


async def test_two_names_of_one_many_to_many_relationship_are_said_to_be_missing(api: Client) -> None:
    body = {
        "@odata.type": f"{TYPE}.ManyToManyRelationshipMetadata",
        "SchemaName": "new_contact_account",
        "Entity1LogicalName": "contact",
        "Entity2LogicalName": "account",
        "Entity1NavigationPropertyName": "new_accounts",
        "Entity2NavigationPropertyName": "new_contacts",
    }
    assert error(await api.post("RelationshipDefinitions", json=body)) == (501, "0x80040219")


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("url", ["EntityDefinitions", "RelationshipDefinitions"])
async def test_definitions_are_not_changed_all_at_once(api: Client, method: str, url: str) -> None:
    assert 400 <= (await api.request(method, url, json={})).status_code < 500


@pytest.mark.parametrize(
    "url",
    [
        f"{CONTACT}?$select=PrimaryImageAttribute,HasNotes,IsValidForQueue,IconVectorName,IsSolutionAware",
        f"{CONTACT}/Attributes?$select=IsAuditEnabled,IsValidForAdvancedFind,ColumnNumber,SourceType",
        f"{CONTACT}/Attributes/{TYPE}.StringAttributeMetadata?$select=FormatName,DatabaseLength,ImeMode",
        f"{CONTACT}/ManyToOneRelationships?$select=RelationshipBehavior,EntityKey,IntroducedVersion",
    ],
)
async def test_documented_properties_can_be_selected(api: Client, url: str) -> None:
    assert (await api.get(url)).status_code == 200


async def test_the_options_of_a_column_are_read_by_their_path(api: Client) -> None:
    options = await read(api, f"{GENDER}/{TYPE}.PicklistAttributeMetadata/OptionSet")
    assert [option["Value"] for option in options["Options"]] == [1, 2]


async def test_a_property_of_a_column_can_be_read_alone(api: Client) -> None:
    assert (await read(api, f"{GENDER}/SchemaName"))["value"] == "GenderCode"
    assert (await api.get(f"{GENDER}/IsPrimaryId/$value")).text == "false"


@pytest.mark.parametrize("url", ["EntityDefinitions/$count", f"{CONTACT}/Attributes/$count"])
async def test_definitions_are_counted(api: Client, url: str) -> None:
    listed = await read(api, url.removesuffix("/$count"))
    assert (await api.get(url)).text == str(len(listed["value"]))


@pytest.mark.parametrize(
    "url",
    ["EntityDefinitions/Nothing", f"{CONTACT}/Attributes/Nothing", f"{GENDER}/Nothing", f"{GENDER}/SchemaName/Nothing"],
)
async def test_what_stands_behind_a_definition_is_not_read_over(api: Client, url: str) -> None:
    assert error(await api.get(url)) == (404, "0x8006088a")


async def test_an_unknown_property_of_a_definition_is_named(api: Client) -> None:
    assert error(await api.get(f"{CONTACT}?$select=Nothing")) == (400, "0x80060888")


async def test_the_languages_are_english_alone(api: Client) -> None:
    assert (await read(api, "RetrieveAvailableLanguages"))["LocaleIds"] == [1033]
    assert (await read(api, "RetrieveProvisionedLanguages()"))["RetrieveProvisionedLanguages"] == [1033]


COLUMN = {"@odata.type": f"{TYPE}.PicklistAttributeMetadata", "SchemaName": "new_Tier"}


@pytest.mark.parametrize(
    ("url", "body"),
    [
        pytest.param(f"{CONTACT}/Attributes", COLUMN | {"MaxLength": "5"}, id="length that is a text"),
        pytest.param(f"{CONTACT}/Attributes", COLUMN | {"MaxLength": 2**40}, id="length beyond 32 bits"),
        pytest.param(f"{CONTACT}/Attributes", COLUMN | {"DisplayName": {"LocalizedLabels": "x"}}, id="labels"),
        pytest.param(f"{CONTACT}/Attributes", COLUMN | {"RequiredLevel": "None"}, id="required level"),
        pytest.param(f"{CONTACT}/Attributes", COLUMN | {"OptionSet": {"Options": [{}]}}, id="option without a value"),
        pytest.param(f"{CONTACT}/Keys", {"SchemaName": "new_key", "KeyAttributes": [{}]}, id="columns of a key"),
        pytest.param("EntityDefinitions", {"SchemaName": "new_A", "Attributes": {}}, id="columns of a table"),
        pytest.param("CreateEntities", {"Entities": 5}, id="tables"),
        pytest.param("BulkDelete", {"QuerySet": [5]}, id="queries"),
    ],
)
async def test_a_member_of_another_type_is_a_payload_error(api: Client, url: str, body: dict[str, Any]) -> None:
    assert error(await api.post(url, json=body)) == (400, "0x80048d19")


async def test_a_column_that_is_needed_is_not_deleted(api: Client) -> None:
    await api.post("EntityDefinitions", json=bank())
    table = "EntityDefinitions(LogicalName='new_bankaccount')"
    await api.post(f"{table}/Attributes", json=column("new_Number"))
    await api.post(f"{table}/Keys", json={"SchemaName": "new_key", "KeyAttributes": ["new_number"]})
    for name in ("new_accountname", "new_number"):
        assert error(await api.delete(f"{table}/Attributes(LogicalName='{name}')")) == (400, "0x8004f01f")
    await api.delete(f"{table}/Keys(LogicalName='new_key')")
    assert (await api.delete(f"{table}/Attributes(LogicalName='new_number')")).status_code == 204
    await create(api, "new_bankaccounts", new_accountname="x")


async def test_a_choice_takes_only_the_options_that_it_was_made_with(api: Client) -> None:
    options = [{"Value": value, "Label": labelled(f"Tier {value}")} for value in (10, 20)]
    made = await api.post(f"{CONTACT}/Attributes", json=COLUMN | {"OptionSet": {"Options": options}})
    assert made.status_code == 204
    await create(api, "contacts", new_tier=20)
    refused = await api.post("contacts", json={"new_tier": 30})
    assert error(refused) == (400, "0x8004431a")
    assert message(refused) == (
        "A validation error occurred. The value 30 of 'new_tier' on record of type 'contact' is outside the valid "
        "range. Accepted Values: 10,20"
    )


async def test_the_pairs_of_a_deleted_table_go_with_it(api: Client) -> None:
    pairs = paired("new_pairs", Entity1LogicalName="new_bankaccount")
    for _ in range(2):
        assert (await api.post("EntityDefinitions", json=bank())).status_code == 204
        assert (await api.post("RelationshipDefinitions", json=pairs)).status_code == 204
        assert (await api.delete("EntityDefinitions(LogicalName='new_bankaccount')")).status_code == 204
    assert error(await api.get("RelationshipDefinitions(SchemaName='new_pairs')")) == (404, "0x80040217")


@pytest.mark.parametrize(
    ("url", "context"),
    [
        ("EntityDefinitions?$select=LogicalName,SchemaName", "EntityDefinitions(LogicalName,SchemaName)"),
        (f"{CONTACT}?$select=LogicalName", "EntityDefinitions(LogicalName)/$entity"),
        (
            f"{CONTACT}?$select=LogicalName&$expand=Keys($select=SchemaName)",
            "EntityDefinitions(LogicalName,Keys(SchemaName))/$entity",
        ),
        (
            f"{CONTACT}/Attributes/{TYPE}.LookupAttributeMetadata?$select=LogicalName",
            f"EntityDefinitions('contact')/Attributes/{TYPE}.LookupAttributeMetadata(LogicalName)",
        ),
    ],
)
async def test_a_context_names_what_was_selected(api: Client, url: str, context: str) -> None:
    assert (await read(api, url))["@odata.context"].partition("$metadata#")[2] == context


async def test_what_is_selected_comes_before_the_metadata_id(api: Client) -> None:
    assert list(await read(api, f"{CONTACT}?$select=SchemaName"))[1:] == ["SchemaName", "MetadataId"]


async def test_a_relationship_is_kept_with_the_key_that_it_refers_to(api: Client) -> None:
    url = (await create_lookup(api, ReferencedAttribute=None)).headers["OData-EntityId"]
    assert (await read(api, url))["ReferencedAttribute"] == "msdynci_customerprofileid"


async def test_a_row_of_a_new_table_has_an_owner_and_what_belongs_to_it(api: Client) -> None:
    url = (await api.post("EntityDefinitions", json=bank())).headers["OData-EntityId"]
    entity_set = (await read(api, url))["EntitySetName"]
    row = await create(api, entity_set, new_accountname="x")
    who = await read(api, "WhoAmI")
    names = ("_ownerid_value", "_owninguser_value", "_owningbusinessunit_value", "_owningteam_value")
    others = ("importsequencenumber", "overriddencreatedon")
    found = await read(api, f"{entity_set}({row})?$select={','.join((*names, *others))}")
    assert [found[name] for name in names] == [who["UserId"], who["UserId"], who["BusinessUnitId"], None]
    await api.patch(f"{entity_set}({row})", json={"ownerid@odata.bind": f"systemusers({LINKER.systemuser_id})"})
    found = await read(api, f"{entity_set}({row})?$select={','.join(names)}")
    assert [found[name] for name in names[:2]] == [LINKER.systemuser_id] * 2
