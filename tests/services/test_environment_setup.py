"""`setup` prepares an environment: application user, least-privilege role, the one in the other."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from linker.adapters.dataverse import Dataverse, users
from linker.core.permissions.privileges import Depth
from linker.services import service_account
from linker.services.service_account import Setup, read_account_rights
from sandbox.identity.accounts import ADMIN, LINKER, NEWCOMER
from tests.fakes.sandboxed import Sandboxed, sandboxed

ROLE = "Least"
TABLES = ("contact", "lead")


@pytest.fixture
def world() -> Iterator[Sandboxed]:
    with sandboxed() as made:
        yield made


@pytest.fixture
def admin(world: Sandboxed) -> Dataverse:
    return world.dataverse_as(ADMIN)


async def looked(world: Sandboxed, admin: Dataverse, client_id: str = NEWCOMER.client_id, role: str = ROLE) -> Setup:
    return await service_account.plan_setup(
        admin, client_id, role, service_account.setup_needs(world.deps.settings, TABLES)
    )


async def test_looking_names_every_step_and_takes_none(world: Sandboxed, admin: Dataverse) -> None:
    before = await looked(world, admin)
    create_user, create_role, privileges, assign = before.steps
    assert create_user == f"create the application user of client id {NEWCOMER.client_id}"
    assert create_role == "create the role 'Least'"
    assert "prvAppendContact, prvAppendLead" in privileges
    assert assign == "assign the role 'Least' to the user"
    assert await looked(world, admin) == before


async def test_applying_it_leaves_nothing_to_do_and_repeating_it_changes_nothing(
    world: Sandboxed, admin: Dataverse
) -> None:
    done = await service_account.apply_setup(admin, await looked(world, admin))
    again = await looked(world, admin)
    assert (done.steps, again.steps) == ((), ())
    assert await service_account.apply_setup(admin, again) == again
    assert again.held == done.held


async def test_the_role_holds_what_is_needed_and_nothing_else(world: Sandboxed, admin: Dataverse) -> None:
    done = await service_account.apply_setup(admin, await looked(world, admin))
    held = await users.read_privileges(admin, done.user)
    assert held == {privilege.name.lower(): Depth.GLOBAL for privilege in done.held}
    assert not [name for name in held if name.startswith(("prvdelete", "prvassign", "prvshare"))]
    assert [name for name in held if name.startswith("prvcreate")] == ["prvcreateattribute", "prvcreaterelationship"]


async def test_with_that_role_nothing_is_missing_and_without_it_everything_is(
    world: Sandboxed, admin: Dataverse
) -> None:
    done = await service_account.apply_setup(admin, await looked(world, admin))
    newcomer = world.dataverse_as(replace(NEWCOMER, systemuser_id=done.user))
    who = await read_account_rights(world.deps, newcomer)
    assert (who.missing, who.account.name) == ((), NEWCOMER.full_name)
    await service_account.undo_setup(admin, done)
    assert (await read_account_rights(world.deps, newcomer)).obstacle


async def test_what_is_there_in_part_is_completed(world: Sandboxed, admin: Dataverse) -> None:
    whole = await service_account.apply_setup(admin, await looked(world, admin))
    body = {"PrivilegeId": whole.held[0].id}
    await world.admin.post(f"roles({whole.role})/Microsoft.Dynamics.CRM.RemovePrivilegeRole", json=body)
    part = await looked(world, admin)
    assert part.steps == (f"give the role 'Least' these privileges at level organization: {whole.held[0].name}",)
    assert (await service_account.apply_setup(admin, part)).steps == ()


async def test_a_privilege_at_a_lower_level_is_raised(world: Sandboxed, admin: Dataverse) -> None:
    whole = await service_account.apply_setup(admin, await looked(world, admin))
    low = {"Privileges": [{"PrivilegeId": whole.held[0].id, "Depth": "0"}]}
    await world.admin.post(f"roles({whole.role})/Microsoft.Dynamics.CRM.AddPrivilegesRole", json=low)
    part = await looked(world, admin)
    assert part.lacking == (whole.held[0],)
    assert (await service_account.apply_setup(admin, part)).lacking == ()


async def test_undoing_it_takes_the_role_away_and_keeps_the_user_disabled(world: Sandboxed, admin: Dataverse) -> None:
    done = await service_account.apply_setup(admin, await looked(world, admin))
    await service_account.undo_setup(admin, done)
    left = await looked(world, admin)
    assert (left.user, left.disabled, left.role, left.assigned) == (done.user, True, "", False)
    assert "enable the application user, which is disabled" in left.steps
    await service_account.apply_setup(admin, left)
    assert (await looked(world, admin)).steps == ()


async def test_an_existing_user_keeps_its_business_unit_and_its_other_roles(world: Sandboxed, admin: Dataverse) -> None:
    done = await service_account.apply_setup(admin, await looked(world, admin, LINKER.client_id))
    assert done.user == LINKER.systemuser_id
    roles = await admin.get(f"systemusers({done.user})/systemuserroles_association?$select=name")
    assert sorted(role["name"] for role in roles["value"]) == ["Customer Profile Linker", "Least"]


@pytest.mark.parametrize(
    ("settings", "privilege"),
    [
        pytest.param({"automations": "bypass"}, "prvBypassCustomBusinessLogic", id="bypass"),
        pytest.param({"impersonate": "x"}, "prvActOnBehalfOfAnotherUser", id="impersonation"),
        pytest.param({"touch_profiles": True}, "prvWritemsdynci_customerprofile", id="profile touch"),
    ],
)
async def test_a_setting_brings_its_privilege_and_only_then(
    world: Sandboxed, admin: Dataverse, settings: dict[str, str], privilege: str
) -> None:
    without = world.using(automations="warn", impersonate=None, touch_profiles=False)
    assert privilege not in {found.name for found in (await looked(without, admin)).lacking}
    assert privilege in {found.name for found in (await looked(without.using(**settings), admin)).lacking}
