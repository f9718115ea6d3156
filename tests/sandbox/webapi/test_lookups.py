"""Lookups of single rows: docs/reference/dataverse.md 2.2, 4 and 7."""

import pytest

from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import LOOKUP, NONE, create, create_lookup, error, message, read


@pytest.fixture
async def linked(api: Client) -> tuple[Client, str, str]:
    """A contact and a profile, and a lookup between them."""
    await create_lookup(api)
    profile = await create(api, "msdynci_customerprofiles", msdynci_customerid="a1", msdynci_fullname="Ann Ash")
    return api, await create(api, "contacts", lastname="Ash"), profile


async def _link(api: Client, contact: str) -> object:
    return (await read(api, f"contacts({contact})"))["_new_customerprofile_value"]


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("/msdynci_customerprofiles({})", id="with a slash"),
        pytest.param("msdynci_customerprofiles({})", id="without a slash"),
        pytest.param("http://dataverse/api/data/v9.2/msdynci_customerprofiles({})", id="absolute"),
        pytest.param("/api/data/v9.2/msdynci_customerprofiles({})", id="rooted"),
        pytest.param("msdynci_customerprofiles(msdynci_customerprofileid={})", id="named key"),
    ],
)
async def test_a_lookup_is_set_by_bind(linked: tuple[Client, str, str], form: str) -> None:
    api, contact, profile = linked
    answer = await api.patch(f"contacts({contact})", json={f"{LOOKUP}@odata.bind": form.format(profile)})
    assert answer.status_code == 204
    assert await _link(api, contact) == profile


@pytest.mark.parametrize("body", [{f"{LOOKUP}@odata.bind": None}, {LOOKUP: None}], ids=["bind null", "property null"])
async def test_a_lookup_is_cleared_by_null(linked: tuple[Client, str, str], body: dict[str, None]) -> None:
    api, contact, profile = linked
    await api.patch(f"contacts({contact})", json={f"{LOOKUP}@odata.bind": f"msdynci_customerprofiles({profile})"})
    assert (await api.patch(f"contacts({contact})", json=body)).status_code == 204
    assert await _link(api, contact) is None


async def test_the_wrong_case_of_a_navigation_property_is_a_payload_error(linked: tuple[Client, str, str]) -> None:
    api, contact, profile = linked
    answer = await api.patch(
        f"contacts({contact})", json={f"{LOOKUP.lower()}@odata.bind": f"msdynci_customerprofiles({profile})"}
    )
    assert error(answer) == (400, "0x80048d19")
    assert message(answer).startswith("Error identified in Payload provided by the user for Entity :'contacts'")
    assert "An undeclared property 'new_customerprofile' which only has property annotations" in message(answer)


async def test_a_bind_to_a_row_that_does_not_exist_is_refused(linked: tuple[Client, str, str]) -> None:
    api, contact, _ = linked
    answer = await api.patch(f"contacts({contact})", json={f"{LOOKUP}@odata.bind": f"msdynci_customerprofiles({NONE})"})
    assert error(answer) == (404, "0x80060891")
    assert message(answer) == "A record with the specified key values does not exist in msdynci_customerprofile entity"


async def test_a_bind_to_another_table_is_a_payload_error(linked: tuple[Client, str, str]) -> None:
    api, contact, _ = linked
    answer = await api.patch(f"contacts({contact})", json={f"{LOOKUP}@odata.bind": f"contacts({contact})"})
    assert error(answer) == (400, "0x80048d19")


async def test_a_lookup_is_set_and_cleared_by_ref(linked: tuple[Client, str, str]) -> None:
    api, contact, profile = linked
    url = f"contacts({contact})/{LOOKUP}/$ref"
    target = {"@odata.id": f"http://dataverse/api/data/v9.2/msdynci_customerprofiles({profile})"}
    assert (await api.put(url, json=target)).status_code == 204
    assert await _link(api, contact) == profile
    assert (await read(api, url))["@odata.id"].endswith(f"msdynci_customerprofiles({profile})")
    assert (await api.delete(url)).status_code == 204
    assert await _link(api, contact) is None


async def test_a_child_is_added_to_and_removed_from_its_parents_collection(linked: tuple[Client, str, str]) -> None:
    api, contact, profile = linked
    url = f"msdynci_customerprofiles({profile})/new_msdynci_customerprofile_contact"
    await api.post(f"{url}/$ref", json={"@odata.id": f"contacts({contact})"})
    assert [row["contactid"] for row in (await read(api, url))["value"]] == [contact]
    assert (await api.get(f"{url}/$count")).text == "1"
    assert (await api.delete(f"{url}({contact})/$ref")).status_code == 204
    await api.post(f"{url}/$ref", json={"@odata.id": f"contacts({contact})"})
    assert (await api.delete(f"{url}/$ref?$id=contacts({contact})")).status_code == 204
    assert await _link(api, contact) is None


async def test_setting_one_target_of_a_polymorphic_lookup_clears_the_other(api: Client) -> None:
    account, other = await create(api, "accounts", name="A"), await create(api, "contacts", lastname="Elm")
    contact = await create(api, "contacts", **{"parentcustomerid_account@odata.bind": f"accounts({account})"})
    await api.patch(f"contacts({contact})", json={"parentcustomerid_contact@odata.bind": f"contacts({other})"})
    headers = {"Prefer": 'odata.include-annotations="*"'}
    row = await read(api, f"contacts({contact})?$select=_parentcustomerid_value", **headers)
    assert row["_parentcustomerid_value"] == other
    assert row["_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "contact"


async def test_deleting_a_profile_empties_the_lookups_that_point_at_it(linked: tuple[Client, str, str]) -> None:
    api, contact, profile = linked
    await api.patch(f"contacts({contact})", json={f"{LOOKUP}@odata.bind": f"msdynci_customerprofiles({profile})"})
    version = (await read(api, f"contacts({contact})"))["versionnumber"]
    await api.delete(f"msdynci_customerprofiles({profile})")
    assert await _link(api, contact) is None
    assert (await read(api, f"contacts({contact})"))["versionnumber"] == version


async def test_annotations_describe_a_lookup_and_come_before_its_value(linked: tuple[Client, str, str]) -> None:
    api, contact, profile = linked
    await api.patch(f"contacts({contact})", json={f"{LOOKUP}@odata.bind": f"msdynci_customerprofiles({profile})"})
    answer = await api.get(
        f"contacts({contact})?$select=_new_customerprofile_value", headers={"Prefer": 'odata.include-annotations="*"'}
    )
    assert answer.headers["Preference-Applied"] == 'odata.include-annotations="*"'
    value = "_new_customerprofile_value"
    assert list(answer.json())[2:6] == [
        f"{value}@OData.Community.Display.V1.FormattedValue",
        f"{value}@Microsoft.Dynamics.CRM.associatednavigationproperty",
        f"{value}@Microsoft.Dynamics.CRM.lookuplogicalname",
        value,
    ]
    assert list(answer.json().values())[2:6] == ["a1", LOOKUP, "msdynci_customerprofile", profile]


async def test_an_empty_lookup_has_no_annotations(linked: tuple[Client, str, str]) -> None:
    api, contact, _ = linked
    headers = {"Prefer": 'odata.include-annotations="*"'}
    row = await read(api, f"contacts({contact})?$select=_new_customerprofile_value", **headers)
    assert [name for name in row if "new_customerprofile" in name] == ["_new_customerprofile_value"]
