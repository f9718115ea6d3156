"""Profiles and rows that are deleted, recreated and restored by the unification simulator."""

import httpx
import pytest

from sandbox.data.generator import generate
from sandbox.data.lookup_column import LOOKUP
from sandbox.database import Stamp, bulk_update, scan
from sandbox.database.collation import guid_key
from sandbox.identity.accounts import ADMIN, LINKER
from sandbox.server.app import Sandbox
from tests.sandbox.conftest import Load, in_process
from tests.sandbox.customer_insights.unifying import CUSTOMER, PROFILE_KEY, SIZES, keys, mapping, profiles, unify


@pytest.fixture
def sandbox(load: Load) -> Sandbox:
    return load(generate(SIZES))


@pytest.mark.parametrize(("how", "same"), [("same id", True), ("new id", False)])
async def test_deleted_profiles_come_back_under_their_customer_ids(
    sandbox: Sandbox, admin: httpx.AsyncClient, how: str, same: bool
) -> None:
    before, rows = profiles(sandbox), mapping(sandbox)
    counts = await unify(admin, delete_profiles=0.1)
    gone = before.keys() - profiles(sandbox).keys()
    assert counts["profilesDeleted"] == len(gone) == 12
    assert mapping(sandbox) == rows
    assert (await unify(admin, bring_back=how))["profilesBroughtBack"] == 12
    after = profiles(sandbox)
    assert after.keys() == before.keys()
    assert all((after[customer] == before[customer]) is same for customer in gone)
    assert (await unify(admin, bring_back=how))["profilesBroughtBack"] == 0


@pytest.mark.parametrize(("kind", "emptied"), [("standard", True), ("elastic", False), ("virtual", False)])
async def test_deleting_a_profile_empties_the_links_of_standard_tables_alone(
    load: Load, kind: str, emptied: bool
) -> None:
    sandbox = load(generate(SIZES), profile_table=kind)
    async with in_process(sandbox, "/sandbox") as admin:
        await admin.post("/second-writer/runs")
        await unify(admin, delete_profiles=0.1)
    linked = {row[0] for row in scan(sandbox.environment.database, "contact", [LOOKUP])}
    orphans = linked - {None, *profiles(sandbox).values()}
    assert (None in linked, bool(orphans)) == (emptied, not emptied)


async def test_recreated_rows_keep_id_and_values_and_lose_the_link(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await admin.post("/second-writer/runs")
    database, columns = sandbox.environment.database, ["contactid", "lastname", "ownerid", LOOKUP]
    owner = {"ownerid": LINKER.systemuser_id}
    rows = [{"contactid": key, **owner} for key in keys(sandbox, "contact")]
    bulk_update(database, "contact", rows, Stamp(database.clock(), guid_key(ADMIN.systemuser_id)))
    before = {row[0]: row for row in scan(database, "contact", columns)}
    counts = await unify(admin, recreate=0.2)
    after = {row[0]: row for row in scan(database, "contact", columns)}
    lost = {key for key, row in after.items() if row[3] is None}
    assert counts["recreated"] == 40
    assert lost
    assert {key: row[:3] for key, row in after.items()} == {key: row[:3] for key, row in before.items()}


async def test_restore_goes_back_to_a_snapshot(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    before = mapping(sandbox), profiles(sandbox)
    await unify(admin, snapshot="monday", move=0.1, merge=0.05, split=0.05, drop=0.05, add=0.05, delete_profiles=0.05)
    assert (mapping(sandbox), profiles(sandbox)) != before
    await unify(admin, restore="monday")
    assert (mapping(sandbox), profiles(sandbox)) == before


async def test_restore_forgets_merges_and_profiles_that_were_deleted(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    columns = [PROFILE_KEY, CUSTOMER, "msdynci_previouscustomerid"]

    def rows() -> list[tuple[object, ...]]:
        return list(scan(sandbox.environment.database, "msdynci_customerprofile", columns))

    before = rows()
    await unify(admin, snapshot="monday", merge=0.1)
    await unify(admin, delete_profiles=0.1)
    await unify(admin, restore="monday")
    assert rows() == before
    assert (await unify(admin, bring_back="new id"))["profilesBroughtBack"] == 0
    assert rows() == before
