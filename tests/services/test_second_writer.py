"""A second writer of the lookup column is named, and people who cannot read profiles (docs/dev/proofs.md G13)."""

import time
from dataclasses import replace

from sandbox.identity.accounts import LINKER, VENDOR
from sandbox.runtime import NoHooks, ReadOperation
from sandbox.webapi.protocol.errors import ApiError
from sandbox.webapi.security.privileges import privilege_id
from tests.fakes.sandboxed import Sandboxed, client
from tests.sandbox.webapi.steps import create
from tests.services.permits import LOOKUP, allowed, create_column


async def linked_by(world: Sandboxed, user: object, number: int) -> None:
    profile = await create(world.admin, "msdynci_customerprofiles", msdynci_customerid="c1")
    writer = client(world.environment, user)  # type: ignore[arg-type]
    for _ in range(number):
        row = await create(world.admin, "contacts")
        body = {f"{LOOKUP}@odata.bind": f"/msdynci_customerprofiles({profile})"}
        assert (await writer.patch(f"contacts({row})", json=body)).status_code == 204


async def test_a_second_writer_is_named_with_its_evidence(world: Sandboxed) -> None:
    await create_column(world)
    await linked_by(world, VENDOR, 2)
    (warning,) = (await allowed(world)).warnings
    assert "# InsightsAppsPlatform was the last to write 2 rows of 'contact'" in warning
    assert "evidence, no proof" in warning


class SlowTable(NoHooks):
    """Every look at the rows of contacts ends in a timeout of the database."""

    async def after_read(self, operation: ReadOperation) -> None:
        if operation.table == "contact":
            raise ApiError(503, "0x80044151", "SQL timeout expired.")


async def test_no_run_fails_because_evidence_of_a_second_writer_is_missing(world: Sandboxed) -> None:
    await create_column(world)
    await linked_by(world, VENDOR, 1)
    world.environment.hooks = SlowTable()
    assert (await allowed(world)).warnings == ()


async def test_rows_that_the_app_wrote_itself_name_no_second_writer(world: Sandboxed) -> None:
    await create_column(world)
    await linked_by(world, LINKER, 1)
    assert (await allowed(world)).warnings == ()


async def test_what_the_vendor_wrote_long_ago_does_not_show_a_second_writer(world: Sandboxed) -> None:
    await create_column(world)
    await linked_by(world, VENDOR, 1)
    later = replace(world.deps, clock=lambda: time.time() + 40 * 86_400)  # rows carry the sandbox's time
    assert (await allowed(replace(world, deps=later))).warnings == ()


async def test_roles_of_people_that_cannot_read_profiles_are_named(world: Sandboxed) -> None:
    roles = {"Seller": ["Contact"], "Marketer": ["Contact", "msdynci_customerprofile"], "Unused": ["Contact"]}
    for name, reads in roles.items():
        role = await create(world.admin, "roles", name=name)
        body = {"Privileges": [{"PrivilegeId": privilege_id(f"prvRead{table}"), "Depth": "3"} for table in reads]}
        await world.admin.post(f"roles({role})/Microsoft.Dynamics.CRM.AddPrivilegesRole", json=body)
        if name != "Unused":
            person = await create(world.admin, "systemusers", fullname=name, accessmode=0, isdisabled=False)
            reference = {"@odata.id": f"roles({role})"}
            await world.admin.post(f"systemusers({person})/systemuserroles_association/$ref", json=reference)
    (warning,) = (await allowed(world)).warnings
    assert "see an empty Customer Profile: Seller. Give the roles read access" in warning
