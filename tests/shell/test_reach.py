"""What a row reaches through its link, read live from the sandbox's Web API."""

from collections.abc import AsyncIterator

import pytest

from linker import api
from linker.core.keys import row_key
from linker.core.scanning import TableState
from linker.dataverse import reach as reading
from linker.reach import Reach, Value
from sandbox.schema.definition import define_table
from sandbox.schema.model import Column, ColumnType
from tests.fakes.client import Client
from tests.fakes.measured import TABLE, Measured, measured


@pytest.fixture
async def world() -> AsyncIterator[Measured]:
    async with measured() as made:
        yield made


async def reached(world: Measured, row: str = "") -> Reach:
    found = await reading.reach(world.sandboxed.dataverse, world.target, row_key(row or world.row) or b"")
    assert found is not None
    return found


def plain(values: tuple[Value, ...]) -> dict[str, object]:
    return {value.name: value.value for value in values}


async def test_attributes_and_measures_of_the_profile_come_typed_and_labelled(world: Measured) -> None:
    found = await reached(world)
    shown = plain(found.attributes)
    assert shown["msdynci_loyaltytier"] == world.profile["msdynci_loyaltytier"]
    assert shown["msdynci_lifetimevalue"] == world.profile["msdynci_lifetimevalue"]
    assert shown["msdynci_leadscore"] == world.measures.lead_score
    (score,) = (value for value in found.attributes if value.name == "msdynci_leadscore")
    assert (score.label, score.type, score.text) == ("Lead score", "Integer", str(world.measures.lead_score))
    assert (found.profile, found.customer) == (world.profile["msdynci_customerprofileid"], world.customer)
    assert found.unreachable == ()


async def test_columns_of_the_platform_are_left_out(world: Measured) -> None:
    assert {"createdon", "modifiedby", "versionnumber"}.isdisjoint(plain((await reached(world)).attributes))


async def test_a_related_measure_table_is_found_by_metadata_and_read_over_its_lookup(world: Measured) -> None:
    held = (await world.sandboxed.admin.get("msdynci_supportissues")).json()["value"]
    path = next(row["msdynci_supportissueid"] for row in held if row["msdynci_customerid"] == world.customer)
    (
        await world.sandboxed.admin.patch(f"msdynci_supportissues({path})", json={"msdynci_customerid": "x"})
    ).raise_for_status()
    (issues,) = (await reached(world)).related
    (row,) = issues.rows
    measures = world.measures
    assert (issues.table, issues.more) == ("msdynci_supportissue", False)
    assert plain(row) == {
        "msdynci_lastmonth": measures.issues_last_month,
        "msdynci_lastyear": measures.issues_last_year,
        "msdynci_lifetime": measures.issues_lifetime,
        "msdynci_name": "Support issues",
    }


async def test_measures_that_know_the_customer_only_are_joined_by_customer_id(world: Measured) -> None:
    found = plain((await reached(world)).measures)
    assert found["SupportIssuesLastMonth"] == world.measures.issues_last_month
    assert found["TotalPurchases"] == world.measures.total_purchases


async def test_a_table_that_carries_the_customer_id_alone_is_read_by_it_and_shows_a_few_rows(world: Measured) -> None:
    count = reading.MOST_ROWS + 1
    columns = [Column("msdynci_customerid"), Column("msdynci_number", ColumnType.INTEGER)]
    table = define_table("msdynci_visit", columns, entity_set="msdynci_visits", custom=True)
    world.sandboxed.environment.database.create_table(table)
    for number in range(count):
        body = {"msdynci_customerid": world.customer, "msdynci_number": number}
        (await world.sandboxed.admin.post("msdynci_visits", json=body)).raise_for_status()
    (await world.sandboxed.admin.post("msdynci_visits", json={"msdynci_customerid": "x"})).raise_for_status()
    visits = next(rows for rows in (await reached(world)).related if rows.table == "msdynci_visit")
    assert (len(visits.rows), visits.more) == (reading.MOST_ROWS, True)
    assert {dict(plain(row)).get("msdynci_number") for row in visits.rows} <= set(range(count))


async def test_a_look_costs_five_requests_and_two_for_each_related_table(world: Measured) -> None:
    dataverse = world.sandboxed.dataverse
    await reading.reach(dataverse, world.target, world.key)
    assert dataverse.meter.requests == 5 + 2


async def test_a_row_without_a_link_reaches_nothing(world: Measured) -> None:
    assert await reached(world, world.other) == Reach()


async def test_a_row_that_is_gone_is_none(world: Measured) -> None:
    gone = row_key("00000000-0000-4000-8000-000000000001") or b""
    assert await reading.reach(world.sandboxed.dataverse, world.target, gone) is None


