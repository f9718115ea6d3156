"""Relationships: docs/reference/dataverse.md 7 and 8.4."""

import pytest

from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.definitions import CONTACT
from tests.sandbox.webapi.steps import LOOKUP, Json, create, create_lookup, error, message, read

COLUMN = "new_customerprofile"


async def test_a_relationship_makes_a_column_a_navigation_property_and_a_definition(api: Client) -> None:
    answer = await create_lookup(api)
    assert answer.status_code == 204
    assert (await read(api, answer.headers["OData-EntityId"]))["ReferencingAttribute"] == COLUMN
    names = "SchemaName,ReferencedEntity,ReferencedAttribute,ReferencingAttribute"
    names += ",ReferencingEntityNavigationPropertyName,CascadeConfiguration"
    url = f"{CONTACT}/ManyToOneRelationships?$select={names}&$filter=ReferencingAttribute eq '{COLUMN}'"
    (relationship,) = (await read(api, url))["value"]
    assert relationship["ReferencingEntityNavigationPropertyName"] == LOOKUP
    assert relationship["ReferencedAttribute"] == "msdynci_customerprofileid"
    assert relationship["CascadeConfiguration"]["Delete"] == "RemoveLink"
    column = await read(api, f"{CONTACT}/Attributes(LogicalName='{COLUMN}')")
    assert (column["AttributeType"], column["SchemaName"]) == ("Lookup", LOOKUP)
    assert column["DisplayName"]["UserLocalizedLabel"]["Label"] == "Customer Profile"


async def test_a_new_column_is_usable_without_publishing(api: Client) -> None:
    await create(api, "contacts", lastname="Ash")
    await create_lookup(api)
    row = (await read(api, f"contacts?$select=_{COLUMN}_value"))["value"][0]
    assert row[f"_{COLUMN}_value"] is None


async def test_a_navigation_property_name_can_be_chosen(api: Client) -> None:
    await create_lookup(api, ReferencingEntityNavigationPropertyName="new_Chosen")
    assert (await api.get("contacts?$expand=new_Chosen")).status_code == 200


async def test_a_relationship_is_found_by_filter_cast_and_name(api: Client) -> None:
    await create_lookup(api)
    name = "new_msdynci_customerprofile_contact"
    found = await read(api, f"RelationshipDefinitions?%24filter=SchemaName+eq+%27{name}%27")
    assert [r["SchemaName"] for r in found["value"]] == [name]
    cast = "RelationshipDefinitions/Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata"
    found = await read(api, f"{cast}?$filter=ReferencingEntity eq 'contact' and IsCustomRelationship eq true")
    assert [r["SchemaName"] for r in found["value"]] == [name]
    assert (await read(api, f"RelationshipDefinitions(SchemaName='{name}')"))["RelationshipType"] == (
        "OneToManyRelationship"
    )


async def test_deleting_a_relationship_removes_its_column(api: Client) -> None:
    url = (await create_lookup(api)).headers["OData-EntityId"]
    assert (await api.delete(url)).status_code == 204
    assert (await api.get(f"{CONTACT}/Attributes(LogicalName='{COLUMN}')")).status_code == 404
    assert (await api.get(f"contacts?$select=_{COLUMN}_value")).status_code == 400


def _lookup(name: str) -> Json:
    return {"@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata", "SchemaName": name}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({}, "0x8004432B", id="relationship name in use"),
        pytest.param({"SchemaName": "new_other"}, "0x80047013", id="column schema name in use"),
        pytest.param({"SchemaName": "new_other", "Lookup": _lookup(COLUMN)}, "0x80060304", id="logical name in use"),
        pytest.param(
            {
                "SchemaName": "new_other",
                "Lookup": _lookup("new_Other"),
                "ReferencedEntityNavigationPropertyName": "msdynci_customerid",
            },
            "0x80048835",
            id="navigation name clashes on the parent",
        ),
        pytest.param({"SchemaName": "new_" + "x" * 100}, "0x8004802A", id="name too long"),
        pytest.param({"SchemaName": "new_other", "Lookup": _lookup("Other")}, "0x80044344", id="no prefix"),
        pytest.param({"SchemaName": "new_other", "ReferencedEntity": "nothing"}, "0x80041102", id="unknown parent"),
    ],
)
async def test_a_relationship_is_refused(api: Client, changes: Json, code: str) -> None:
    await create_lookup(api)
    assert error(await create_lookup(api, **changes)) == (400, code)


async def test_an_existing_name_is_explained(api: Client) -> None:
    await create_lookup(api)
    assert message(await create_lookup(api)) == (
        "A relationship with the specified name already exists. Please specify a unique name."
    )


@pytest.mark.parametrize(("cascade", "left", "status"), [("Cascade", "0", 204), ("Restrict", "1", 405)])
async def test_deleting_a_parent_does_to_its_children_what_the_relationship_says(
    api: Client, cascade: str, left: str, status: int
) -> None:
    await create_lookup(api, CascadeConfiguration={"Delete": cascade})
    profile = await create(api, "msdynci_customerprofiles", msdynci_customerid="a1")
    await create(api, "contacts", **{f"{LOOKUP}@odata.bind": f"msdynci_customerprofiles({profile})"})
    assert (await api.delete(f"msdynci_customerprofiles({profile})")).status_code == status
    assert (await api.get("contacts/$count")).text == left


async def test_many_to_many_rows_are_paired_read_and_taken_apart(api: Client) -> None:
    body = {
        "@odata.type": "Microsoft.Dynamics.CRM.ManyToManyRelationshipMetadata",
        "SchemaName": "new_contact_account",
        "Entity1LogicalName": "contact",
        "Entity2LogicalName": "account",
        "IntersectEntityName": "new_contact_account",
    }
    assert (await api.post("RelationshipDefinitions", json=body)).status_code == 204
    contact, account = await create(api, "contacts", lastname="Ash"), await create(api, "accounts", name="A")
    url = f"contacts({contact})/new_contact_account"
    await api.post(f"{url}/$ref", json={"@odata.id": f"accounts({account})"})
    assert [row["accountid"] for row in (await read(api, url))["value"]] == [account]
    assert len((await read(api, f"accounts({account})/new_contact_account"))["value"]) == 1
    await api.delete(f"{url}({account})/$ref")
    assert (await read(api, url))["value"] == []
