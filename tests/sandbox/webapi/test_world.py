"""Tables that every environment has beside those of customers, with the names of Microsoft's table reference."""

import pytest

from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import create, create_lookup, error, read


@pytest.mark.parametrize(
    ("entity_set", "name", "code"),
    [
        ("opportunities", "opportunity", 3),
        ("accounts", "account", 1),
        ("incidents", "incident", 112),
        ("organizations", "organization", 1019),
        ("teams", "team", 9),
    ],
)
async def test_a_table_of_every_environment_exists(api: Client, entity_set: str, name: str, code: int) -> None:
    definition = await read(api, f"EntityDefinitions(LogicalName='{name}')?$select=EntitySetName,ObjectTypeCode")
    assert (definition["EntitySetName"], definition["ObjectTypeCode"]) == (entity_set, code)
    assert "value" in await read(api, entity_set)


async def test_the_organization_has_one_row(api: Client) -> None:
    (row,) = (await read(api, "organizations?$select=name,expirechangetrackingindays"))["value"]
    assert (row["organizationid"], row["expirechangetrackingindays"]) == (
        (await read(api, "WhoAmI"))["OrganizationId"],
        7,
    )


async def test_the_business_unit_has_its_default_team(api: Client) -> None:
    (team,) = (await read(api, "teams?$filter=isdefault eq true&$expand=businessunitid($select=name)"))["value"]
    assert (team["name"], team["businessunitid"]["name"]) == ("Sandbox", "Sandbox")


@pytest.mark.parametrize("entity_set", ["opportunities", "incidents"])
@pytest.mark.parametrize("kind", ["account", "contact"])
async def test_a_customer_is_an_account_or_a_contact(api: Client, entity_set: str, kind: str) -> None:
    names = {"account": {"name": "Contoso"}, "contact": {"lastname": "Ash"}}
    customer = await create(api, f"{kind}s", **names[kind])
    row = await create(api, entity_set, **{f"customerid_{kind}@odata.bind": f"{kind}s({customer})"})
    found = await read(api, f"{entity_set}({row})?$select=_customerid_value", Prefer='odata.include-annotations="*"')
    assert found["_customerid_value"] == customer
    assert found["_customerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == kind


async def test_an_opportunity_takes_the_lookup_to_profiles(api: Client) -> None:
    answer = await create_lookup(api, SchemaName="new_profile_opportunity", ReferencingEntity="opportunity")
    assert answer.status_code == 204, answer.text
    assert (
        "_new_customerprofile_value"
        in (await read(api, "opportunities?$select=_new_customerprofile_value"))["@odata.context"]
    )


class TestGlobalOptionSets:
    """The list is empty; a filter on it is refused with 405 (seen in a real environment)."""

    async def test_the_list_is_empty(self, api: Client) -> None:
        assert (await read(api, "GlobalOptionSetDefinitions"))["value"] == []

    async def test_one_by_its_name_is_not_found(self, api: Client) -> None:
        answer = await api.get("GlobalOptionSetDefinitions(Name='new_tier')")
        assert error(answer) == (404, "0x80040217")

    async def test_a_filter_is_refused(self, api: Client) -> None:
        answer = await api.get("GlobalOptionSetDefinitions?$filter=Name eq 'new_tier'")
        assert answer.status_code == 405
