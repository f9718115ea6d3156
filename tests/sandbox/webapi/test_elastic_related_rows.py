"""Rows that are related by links to elastic rows: expanded, filtered, joined and listed."""

import pytest

from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.kinds import (
    PROFILES,
    add_link_column,
    add_profiles,
    add_profiles_in,
    contact_bound_to,
    of_kind,
    switch,
)
from tests.sandbox.webapi.steps import error, read


@pytest.fixture
def config() -> SandboxConfig:
    return of_kind("elastic")


@pytest.fixture(autouse=True)
async def column(api: Client) -> None:
    await add_link_column(api)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("refuse", (400, "0x80048d0b")), ("null", None), ("work", "c1")],
)
async def test_what_an_expanded_list_gets_is_a_switch(
    api: Client, environment: Environment, mode: str, expected: object
) -> None:
    switch(environment, elastic_expand=mode)
    (profile,) = await add_profiles(api, "c1")
    await contact_bound_to(api, f"{PROFILES}({profile})")
    answer = await api.get("contacts?$expand=new_CustomerProfile($select=msdynci_customerid)")
    if mode == "refuse":
        assert error(answer) == expected
        assert answer.json()["error"]["message"] == "Link entities are not supported"
        return
    (row,) = answer.json()["value"]
    found = row["new_CustomerProfile"]
    assert (found and found["msdynci_customerid"]) == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("work", "c1"), ("null", None), ("refuse", (400, "0x80048d0b"))],
)
async def test_what_one_row_brings_along_is_a_switch(
    api: Client, environment: Environment, mode: str, expected: object
) -> None:
    switch(environment, elastic_expand_one=mode)
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    answer = await api.get(f"contacts({contact})?$expand=new_CustomerProfile($select=msdynci_customerid)")
    if mode == "refuse":
        assert error(answer) == expected
        return
    found = answer.json()["new_CustomerProfile"]
    assert (found and found["msdynci_customerid"]) == expected


async def test_one_row_brings_nothing_along_by_a_dead_link(api: Client) -> None:
    (profile,) = await add_profiles_in(api, "p", "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    row = await read(api, f"contacts({contact})?$expand=new_CustomerProfile")
    assert row["new_CustomerProfile"] is None


@pytest.mark.parametrize(
    "path", ["new_CustomerProfile/msdynci_customerid eq 'c1'", "new_CustomerProfile/msdynci_customerid ne null"]
)
@pytest.mark.parametrize("mode", ["refuse", "null", "work"])
async def test_a_filter_through_the_lookup_follows_the_same_switch(
    api: Client, environment: Environment, mode: str, path: str
) -> None:
    switch(environment, elastic_expand=mode)
    (profile,) = await add_profiles(api, "c1")
    await contact_bound_to(api, f"{PROFILES}({profile})")
    answer = await api.get(f"contacts?$filter={path}")
    if mode == "refuse":
        assert error(answer) == (400, "0x80048d0b")
    else:
        assert len(answer.json()["value"]) == (mode == "work")


@pytest.mark.parametrize("kind", ["inner", "outer"])
@pytest.mark.parametrize("mode", ["refuse", "null", "work"])
async def test_a_link_entity_follows_the_same_switch(
    api: Client, environment: Environment, mode: str, kind: str
) -> None:
    switch(environment, elastic_expand=mode)
    (profile,) = await add_profiles(api, "c1")
    await contact_bound_to(api, f"{PROFILES}({profile})")
    link = (
        f'<link-entity name="msdynci_customerprofile" from="msdynci_customerprofileid" to="new_customerprofile" '
        f'alias="p" link-type="{kind}"><attribute name="msdynci_customerid"/></link-entity>'
    )
    fetch = f'<fetch><entity name="contact"><attribute name="contactid"/>{link}</entity></fetch>'
    answer = await api.get("contacts", params={"fetchXml": fetch})
    if mode == "refuse":
        assert error(answer) == (400, "0x80048d0b")
        return
    (row,) = answer.json()["value"]
    assert row.get("p.msdynci_customerid") == ("c1" if mode == "work" else None)


async def test_the_rows_below_an_elastic_parent_can_be_listed(api: Client) -> None:
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    found = await read(api, f"{PROFILES}({profile})/new_msdynci_customerprofile_contact?$select=contactid")
    assert [row["contactid"] for row in found["value"]] == [contact]
