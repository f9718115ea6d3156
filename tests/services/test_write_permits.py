"""Checks before a table may be written, by a Dataverse that checks privileges (docs/dev/proofs.md G13, G21, G22, G25)."""

from dataclasses import replace
from uuid import UUID

import pytest

from linker.core.errors import ConfigurationError
from linker.core.model import Mode, Run, Status
from linker.core.permissions.write_permission import Refusal
from linker.core.runs.activity_values import RunRef
from linker.durable.activities.discover_tables import survey
from linker.services.service_account import read_account_rights
from sandbox.identity.accounts import VENDOR
from sandbox.webapi.security.organization import LINKER_ROLE, VENDOR_ROLE
from sandbox.webapi.security.privileges import ACT_ON_BEHALF, BYPASS_LOGIC
from tests.fakes.sandboxed import Sandboxed
from tests.sandbox.webapi.steps import add_step, create
from tests.services.permits import allowed, create_column, grant, linked_before, revoke

EVERYTHING = ("prvReadEntity", "prvReadAttribute", "prvReadRelationship", "prvReadmsdynci_alternatekey")
OF_CONTACT = ("prvReadContact", "prvWriteContact", "prvAppendContact")


async def test_without_automations_a_first_link_starts_by_itself(world: Sandboxed) -> None:
    found = await allowed(world)
    assert (found.refusal, found.detail, found.warnings, found.missing) == (Refusal.NONE, "", (), ())


async def test_a_first_link_that_fires_something_is_held_with_the_estimate_and_what_to_do(world: Sandboxed) -> None:
    await add_step(world.admin, name="Sync to ERP")
    found = await allowed(world, mapped=3)
    assert found.refusal is Refusal.HELD
    assert "3 rows x 1 automation = 3 executions while writing, 0 system jobs" in found.detail
    assert "Plug-in step 'Sync to ERP' on Update (synchronous). Give it filtering attributes" in found.detail
    assert "python -m linker approve contact" in found.detail
    assert "nothing was written" in found.detail


async def approve(world: Sandboxed) -> None:
    """Allow what is held, as it is held."""
    held = await world.deps.first_links.load("contact")
    assert held is not None
    await world.deps.first_links.approve("contact", "Ada", held.digest)


async def test_an_approval_lets_it_start_and_is_shown_as_a_note(world: Sandboxed) -> None:
    await add_step(world.admin, name="Sync to ERP")
    await allowed(world)
    await approve(world)
    found = await allowed(world)
    assert (found.refusal, found.warnings) == (Refusal.NONE, ())
    (note,) = found.notes
    assert "Approved by Ada on 2026-" in note


async def test_an_automation_that_came_after_the_approval_holds_it_again(world: Sandboxed) -> None:
    await add_step(world.admin, name="Sync to ERP")
    await allowed(world)
    await approve(world)
    await add_step(world.admin, name="Newcomer")
    assert (await allowed(world)).refusal is Refusal.HELD
    await approve(world)
    assert (await allowed(world)).refusal is Refusal.NONE


async def test_a_table_that_was_linked_before_is_not_held_but_warned_about(world: Sandboxed) -> None:
    await add_step(world.admin, name="Sync to ERP")
    await linked_before(world)
    found = await allowed(world)
    assert found.refusal is Refusal.NONE
    assert [warning for warning in found.warnings if "fires 1 automation." in warning]


@pytest.mark.parametrize(
    ("settings", "refusal"),
    [
        pytest.param({"first_link": "auto"}, Refusal.NONE, id="auto does not wait"),
        pytest.param({"automations": "block"}, Refusal.BLOCKED, id="block writes nothing"),
        pytest.param(
            {"automations": "block", "first_link": "auto"}, Refusal.BLOCKED, id="block is no matter of first links"
        ),
        pytest.param({"automations": "bypass"}, Refusal.NONE, id="bypass leaves nothing to wait for"),
    ],
)
async def test_the_policy_decides(world: Sandboxed, settings: dict[str, str], refusal: Refusal) -> None:
    grant(world, BYPASS_LOGIC)
    await add_step(world.admin)
    assert (await allowed(world.using(**settings))).refusal is refusal


async def test_block_holds_for_tables_that_were_linked_before_as_well(world: Sandboxed) -> None:
    await add_step(world.admin)
    await linked_before(world)
    found = await allowed(world.using(automations="block"))
    assert found.refusal is Refusal.BLOCKED
    assert "LINKER_AUTOMATIONS is 'block'" in found.detail


async def test_what_cannot_be_bypassed_is_held_anyway(world: Sandboxed) -> None:
    grant(world, BYPASS_LOGIC)
    await add_step(world.admin, name="Microsoft's", canbebypassed=False)
    found = await allowed(world.using(automations="bypass"))
    assert found.refusal is Refusal.HELD
    assert "Microsoft's" in found.detail


async def test_bypass_without_its_privilege_is_refused_before_anything_is_written(world: Sandboxed) -> None:
    world = world.using(automations="bypass")
    who = await read_account_rights(world.deps, world.dataverse)
    assert "prvBypassCustomBusinessLogic" in who.obstacle
    assert "Nothing was written." in who.obstacle
    grant(world, BYPASS_LOGIC)
    assert (await read_account_rights(world.deps, world.dataverse)).obstacle == ""


@pytest.mark.parametrize("name", [*OF_CONTACT, "prvCreateAttribute", "prvCreateRelationship"])
async def test_a_missing_privilege_of_a_table_is_named(world: Sandboxed, name: str) -> None:
    revoke(world, name)
    found = await allowed(world)
    assert (found.refusal, [missing.privilege for missing in found.missing]) == (Refusal.PRIVILEGE, [name])
    assert name in found.detail
    assert "python -m linker setup" in found.detail


