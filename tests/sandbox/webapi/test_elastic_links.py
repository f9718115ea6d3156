"""Lookups to elastic rows: binds with and without a partition, dead and orphaned links, labels.

Microsoft's pages on using elastic tables; that the label of the link is the CustomerId follows from the primary name.
"""

import pytest

from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.kinds import (
    ANNOTATED,
    LABEL,
    LINK,
    PID,
    PROFILES,
    add_link_column,
    add_profiles,
    add_profiles_in,
    contact_bound_to,
    link_of,
    of_kind,
    switch,
)
from tests.sandbox.webapi.steps import NONE, create, error, names, read, update_multiple

KEY = "msdynci_customerprofiles(msdynci_customerprofileid={},partitionid='{}')"


@pytest.fixture
def config() -> SandboxConfig:
    return of_kind("elastic")


@pytest.fixture(autouse=True)
async def column(api: Client) -> None:
    await add_link_column(api)


async def test_a_plain_bind_finds_a_row_in_its_default_partition(api: Client) -> None:
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    assert await link_of(api, contact) == (profile, "c1", profile)


async def test_a_plain_bind_to_a_row_of_another_partition_is_dead_without_an_error(api: Client) -> None:
    (profile,) = await add_profiles_in(api, "p", "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    assert await link_of(api, contact) == (profile, None, profile)
    assert (await api.get(f"contacts({contact})/new_CustomerProfile")).status_code == 204


async def test_a_bind_with_the_partition_stores_both_and_has_no_label(api: Client) -> None:
    (profile,) = await add_profiles_in(api, "p'1", "c1")
    contact = await contact_bound_to(api, KEY.format(profile, "p''1"))
    assert await link_of(api, contact) == (profile, None, "p'1")
    assert (await read(api, f"contacts({contact})/new_CustomerProfile"))["msdynci_customerid"] == "c1"


async def test_a_bind_with_a_wrong_partition_is_dead_without_an_error(api: Client) -> None:
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, KEY.format(profile, "wrong"))
    assert await link_of(api, contact) == (profile, None, "wrong")


async def test_a_bind_with_the_rows_own_id_as_partition_is_alive(api: Client) -> None:
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, KEY.format(profile, profile))
    assert await link_of(api, contact) == (profile, "c1", profile)


async def test_another_bind_changes_the_partition_and_null_clears_both(api: Client) -> None:
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, KEY.format(profile, "wrong"))
    await api.patch(f"contacts({contact})", json={"new_CustomerProfile@odata.bind": f"{PROFILES}({profile})"})
    assert await link_of(api, contact) == (profile, "c1", profile)
    await api.patch(f"contacts({contact})", json={"new_CustomerProfile@odata.bind": KEY.format(profile, "p")})
    await api.patch(f"contacts({contact})", json={"new_CustomerProfile": None})
    assert await link_of(api, contact) == (None, None, None)
    await api.patch(f"contacts({contact})", json={"new_CustomerProfile@odata.bind": KEY.format(profile, "p")})
    await api.patch(f"contacts({contact})", json={"new_CustomerProfile@odata.bind": None})
    assert await link_of(api, contact) == (None, None, None)


async def test_a_reference_sets_and_clears_both_as_well(api: Client) -> None:
    (profile,) = await add_profiles(api, "c1")
    contact = await create(api, "contacts")
    url = f"contacts({contact})/new_CustomerProfile/$ref"
    await api.put(url, json={"@odata.id": KEY.format(profile, "p")})
    assert await link_of(api, contact) == (profile, None, "p")
    await api.delete(url)
    assert await link_of(api, contact) == (None, None, None)


