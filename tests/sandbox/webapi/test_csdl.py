"""The CSDL document of `$metadata`: Microsoft's pages on service documents, entity types and navigation properties."""

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from sandbox.runtime import Environment
from sandbox.webapi.operations.actions import ACTIONS
from sandbox.webapi.operations.functions import FUNCTIONS
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import create_lookup

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
PRIMITIVE = "Edm."


@pytest.fixture
async def document(api: Client) -> ET.Element:
    """The schema element."""
    return await schema_of(api)


async def schema_of(api: Client, query: str = "") -> ET.Element:
    answer = await api.get(f"$metadata{query}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/xml")
    (schema,) = ET.fromstring(answer.content).iter(f"{EDM}Schema")  # noqa: S314  # the answer of our own sandbox
    return schema


def entity(document: ET.Element, name: str) -> ET.Element:
    return next(one for one in document.iter(f"{EDM}EntityType") if one.get("Name") == name)


def named(parent: ET.Element, tag: str, name: str) -> dict[str, str]:
    return next(dict(one.attrib) for one in parent.iter(f"{EDM}{tag}") if one.get("Name") == name)


def test_it_is_read_by_its_namespace(document: ET.Element) -> None:
    assert (document.get("Namespace"), document.get("Alias")) == ("Microsoft.Dynamics.CRM", "mscrm")


def test_every_table_is_an_entity_type_with_its_key_and_an_entity_set(
    document: ET.Element, environment: Environment
) -> None:
    tables = environment.database.schema.tables.values()
    keys = {
        one.get("Name"): [key.get("Name") for key in one.iter(f"{EDM}PropertyRef")]
        for one in document.iter(f"{EDM}EntityType")
        if one.find(f"{EDM}Key") is not None
    }
    assert keys == {table.logical_name: [table.primary_id] for table in tables}
    sets = {(one.get("Name"), one.get("EntityType")) for one in document.iter(f"{EDM}EntitySet")}
    assert sets == {(table.entity_set, f"Microsoft.Dynamics.CRM.{table.logical_name}") for table in tables}


@pytest.mark.parametrize(
    ("table", "name", "kind"),
    [
        ("contact", "contactid", "Edm.Guid"),
        ("contact", "lastname", "Edm.String"),
        ("contact", "birthdate", "Edm.Date"),
        ("contact", "createdon", "Edm.DateTimeOffset"),
        ("contact", "versionnumber", "Edm.Int64"),
        ("contact", "statecode", "Edm.Int32"),
        ("contact", "_parentcustomerid_value", "Edm.Guid"),
        ("contact", "creditlimit", "Edm.Decimal"),
        ("contact", "donotemail", "Edm.Boolean"),
        ("account", "address1_latitude", "Edm.Double"),
        ("sdkmessageprocessingstep", "ishidden", "mscrm.BooleanManagedProperty"),
    ],
)
def test_a_property_has_the_type_of_its_column(document: ET.Element, table: str, name: str, kind: str) -> None:
    assert named(entity(document, table), "Property", name)["Type"] == kind


def test_a_lookup_with_several_targets_has_a_navigation_property_for_each(document: ET.Element) -> None:
    account = named(entity(document, "contact"), "NavigationProperty", "parentcustomerid_account")
    assert account == {
        "Name": "parentcustomerid_account",
        "Type": "mscrm.account",
        "Partner": "contact_customer_accounts",
        "Nullable": "false",
    }
    contact = entity(document, "contact")
    found = [dict(one.attrib) for one in contact.iter(f"{EDM}ReferentialConstraint")]
    assert {"Property": "_parentcustomerid_value", "ReferencedProperty": "accountid"} in found


def test_a_collection_has_the_lookup_as_its_partner(document: ET.Element) -> None:
    found = named(entity(document, "account"), "NavigationProperty", "contact_customer_accounts")
    assert (found["Type"], found["Partner"]) == ("Collection(mscrm.contact)", "parentcustomerid_account")