async def test_creating_a_column_asks_for_nothing_where_it_exists(world: Sandboxed) -> None:
    await create_column(world)
    revoke(world, "prvCreateAttribute")
    assert (await allowed(world)).refusal is Refusal.NONE


async def test_a_privilege_that_does_not_reach_the_whole_organization_is_named_with_its_level(world: Sandboxed) -> None:
    grant(world, "prvWriteContact", "Local")
    found = await allowed(world)
    assert found.refusal is Refusal.PRIVILEGE
    assert "prvWriteContact on table 'contact' at level organization (held: business unit)" in found.detail


GENERAL = (
    *EVERYTHING,
    "prvReadmsdynci_customerprofile",
    "prvAppendTomsdynci_customerprofile",
    "prvReadSystemUser",
)


@pytest.mark.parametrize("name", GENERAL)
async def test_a_missing_privilege_of_every_run_is_named(world: Sandboxed, name: str) -> None:
    revoke(world, name)
    assert name in (await read_account_rights(world.deps, world.dataverse)).obstacle


OPTIONAL = ("prvReadWorkflow", "prvReadSdkMessageProcessingStep", "prvReadRole", "prvWritemsdynci_customerprofile")


@pytest.mark.parametrize("name", OPTIONAL)
async def test_a_privilege_that_a_run_can_do_without_is_a_warning(world: Sandboxed, name: str) -> None:
    revoke(world, name)
    who = await read_account_rights(world.deps, world.dataverse)
    assert who.obstacle == ""
    assert name in " ".join(who.warnings)


async def test_automations_that_cannot_be_read_hold_the_first_link(world: Sandboxed) -> None:
    revoke(world, "prvReadWorkflow")
    found = await allowed(world)
    assert found.refusal is Refusal.HELD
    assert "could not be read" in found.detail
    await approve(world)
    assert (await allowed(world)).refusal is Refusal.NONE


IMPERSONATED = {"impersonate": UUID(VENDOR.object_id)}


async def test_acting_for_a_user_shows_both_and_asks_for_what_both_may(world: Sandboxed) -> None:
    grant(world, ACT_ON_BEHALF)
    world = impersonating(world.using(**IMPERSONATED))
    who = await read_account_rights(world.deps, world.dataverse)
    assert who.account.name == "# InsightsAppsPlatform, through # Customer Profile Linker"
    assert who.obstacle == ""
    for name, role in (
        ("prvReadmsdynci_alternatekey", VENDOR_ROLE),
        ("prvAppendTomsdynci_customerprofile", LINKER_ROLE),
    ):
        revoke(world, name, role)
        assert name in (await read_account_rights(world.deps, world.dataverse)).obstacle


async def test_acting_for_a_user_needs_its_privilege(world: Sandboxed) -> None:
    world = impersonating(world.using(**IMPERSONATED))
    assert "prvActOnBehalfOfAnotherUser" in (await read_account_rights(world.deps, world.dataverse)).obstacle


def impersonating(world: Sandboxed) -> Sandboxed:
    connection = replace(world.deps.connection, extra_headers={"CallerObjectId": VENDOR.object_id})
    return replace(world, deps=replace(world.deps, connection=connection))


@pytest.fixture
def mapped(world: Sandboxed) -> Sandboxed:
    """Settings under which a mapping of one contact is enough."""
    return world.using(declared=("R1", "R2", "R3", "R4", "R5", "R6"))


async def surveyed(world: Sandboxed, *, dry_run: bool = False) -> Run:
    contact = await create(world.admin, "contacts")
    profile = await create(world.admin, "msdynci_customerprofiles", msdynci_customerid="c1")
    row = {
        "msdynci_alternatevalue": contact,
        "msdynci_customerid": profile,
        "msdynci_identifier": f"crm|contact|{contact}",
    }
    names = {"msdynci_datasourcename": "crm", "msdynci_entityname": "contact"}
    await create(world.admin, "msdynci_alternatekeys", **names, **row)
    await world.deps.runs.create(Run("run1", Mode.INCREMENTAL, Status.REFRESHING, dry_run=dry_run))
    await survey(world.deps, RunRef("run1"))
    run = await world.deps.runs.load("run1")
    assert run is not None
    return run


async def test_a_run_leaves_a_held_table_out_and_says_so(mapped: Sandboxed) -> None:
    step = await add_step(mapped.admin, name="Sync to ERP")
    (table,) = (run := await surveyed(mapped)).tables
    assert (table.status, table.refusal) == (Status.SKIPPED, "held")
    assert [warning for warning in run.warnings if warning.startswith("Table 'contact': Held for approval")]
    held = await mapped.deps.first_links.load("contact")
    assert held is not None
    assert held.automations == (step,)


async def test_a_dry_run_counts_a_held_table_and_remembers_nothing(mapped: Sandboxed) -> None:
    await add_step(mapped.admin)
    (table,) = (await surveyed(mapped, dry_run=True)).tables
    assert (table.status, table.refusal) == (Status.QUEUED, "held")
    assert await mapped.deps.first_links.load("contact") is None


async def test_a_run_that_lacks_a_privilege_for_every_table_does_not_begin(mapped: Sandboxed) -> None:
    revoke(mapped, "prvWriteContact")
    with pytest.raises(ConfigurationError, match=r"Nothing was written. .* lacks prvWriteContact on table 'contact'"):
        await surveyed(mapped)
