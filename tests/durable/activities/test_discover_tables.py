"""Which tables took part in unification, which may be linked, and why not the others (docs/dev/proofs.md G5, G24)."""

from dataclasses import replace

import pytest

from linker.adapters.customer_insights import Instance, NoAnswer
from linker.core.errors import ConfigurationError
from linker.core.linking.mapping_scan import TableState
from linker.core.model import Mode, Run, Source, Status
from linker.core.odata import MappingColumns
from linker.core.requirements.facts import DeclaredSource
from linker.core.runs.activity_values import RunRef, Survey
from linker.durable.activities.discover_tables import survey
from linker.services.fact_gathering import find_sources
from tests.fakes.environment import SourceRow
from tests.fakes.insights import FakeInsights
from tests.fakes.world import World, contact_id


@pytest.fixture
def world() -> World:
    """Contacts of the Dataverse connector, and a loyalty file that is not a table."""
    world = World()
    world.people(3)
    world.dataverse.add_mapping("card-1", "c1", table="loyalty", source="files")
    return world


async def surveyed(world: World, insights: FakeInsights | None, *tables: str) -> tuple[Survey, Run]:
    await world.deps.runs.create(Run("run1", Mode.INCREMENTAL, Status.REFRESHING, requested_tables=tables))
    deps = replace(world.deps, insights=insights)  # type: ignore[arg-type]
    answer = await survey(deps, RunRef("run1"))
    run = await world.deps.runs.load("run1")
    assert run is not None
    return answer, run


async def test_an_eligible_table_is_linked_and_a_file_is_a_note(world: World) -> None:
    answer, run = await surveyed(world, FakeInsights())
    assert (answer.tables, answer.status) == (("contact",), None)
    assert [table.status for table in run.tables] == [Status.QUEUED]
    assert ["loyalty" in note for note in run.notes] == [True]
    assert run.warnings == ()
    assert run.service_account == "# linker"
    target = await world.deps.runs.target("run1", "contact")
    assert (target.entity_set, target.key, target.sources) == ("contacts", "contactid", (Source("crm", "contact"),))


async def test_sources_are_found_by_skipping_whatever_their_number(world: World) -> None:
    for number in range(30):
        world.dataverse.add_mapping(f"{number}", "c1", table="loyalty", source=f"source {number}")
    found = await find_sources(world.deps.dataverse(), MappingColumns("msdynci_entityname"))
    assert len(found) == 32
    assert world.dataverse.asked["source"] == 33


async def test_names_that_never_end_stop_the_run_before_anything_is_written(world: World) -> None:
    for number in range(201):
        world.dataverse.add_mapping(f"{number}", "c1", table="loyalty", source=f"source {number}")
    with pytest.raises(ConfigurationError, match="more than 200 pairs"):
        await find_sources(world.deps.dataverse(), MappingColumns("msdynci_entityname"))


async def test_two_data_sources_of_one_table_are_one_table_run(world: World) -> None:
    world.contact(9)
    world.dataverse.map(contact_id(9), "c1", source="second crm")
    answer, run = await surveyed(world, FakeInsights())
    assert answer.tables == ()  # the second data source is not known to Customer Insights, so R2 is not known
    assert [(table.table, table.data_source) for table in run.tables] == [("contact", "crm, second crm")]


@pytest.mark.parametrize(
    ("instance", "requirement"),
    [
        pytest.param({"is_b2b": True}, "B2B", id="R5 business accounts"),
        pytest.param({"linked_url": "https://other.crm4.dynamics.com"}, "linked to", id="R1 another environment"),
    ],
)
async def test_an_environment_that_is_not_eligible_skips_the_run_with_the_reason(
    world: World, instance: dict[str, object], requirement: str
) -> None:
    answer, run = await surveyed(world, FakeInsights(**instance))
    assert answer.status is Status.SKIPPED
    assert run.status_detail.startswith("Backstamping job skipped")
    assert requirement in run.status_detail


async def test_an_output_that_goes_elsewhere_skips_the_run(world: World) -> None:
    world.dataverse.profiles.clear()
    answer, run = await surveyed(world, FakeInsights(managed_lake=False))
    assert answer.status is Status.SKIPPED
    assert "Data Lake" in run.status_detail


async def test_a_table_that_was_renamed_is_recognized_by_its_keys(world: World) -> None:
    for row in world.dataverse.mapping[:3]:
        row.update(
            {"msdynci_entityname": "clients", "msdynci_identifier": f"crm|clients|{row['msdynci_alternatevalue']}"}
        )
    answer, run = await surveyed(world, FakeInsights())
    assert answer.status is Status.SKIPPED
    assert "R3" in run.status_detail
    assert "Dataverse table 'contact'" in run.status_detail


async def test_a_source_that_shares_the_keys_of_a_named_table_looks_renamed_and_leaves_the_table_alone(
    world: World,
) -> None:
    for number in (1, 2):
        world.dataverse.map(contact_id(number), f"c{number}", table="shoppers", source="files")
    answer, run = await surveyed(world, FakeInsights())
    assert answer.tables == ("contact",)
    assert (await world.deps.runs.target("run1", "contact")).sources == (Source("crm", "contact"),)
    assert {table.table: table.status for table in run.tables} == {
        "contact": Status.QUEUED,
        "shoppers (files)": Status.SKIPPED,
    }
    assert any("looks renamed" in warning for warning in run.warnings)


async def test_a_source_that_is_declared_to_be_no_table_is_a_note_whatever_its_keys(world: World) -> None:
    """A web shop keyed by contact ids is not a renamed contact table."""
    for number in (1, 2):
        world.dataverse.map(contact_id(number), f"c{number}", table="shoppers", source="files")
    declared = (DeclaredSource("Files", "SHOPPERS", target=False),)
    world.settings = world.settings.model_copy(update={"sources": declared})
    world.deps = world.host()
    answer, run = await surveyed(world, FakeInsights())
    assert (answer.tables, run.warnings) == (("contact",), ())
    assert any("shoppers" in note for note in run.notes)


