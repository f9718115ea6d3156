"""The rest of the picture: automations, privileges, tables that left, requests, and how people see it."""

from io import StringIO

import pytest
from rich.console import Console

from linker.adapters.dataverse.change_times import newest_change
from linker.core.linking.mapping_scan import TableState
from linker.core.model import Status
from linker.core.names import MAPPING_SET
from linker.core.permissions.preflight_report import Entitlement, Picture, Severity
from linker.core.requirements.table_eligibility import LEFT
from linker.entrypoints.cli.preflight import EXIT_CODES, render_picture
from linker.services.preflight_checks import look
from sandbox.database.collation import guid_key
from sandbox.database.security import revoke_privilege
from sandbox.server.app import Sandbox
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import privilege_id
from tests.requirements.made import CONTACTS, CRM_CONTACTS, FOREIGN, Fed, Made, administrator, ids, running
from tests.requirements.situations import without
from tests.requirements.test_environments import surveyed
from tests.sandbox.webapi.steps import add_step


def for_people(picture: Picture) -> str:
    out = StringIO()
    Console(width=200, file=out).print(render_picture(picture))
    return out.getvalue()


def revoke(sandbox: Sandbox, privilege: str) -> None:
    revoke_privilege(sandbox.environment.database, guid_key(LINKER_ROLE), guid_key(privilege_id(privilege)))


async def test_a_first_link_that_fires_a_plug_in_is_held_and_shows_what_it_would_cost() -> None:
    with running(Made(fed=(CRM_CONTACTS,))) as (deps, sandbox, world):
        await add_step(administrator(sandbox), name="Sync to ERP")
        picture = await look(deps)
        (contact,) = picture.tables
        assert (contact.outcome, picture.severity) == ("held", Severity.BLOCKED)
        assert "30 rows x 1 automation = 30 executions while writing" in contact.detail
        assert world.store.writes == []
        text = for_people(picture)
        assert "Plug-in step 'Sync to ERP' on Update (synchronous). Give it filtering attributes" in text
        assert "30 rows x 1 automation" in text


async def test_a_privilege_that_every_run_needs_blocks_and_is_named() -> None:
    with running(Made()) as (deps, sandbox, _):
        revoke(sandbox, "prvReadmsdynci_alternatekey")
        picture = await look(deps)
        assert picture.severity is Severity.BLOCKED
        assert [missing.table for missing in picture.missing] == ["msdynci_alternatekey"]
        assert "prvReadmsdynci_alternatekey" in picture.detail
        assert "Missing privileges" in for_people(picture)


async def test_a_privilege_that_one_table_lacks_refuses_that_table_alone() -> None:
    with running(Made()) as (deps, sandbox, _):
        revoke(sandbox, "prvWriteLead")
        picture = await look(deps)
        assert {table.table: table.outcome for table in picture.tables} == {"contact": "ready", "lead": "refused"}
        assert picture.severity is Severity.WARNINGS
        assert any("prvWriteLead" in warning for warning in picture.warnings)
        assert "Missing privileges" in for_people(picture)


@pytest.mark.parametrize("insights", [True, False])
async def test_a_table_whose_rows_may_not_be_read_is_refused_alone(insights: bool) -> None:
    made = Made(insights=insights, settings={"declared": () if insights else ("R2", "R5")})
    with running(made) as (deps, sandbox, _):
        revoke(sandbox, "prvReadLead")
        picture = await look(deps)
        assert {table.table: table.outcome for table in picture.tables} == {"contact": "ready", "lead": "refused"}
        lead = picture.tables[1]
        assert (
            "lacks prvReadLead on table 'lead' at level organization (held: none), needed to read its rows"
            in lead.detail
        )
        assert not any("although" in warning for warning in picture.warnings)
        run = await surveyed(deps)
        assert {table.table: table.status for table in run.tables} == {"contact": Status.QUEUED, "lead": Status.FAILED}


async def test_rows_that_may_be_read_in_part_only_are_not_reported_as_of_another_environment() -> None:
    with running(Made(rows={"contact": CONTACTS, "lead": FOREIGN})) as (deps, sandbox, _):
        revoke(sandbox, "prvReadLead")
        path, right = f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.AddPrivilegesRole", privilege_id("prvReadLead")
        body = {"Privileges": [{"PrivilegeId": right, "Depth": "1"}]}
        assert (await administrator(sandbox).post(path, json=body)).is_success
        lead = (await look(deps)).tables[1]
        assert lead.outcome == "refused"
        assert "lacks prvReadLead on table 'lead' at level organization (held: business unit)" in lead.detail


async def test_a_table_that_left_unification_is_shown_since_its_links_meet_the_guard() -> None:
    with running(Made(fed=(CRM_CONTACTS,))) as (deps, _, __):
        await deps.states.save("lead", TableState(linked=True), None)
        contact, lead = (await look(deps)).tables
        assert (contact.detail, lead.detail) == ("", LEFT)
        assert (lead.outcome, lead.rows) == ("ready", 0)


async def test_what_customer_insights_knows_and_the_mapping_does_not_is_a_note() -> None:
    with running(Made()) as (deps, sandbox, _):
        sources = sandbox.documents.listed("datasources")
        sources[0]["dataSourceMetadata"]["entityNames"].append("account")
        sandbox.documents.replace_list("datasources", sources)
        notes = (await look(deps)).notes
        assert "Known to Customer Insights, but the mapping names no row: 'account' of 'crm'." in notes


async def test_many_sources_ask_no_more_at_once_than_dataverse_serves() -> None:
    files = (Fed(f"files {number}", f"list{number}", ids("list", 20, number)) for number in range(25))
    with running(Made(fed=(CRM_CONTACTS, *files), switches={"ms_per_request": 5})) as (deps, _, __):
        picture = await look(deps)
    assert (picture.severity, len(picture.notes)) == (Severity.READY, 25)


async def test_without_a_mapping_a_run_does_not_fail_while_it_waits_for_it_to_rest() -> None:
    with running(Made(fed=(), after=without("msdynci_alternatekey"))) as (deps, _, __):
        assert await newest_change(deps.dataverse(), MAPPING_SET) is None


async def test_every_row_and_every_touched_profile_counts_as_a_request() -> None:
    with running(Made()) as (deps, _, __):
        assert (await look(deps)).entitlement == Entitlement(links=60, touches=60)
    with running(Made(settings={"touch_profiles": False})) as (deps, _, __):
        picture = await look(deps)
        assert picture.entitlement == Entitlement(links=60)
        assert "at most 60 rows linked = 60 requests" in for_people(picture)


async def test_people_see_that_no_privilege_is_missing_where_it_was_looked_for() -> None:
    with running(Made()) as (deps, _, __):
        assert "Privileges         all that are needed are held" in for_people(await look(deps))
    with running(Made(insights=False)) as (deps, _, __):
        assert "Privileges" not in for_people(await look(deps))


async def test_people_see_tables_questions_answers_and_the_result() -> None:
    with running(Made(insights=False)) as (deps, _, __):
        text = for_people(await look(deps))
    for words in (
        "contact",
        "R2",
        "Was the table ingested",
        "unknown",
        "docs/requirements.md#r2",
        "Result             blocked",
    ):
        assert words in text


def test_every_severity_has_an_exit_code_of_its_own() -> None:
    assert sorted(EXIT_CODES.values()) == [0, 1, 2]
    assert set(EXIT_CODES) == set(Severity)