async def test_a_new_lookup_is_there_at_once(api: Client) -> None:
    before = await schema_of(api)
    assert not [one for one in entity(before, "contact") if one.get("Name") == "new_CustomerProfile"]
    await create_lookup(api)
    after = entity(await schema_of(api), "contact")
    assert named(after, "NavigationProperty", "new_CustomerProfile")["Type"] == "mscrm.msdynci_customerprofile"
    assert named(after, "Property", "_new_customerprofile_value")["Type"] == "Edm.Guid"


def test_every_name_that_it_uses_is_defined_in_it(document: ET.Element) -> None:
    tags = ("EntityType", "ComplexType", "EnumType")
    types = {f"mscrm.{one.get('Name')}" for tag in tags for one in document.iter(f"{EDM}{tag}")}
    used = {one.get(name, "") for one in document.iter() for name in ("Type", "BaseType")} - {""}
    plain = {name.removeprefix("Collection(").removesuffix(")") for name in used}
    assert {name for name in plain - types if not name.startswith(PRIMITIVE)} == set()


def test_every_navigation_property_leads_back(document: ET.Element) -> None:
    ends = {
        (one.get("Name"), found.get("Name"), _plain(found.get("Type")), found.get("Partner"))
        for one in document.iter(f"{EDM}EntityType")
        for found in one.iter(f"{EDM}NavigationProperty")
    }
    assert len(ends) > 50
    back = {(target, partner, source, name) for source, name, target, partner in ends}
    assert [end for end in ends if end not in back] == []


def _plain(kind: str | None) -> str:
    return str(kind).removeprefix("Collection(").removesuffix(")").removeprefix("mscrm.")


def test_a_property_has_one_meaning(document: ET.Element) -> None:
    for one in document.iter(f"{EDM}EntityType"):
        names = [part.get("Name") for part in one if part.tag != f"{EDM}Key"]
        assert len(names) == len(set(names)), one.get("Name")


def test_the_actions_and_functions_that_are_answered_are_declared(document: ET.Element) -> None:
    actions = {one.get("Name") for one in document.iter(f"{EDM}ActionImport")}
    functions = {one.get("Name") for one in document.iter(f"{EDM}FunctionImport")}
    assert actions == ACTIONS.keys()
    assert FUNCTIONS.keys() <= functions
    bound = {one.get("Name") for one in document.iter(f"{EDM}Action") if one.get("IsBound")}
    assert {"CreateMultiple", "UpdateMultiple", "UpsertMultiple"} <= bound


async def test_annotations_come_when_they_are_asked_for(api: Client) -> None:
    columns = ["emailaddress1"]
    await api.post("EntityDefinitions(LogicalName='contact')/Keys", json=_key(columns))
    assert not list((await schema_of(api)).iter(f"{EDM}Annotation"))
    annotated = entity(await schema_of(api, "?annotations=true"), "contact")
    terms = {one.get("Term") for one in annotated.iter(f"{EDM}Annotation")}
    assert {"Org.OData.Core.V1.Computed", "OData.Community.Keys.V1.AlternateKeys"} <= terms
    paths = [one.get("PropertyPath") for one in annotated.iter(f"{EDM}PropertyValue") if one.get("PropertyPath")]
    assert paths == columns


def _key(columns: list[str]) -> dict[str, object]:
    label = {"LocalizedLabels": [{"Label": "Email", "LanguageCode": 1033}]}
    return {"SchemaName": "new_Email", "DisplayName": label, "KeyAttributes": columns}


async def test_an_annotation_says_which_sets_track_changes(api: Client, environment: Environment) -> None:
    table = environment.database.schema.tables["task"]
    environment.database.replace_table(replace(table, change_tracking=False))
    document = await schema_of(api, "?annotations=true")
    term = "Org.OData.Capabilities.V1.ChangeTracking"
    tracked = {
        one.get("Name")
        for one in document.iter(f"{EDM}EntitySet")
        if term in {part.get("Term") for part in one.iter(f"{EDM}Annotation")}
    }
    assert ("contacts" in tracked, "tasks" in tracked) == (True, False)