async def test_contacts_of_another_environment_leave_ours_alone(world: World) -> None:
    for number in range(100, 120):
        world.dataverse.map(contact_id(number), f"c{number}", source="crm asia")
    insights = FakeInsights()
    insights.kinds["crm asia"] = "attachCds"
    answer, run = await surveyed(world, insights)
    assert answer.tables == ("contact",)
    assert [table.table for table in run.tables] == ["contact", "contact (crm asia)"]
    assert "R1: None of the 20 sampled keys" in run.tables[1].detail


async def test_deleted_rows_at_the_start_of_the_keys_do_not_prove_another_environment(world: World) -> None:
    for number in range(4, 25):
        world.dataverse.map(contact_id(number), f"c{number}")  # deleted in Dataverse since
    far = "c0000000-0000-4000-8000-000000000001"
    world.contacts.rows[far] = SourceRow()
    world.dataverse.map(far, "c1")
    for number in (1, 2, 3):
        del world.contacts.rows[contact_id(number)]
    answer, _ = await surveyed(world, FakeInsights())
    assert answer.tables == ("contact",)


async def test_one_table_that_is_not_eligible_leaves_the_others_alone(world: World) -> None:
    lead = world.dataverse.table("lead")
    lead.rows[contact_id(50)] = SourceRow()
    world.dataverse.map(contact_id(50), "c1", table="lead")
    insights = FakeInsights()
    insights.keys["lead"] = "emailaddress1"
    answer, run = await surveyed(world, insights)
    assert (answer.tables, answer.status) == (("contact",), None)
    assert {table.table: table.status for table in run.tables} == {"contact": Status.QUEUED, "lead": Status.SKIPPED}
    assert any("lead" in warning and "emailaddress1" in warning for warning in run.warnings)


async def test_requirements_may_hold_for_all_tables_or_for_none(world: World) -> None:
    world.settings = world.settings.model_copy(update={"requirements": "all"})
    world.deps = world.host()
    lead = world.dataverse.table("lead")
    lead.rows[contact_id(50)] = SourceRow()
    world.dataverse.map(contact_id(50), "c1", table="lead")
    insights = FakeInsights()
    insights.keys["lead"] = "emailaddress1"
    assert (await surveyed(world, insights))[0].status is Status.SKIPPED


@pytest.mark.parametrize(
    ("settings", "status", "warns"),
    [
        pytest.param({}, Status.SKIPPED, False, id="unknown skips by default"),
        pytest.param({"declared": ("R2", "R5")}, None, False, id="declared"),
        pytest.param({"unknown_facts": "warn"}, None, True, id="unknown warns when told to"),
    ],
)
async def test_without_customer_insights_what_is_unknown_is_declared_or_skips(
    world: World, settings: dict[str, object], status: Status | None, warns: bool
) -> None:
    world.settings = world.settings.model_copy(update=settings)
    world.deps = world.host()
    answer, run = await surveyed(world, None)
    assert answer.status is status
    assert bool(run.warnings) is warns
    assert answer.full_reason == ""


async def test_only_the_tables_that_were_asked_for_are_linked(world: World) -> None:
    lead = world.dataverse.table("lead")
    lead.rows[contact_id(50)] = SourceRow()
    world.dataverse.map(contact_id(50), "c1", table="lead")
    insights = FakeInsights()
    insights.keys["lead"] = "leadid"
    assert (await surveyed(world, insights, "lead"))[0].tables == ("lead",)


async def test_a_table_that_left_unification_still_takes_part_so_that_the_guard_sees_it(world: World) -> None:
    world.dataverse.table("lead")
    await world.deps.states.save("lead", TableState(linked=True), None)
    answer, _ = await surveyed(world, FakeInsights())
    assert answer.tables == ("contact", "lead")
    assert (await world.deps.runs.target("run1", "lead")).sources == ()


async def test_a_mapping_without_any_table_skips_the_run(world: World) -> None:
    world.dataverse.mapping = [row for row in world.dataverse.mapping if row["msdynci_entityname"] == "loyalty"]
    answer, run = await surveyed(world, FakeInsights())
    assert answer.status is Status.SKIPPED
    assert "No Dataverse table" in run.status_detail


@pytest.mark.parametrize("name", ["msdynci_tablename", "msdynci_entityname"])
async def test_both_names_of_the_table_column_are_accepted(name: str) -> None:
    world = World()
    world.dataverse.mapping_column = name
    world.people(2)
    await surveyed(world, FakeInsights())
    assert (await world.deps.runs.target("run1", "contact")).name_column == name


async def test_a_survey_writes_nothing_to_dataverse_and_may_be_repeated(world: World) -> None:
    first = await surveyed(world, None)
    second = await surveyed(world, None)
    assert first == second
    assert not world.dataverse.bodies


class Silent(FakeInsights):
    """Customer Insights that does not answer."""

    async def instance(self) -> Instance:
        return NoAnswer("It answered 503.")  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("insights", "passing"),
    [
        pytest.param(Silent(), True, id="no answer"),
        pytest.param(None, False, id="not set up"),
        pytest.param(FakeInsights(is_b2b=True), False, id="not eligible"),
    ],
)
async def test_a_skipped_table_says_whether_the_reason_may_pass(
    world: World, insights: FakeInsights | None, passing: bool
) -> None:
    answer, run = await surveyed(world, insights)
    assert answer.status is Status.SKIPPED
    assert {table.passing for table in run.tables} == {passing}