async def test_the_partition_is_a_column_that_can_be_written(api: Client) -> None:
    (profile,) = await add_profiles_in(api, "p", "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    await api.patch(f"contacts({contact})", json={PID: "p"})
    assert (await read(api, f"contacts({contact})/new_CustomerProfile"))["msdynci_customerid"] == "c1"
    both = {PID: "p", "new_CustomerProfile@odata.bind": f"{PROFILES}({profile})"}
    other = await create(api, "contacts", **both)
    assert await link_of(api, other) == (profile, None, "p")


async def test_update_multiple_takes_both_forms_of_a_bind(api: Client) -> None:
    (profile,) = await add_profiles(api, "c1")
    contacts = [await create(api, "contacts") for _ in range(2)]
    references = [f"{PROFILES}({profile})", KEY.format(profile, "p")]
    targets = [
        {"contactid": contact, "new_CustomerProfile@odata.bind": reference}
        for contact, reference in zip(contacts, references, strict=True)
    ]
    assert (await update_multiple(api, *targets)).status_code == 204
    assert [await link_of(api, contact) for contact in contacts] == [(profile, "c1", profile), (profile, None, "p")]


async def test_deleting_a_profile_leaves_the_lookup_and_its_partition(api: Client) -> None:
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    assert (await api.delete(f"{PROFILES}({profile})")).status_code == 204
    assert await link_of(api, contact) == (profile, None, profile)


async def test_a_profile_that_comes_back_under_its_id_revives_the_link(api: Client) -> None:
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    await api.delete(f"{PROFILES}({profile})")
    await create(api, PROFILES, msdynci_customerprofileid=profile, msdynci_customerid="c2")
    assert await link_of(api, contact) == (profile, "c2", profile)


@pytest.mark.parametrize(("mode", "status"), [("accept", 204), ("refuse", 404)])
async def test_whether_a_missing_row_can_be_bound_is_a_switch(
    api: Client, environment: Environment, mode: str, status: int
) -> None:
    switch(environment, bind_missing=mode)
    for reference in (f"{PROFILES}({NONE})", KEY.format(NONE, "p")):
        answer = await api.post("contacts", json={"new_CustomerProfile@odata.bind": reference})
        assert answer.status_code == status


@pytest.mark.parametrize(("mode", "labelled"), [("given", True), ("absent", False)])
async def test_whether_lists_have_labels_is_a_switch(
    api: Client, environment: Environment, mode: str, labelled: bool
) -> None:
    switch(environment, elastic_list_labels=mode)
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    (row,) = (await api.get(f"contacts?$select={LINK}", headers=ANNOTATED)).json()["value"]
    assert (row.get(LABEL) == "c1") is labelled
    assert (await link_of(api, contact))[1] == "c1"


async def test_the_lookup_itself_is_filtered_as_any_other(api: Client) -> None:
    (profile,) = await add_profiles(api, "c1")
    await create(api, "contacts", lastname="Ash", **{"new_CustomerProfile@odata.bind": f"{PROFILES}({profile})"})
    await create(api, "contacts", lastname="Elm")
    assert await names(api, f"{LINK} eq {profile}") == ["Ash"]
    assert await names(api, f"{LINK} eq null") == ["Elm"]
    assert await names(api, f"{PID} eq '{profile}'") == ["Ash"]


@pytest.mark.parametrize("shown", ["lower", "upper", "null"])
async def test_the_partition_of_a_plain_bind_is_shown_as_that_of_the_row(
    api: Client, environment: Environment, shown: str
) -> None:
    switch(environment, partition_shown=shown)
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    of_row = (await read(api, f"{PROFILES}({profile})"))["partitionid"]
    assert await link_of(api, contact) == (profile, "c1", of_row)


# -- related rows


async def test_the_partition_beside_a_link_goes_with_it(api: Client, environment: Environment) -> None:
    (profile,) = await add_profiles(api, "c1")
    contact = await contact_bound_to(api, f"{PROFILES}({profile})")
    assert PID in environment.database.schema.tables["contact"].columns
    (name,) = (r.schema_name for r in environment.database.schema.lookups("contact") if r.custom)
    answer = await api.delete(f"RelationshipDefinitions(SchemaName='{name}')")
    assert answer.status_code == 204, answer.text
    assert not {"new_customerprofile", PID} & environment.database.schema.tables["contact"].columns.keys()
    assert (await api.get(f"contacts({contact})")).status_code == 200


async def test_no_server_asks_for_columns_of_a_table_that_was_dropped(api: Client, environment: Environment) -> None:
    """Other servers know of changes later, but a column that is gone cannot be read by any of them."""
    environment.database.drop_table(environment.database.schema.tables["msdynci_customerprofile"])
    for table in ("contact", "msdynci_alternatekey"):
        rows = await api.get(environment.database.schema.tables[table].entity_set)
        assert rows.status_code == 200, rows.text


class TestOnlyInMetadata:
    """The switch by which rows do not have the partition beside a link."""

    @pytest.fixture
    def config(self) -> SandboxConfig:
        return of_kind("elastic", link_partition="metadata_only")

    async def test_metadata_name_the_partition_and_rows_do_not_have_it(self, api: Client) -> None:
        url = f"EntityDefinitions(LogicalName='contact')/Attributes(LogicalName='{PID}')"
        column = await read(api, f"{url}?$select=AttributeOf,IsValidODataAttribute")
        assert (column["AttributeOf"], column["IsValidODataAttribute"]) == ("new_customerprofile", False)
        await create(api, "contacts")
        (row,) = (await read(api, "contacts"))["value"]
        assert (LINK in row, PID in row) == (True, False)
        assert f'"{PID}"' not in (await api.get("$metadata")).text

    @pytest.mark.parametrize("query", ["$select={}", "$filter={} eq null", "$orderby={}"])
    async def test_queries_do_not_know_it(self, api: Client, query: str) -> None:
        assert error(await api.get(f"contacts?{query.format(PID)}")) == (400, "0x80060888")

    async def test_rows_cannot_be_written_with_it(self, api: Client) -> None:
        assert (await api.post("contacts", json={PID: "p"})).status_code == 400

    @pytest.mark.parametrize(("partition", "label"), [("p", None), (None, "c1")])
    async def test_links_lead_where_they_lead_otherwise(
        self, api: Client, partition: str | None, label: str | None
    ) -> None:
        (profile,) = await add_profiles_in(api, partition, "c1") if partition else await add_profiles(api, "c1")
        reference = KEY.format(profile, partition) if partition else f"{PROFILES}({profile})"
        contact = await contact_bound_to(api, reference)
        row = (await api.get(f"contacts({contact})?$select={LINK}", headers=ANNOTATED)).json()
        assert (row[LINK], row.get(LABEL)) == (profile, label)
        assert (await read(api, f"contacts({contact})/new_CustomerProfile"))["msdynci_customerid"] == "c1"