@pytest.mark.parametrize(
    ("privilege", "what"),
    [
        pytest.param("prvReadmsdynci_supportissue", "msdynci_supportissue", id="a related table"),
        pytest.param("prvReadmsdynci_customermeasure", "msdynci_customermeasure", id="measures by CustomerId"),
        pytest.param("prvReadEntity", "related tables", id="definitions"),
    ],
)
async def test_a_part_that_may_not_be_read_is_named_and_the_others_are_there(
    world: Measured, privilege: str, what: str
) -> None:
    await world.deny(privilege)
    found = await reached(world)
    assert privilege in {reason.what: reason.why for reason in found.unreachable}[what]
    assert found.customer == world.customer


async def test_a_profile_that_may_not_be_read_leaves_the_link_and_says_why(world: Measured) -> None:
    await world.deny("prvReadmsdynci_customerprofile")
    found = await reached(world)
    reasons = {reason.what: reason.why for reason in found.unreachable}
    assert (found.profile, found.customer, found.attributes) == (world.profile["msdynci_customerprofileid"], None, ())
    assert "prvReadmsdynci_customerprofile" in reasons["msdynci_customerprofile"]
    assert "CustomerId of the profile is not known" in reasons["msdynci_customermeasure"]
    assert [rows.table for rows in found.related] == ["msdynci_supportissue"]  # its lookup needs no CustomerId


async def test_a_profile_that_dataverse_does_not_show_is_said_to_be_hidden(world: Measured) -> None:
    world.sandboxed.environment.database.execute("DELETE FROM msdynci_customerprofile")
    found = await reached(world)
    assert (found.profile, found.customer) == (world.profile["msdynci_customerprofileid"], None)
    reasons = {reason.what: reason.why for reason in found.unreachable}
    assert reasons["msdynci_customerprofile"].startswith("Dataverse shows no profile behind the link")


async def test_a_column_that_is_read_in_another_way_is_named(world: Measured) -> None:
    kind = ColumnType.MANAGED
    table = world.sandboxed.environment.database.schema.tables["msdynci_customerprofile"]
    world.sandboxed.environment.database.add_columns(table, [Column("msdynci_photo", kind)])
    (reason,) = (await reached(world)).unreachable
    assert (reason.what, "ManagedProperty" in reason.why) == ("msdynci_customerprofile.msdynci_photo", True)


async def test_a_customer_id_with_an_apostrophe_stays_inside_its_query(world: Measured) -> None:
    odd = "o'brien%"
    path = f"msdynci_customerprofiles({world.profile['msdynci_customerprofileid']})"
    (await world.sandboxed.admin.patch(path, json={"msdynci_customerid": odd})).raise_for_status()
    body = {"msdynci_customerid": odd, "msdynci_measures": '{"Odd": 1}'}
    (await world.sandboxed.admin.post("msdynci_customermeasures", json=body)).raise_for_status()
    assert plain((await reached(world)).measures) == {"Odd": 1}


async def test_only_so_many_tables_are_read_and_the_others_are_named(
    world: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MOST_TABLES", 0)
    found = await reached(world)
    assert found.related == ()
    assert [reason.what for reason in found.unreachable] == ["msdynci_supportissue"]


# ---- the route ----


@pytest.fixture
async def client(world: Measured) -> Client:
    await world.sandboxed.deps.states.save(TABLE, TableState(), None)
    return Client(world.sandboxed)  # type: ignore[arg-type]


async def test_the_api_tells_what_a_row_reaches(world: Measured, client: Client) -> None:
    reply = await client.ask(api.get_insights, table=TABLE, row=world.row)
    assert (reply.status, reply.body["customer"]) == (200, world.customer)
    assert {"name": "LeadScore", "label": "LeadScore", "type": "", "value": world.measures.lead_score, "text": ""} in (
        reply.body["measures"]
    )


@pytest.mark.parametrize(
    ("table", "row"),
    [
        pytest.param(TABLE, "00000000-0000-4000-8000-000000000001", id="no such row"),
        pytest.param("contact", "00000000-0000-4000-8000-000000000001", id="no linked table"),
    ],
)
async def test_a_row_that_is_not_there_is_not_found(client: Client, table: str, row: str) -> None:
    assert (await client.ask(api.get_insights, table=table, row=row)).status == 404


async def test_a_row_that_cannot_be_read_at_all_is_told_as_such(world: Measured, client: Client) -> None:
    await world.deny("prvReadLead")
    reply = await client.ask(api.get_insights, table=TABLE, row=world.row)
    assert (reply.status, "prvReadLead" in reply.body["detail"]) == (503, True)
