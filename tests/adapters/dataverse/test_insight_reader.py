"""What a row reaches through its link, read live from the sandbox's Web API, for every kind of table."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from linker.adapters.dataverse import insight_reader as reading
from linker.core.insight_paths import Reach, RelatedRows, Value
from linker.core.keys import row_key
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.definition import define_table
from sandbox.switches.config import SandboxConfig, changed
from sandbox.switches.registry import registry
from sandbox.switches.tables import TableKind
from tests.fakes.measured import Measured, measured
from tests.fakes.reached import KINDS, PROFILES, RELATED, Watched, partitioned


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest) -> AsyncIterator[Measured]:
    async with measured(SandboxConfig(profile_table=request.param, mapping_table=request.param)) as made:
        yield made


@pytest.fixture
async def elastic() -> AsyncIterator[Measured]:
    async with measured(SandboxConfig(profile_table="elastic", mapping_table="elastic")) as made:
        yield made


async def reached(world: Measured, row: str = "") -> Reach:
    found = await reading.reach(world.sandboxed.dataverse, world.target, row_key(row or world.row) or b"")
    assert found is not None
    return found


def rows_in(found: Reach, table: str) -> RelatedRows:
    return next(rows for rows in found.related if rows.table == table)


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


async def test_a_related_measure_table_is_found_by_metadata(world: Measured) -> None:
    found = await reached(world)
    issues = rows_in(found, "msdynci_supportissue")
    (row,) = issues.rows
    measures = world.measures
    assert tuple(related.table for related in found.related) == RELATED
    assert issues.more is False
    assert plain(row) == {
        "msdynci_lastmonth": measures.issues_last_month,
        "msdynci_lastyear": measures.issues_last_year,
        "msdynci_lifetime": measures.issues_lifetime,
        "msdynci_name": "Support issues",
    }


async def test_measures_in_one_text_come_by_name(world: Measured) -> None:
    found = plain((await reached(world)).measures)
    assert found["SupportIssuesLastMonth"] == world.measures.issues_last_month
    assert found["TotalPurchases"] == world.measures.total_purchases


@pytest.mark.parametrize(
    ("kind", "column", "found"),
    [
        pytest.param("elastic", "msdynci_customerid", True, id="elastic, by the lookup"),
        pytest.param("elastic", "lookup", True, id="elastic, by the CustomerId"),
        pytest.param("standard", "msdynci_customerid", True, id="standard, by the lookup"),
        pytest.param("standard", "lookup", True, id="standard, by the CustomerId"),
        pytest.param("virtual", "lookup", True, id="virtual, by the CustomerId"),
        pytest.param("virtual", "msdynci_customerid", False, id="a virtual table refuses to filter by its lookup"),
        pytest.param("no filter", "lookup", True, id="elastic without a filter by lookups, by the CustomerId"),
        pytest.param(
            "no filter", "msdynci_customerid", False, id="an elastic table can refuse to filter by its lookup"
        ),
    ],
)
async def test_rows_about_a_customer_are_found_by_either_column(kind: str, column: str, found: bool) -> None:
    switches = {"elastic_lookup_filter": "400"} if kind == "no filter" else {"profile_table": kind}
    async with measured(changed(SandboxConfig(), switches)) as world:
        for table, lookup in (("supportissue", "msdynci_profile"), ("customermeasure", "msdynci_lookupfield_customer")):
            emptied = lookup if column == "lookup" else column
            world.sandboxed.environment.database.execute(f"UPDATE msdynci_{table} SET {emptied} = NULL")  # noqa: S608
        now = await reached(world)
        assert bool(rows_in(now, "msdynci_supportissue").rows) is found
        assert bool(now.measures) is found


async def test_a_table_that_carries_the_customer_id_alone_is_read_by_it_and_shows_a_few_rows(world: Measured) -> None:
    count = reading.MAX_ROWS + 1
    columns = [Column("msdynci_customerid"), Column("msdynci_number", ColumnType.INTEGER)]
    table = define_table("msdynci_visit", columns, entity_set="msdynci_visits", custom=True)
    world.sandboxed.environment.database.create_table(table)
    for number in range(count):
        body = {"msdynci_customerid": world.customer, "msdynci_number": number}
        (await world.sandboxed.admin.post("msdynci_visits", json=body)).raise_for_status()
    (await world.sandboxed.admin.post("msdynci_visits", json={"msdynci_customerid": "x"})).raise_for_status()
    visits = next(rows for rows in (await reached(world)).related if rows.table == "msdynci_visit")
    assert (len(visits.rows), visits.more) == (reading.MAX_ROWS, True)
    assert {dict(plain(row)).get("msdynci_number") for row in visits.rows} <= set(range(count))


async def test_a_look_costs_six_requests_and_two_or_three_for_each_related_table(world: Measured) -> None:
    dataverse = world.sandboxed.dataverse
    await reading.reach(dataverse, world.target, world.key)
    with_rows, without = 1, 2  # a table that shows none is asked by both of its columns
    assert dataverse.meter.requests == 6 + 2 * with_rows + 3 * without


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
    if world.kind == "virtual":
        assert "can be neither filtered nor sorted" in reasons["msdynci_customermeasure"]
        assert reasons.keys() == {"msdynci_customerprofile", "msdynci_customermeasure", *RELATED}
        return
    assert tuple(rows.table for rows in found.related) == RELATED  # their lookups need no CustomerId
    assert plain(found.measures)["TotalPurchases"] == world.measures.total_purchases


async def test_a_table_that_only_the_customer_id_leads_to_is_named_when_that_is_unknown(world: Measured) -> None:
    table = define_table("msdynci_visit", [Column("msdynci_customerid")], entity_set="msdynci_visits", custom=True)
    world.sandboxed.environment.database.create_table(table)
    await world.deny("prvReadmsdynci_customerprofile")
    reasons = {reason.what: reason.why for reason in (await reached(world)).unreachable}
    assert "CustomerId of the profile is not known" in reasons["msdynci_visit"]


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
    monkeypatch.setattr(reading, "MAX_TABLES", 0)
    found = await reached(world)
    assert found.related == ()
    assert tuple(reason.what for reason in found.unreachable) == RELATED


def switches() -> list[tuple[str, object]]:
    """Return each value of each switch about tables that are not standard. Those that refuse at random are not among them."""
    named = ("elastic_", "virtual_", "partition_", "page_", "stale_")
    return [
        (entry.name, value)
        for entry in registry(SandboxConfig).values()
        if entry.name.startswith(named) and entry.name != "elastic_throttle"
        for value in entry.values
    ]


@pytest.mark.parametrize(("switch", "value"), [pytest.param(*pair, id="{}={}".format(*pair)) for pair in switches()])
@pytest.mark.parametrize("kind", ["elastic", "virtual"])
async def test_whatever_such_a_table_can_do_a_row_reaches_the_same_without_a_join(
    kind: TableKind, switch: str, value: object
) -> None:
    async with measured(SandboxConfig(profile_table=kind, mapping_table=kind, **{switch: value})) as world:  # type: ignore[arg-type]
        dataverse = Watched(world)
        found = await reading.reach(dataverse, world.target, world.key)
        assert found is not None
        assert (found.customer, found.unreachable) == (world.customer, ())
        assert plain(found.attributes)["msdynci_leadscore"] == world.measures.lead_score
        assert len(rows_in(found, "msdynci_supportissue").rows) == 1
        assert plain(found.measures)["TotalPurchases"] == world.measures.total_purchases
        rows = [path for path in dataverse.paths if not path.startswith("EntityDefinitions")]
        filters = [match[1] for path in rows if (match := re.search(r"\$filter=([^&]*)", path))]
        assert not [path for path in rows if "$expand" in path or "$orderby" in path]
        assert filters
        assert all(re.fullmatch(r"\w+ eq ('\w+'|[0-9a-f-]{36})", one) for one in filters), filters


@pytest.mark.parametrize("partition", ["west", "o'brien", "a b"])
@pytest.mark.parametrize("named", [True, False], ids=["the link names it", "the link does not name it"])
async def test_a_profile_in_a_partition_of_its_own_is_found(elastic: Measured, partition: str, named: bool) -> None:
    profile = await partitioned(elastic, partition, named=named)
    dataverse = Watched(elastic)
    found = await reading.reach(dataverse, elastic.target, elastic.key)
    assert found is not None
    assert (found.profile, found.customer, found.unreachable) == (profile, elastic.customer, ())
    assert plain(found.measures)["TotalPurchases"] == elastic.measures.total_purchases
    assert [path.startswith(f"{PROFILES}?") for path in dataverse.paths].count(True) == (0 if named else 1)


@pytest.mark.parametrize(
    ("status", "found"),
    [
        pytest.param(404, True, id="not found"),
        pytest.param(400, True, id="not understood"),
        pytest.param(403, False, id="not allowed"),
    ],
)
async def test_a_profile_that_its_address_does_not_show_is_found_by_a_query(
    world: Measured, status: int, found: bool
) -> None:
    seen = await reading.reach(Watched(world, f"{PROFILES}(", status), world.target, world.key)
    assert seen is not None
    assert (seen.customer == world.customer) is found
    assert bool(seen.attributes) is found
    assert [reason.what for reason in seen.unreachable if f"Dataverse answered {status}" in reason.why] == (
        [] if found else ["msdynci_customerprofile"]
    )


async def test_one_of_several_profiles_with_the_same_id_is_not_guessed(elastic: Measured) -> None:
    class Twice(Watched):
        async def get(self, path: str, **how: Any) -> Any:
            answer = await super().get(path, **how)
            return {"value": answer["value"] * 2} if path.startswith(f"{PROFILES}?") else answer

    found = await reading.reach(Twice(elastic, f"{PROFILES}("), elastic.target, elastic.key)
    assert found is not None
    assert (found.customer, found.attributes) == (None, ())
    reasons = {reason.what: reason.why for reason in found.unreachable}
    assert reasons["msdynci_customerprofile"].startswith("Several profiles in different partitions")
