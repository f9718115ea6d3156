"""The vendor's own task beside the linker: facts on InsightsAppsPlatform, and reports of orphaned lookups."""

from typing import Any

import httpx
import pytest

from sandbox.data.generator import generate
from sandbox.data.lookup_column import LOOKUP
from sandbox.database import scan
from sandbox.identity.accounts import LINKER, VENDOR
from sandbox.server.app import API_PATH, Sandbox
from tests.sandbox.conftest import Load, in_process
from tests.sandbox.customer_insights.test_unification import SIZES, profiles, unify

PID = f"{LOOKUP}pid"
LABEL = f"_{LOOKUP}_value@OData.Community.Display.V1.FormattedValue"


@pytest.fixture
def elastic(load: Load) -> Sandbox:
    return load(generate(SIZES), profile_table="elastic", mapping_table="elastic", second_writer=True)


async def contacts(sandbox: Sandbox) -> list[dict[str, Any]]:
    async with in_process(sandbox, API_PATH, LINKER) as api:
        url = f"/contacts?$select=_{LOOKUP}_value,{PID}&$expand=modifiedby($select=applicationid)"
        answer = await api.get(url, headers={"Prefer": 'odata.include-annotations="*"'})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["value"])


def links(sandbox: Sandbox) -> dict[str, str]:
    found = scan(sandbox.environment.database, "contact", ["contactid", LOOKUP])
    return {str(key): str(value) for key, value in found if value}


async def test_it_writes_under_the_application_id_that_the_vendor_has_in_every_tenant(elastic: Sandbox) -> None:
    await unify(in_process(elastic, "/sandbox"))
    writers = {row["modifiedby"]["applicationid"] for row in await contacts(elastic)}
    assert writers == {"99ff962b-6252-4b98-8478-0c65a3ea1925"} == {VENDOR.client_id}


@pytest.mark.parametrize("kind", ["elastic", "virtual"])
async def test_it_leaves_links_to_profiles_that_vanished(load: Load, kind: str) -> None:
    sandbox = load(generate(SIZES), profile_table=kind, mapping_table=kind, second_writer=True)
    admin = in_process(sandbox, "/sandbox")
    await unify(admin)
    before = links(sandbox)
    await unify(admin, delete_profiles=0.2)
    orphans = {key for key, profile in links(sandbox).items() if profile not in profiles(sandbox).values()}
    assert orphans
    assert links(sandbox) == before


async def test_it_leaves_links_of_rows_that_left_the_mapping(elastic: Sandbox) -> None:
    admin = in_process(elastic, "/sandbox")
    await unify(admin)
    before = links(elastic)
    await unify(admin, drop=0.2)
    assert links(elastic) == before


async def test_it_follows_a_profile_to_its_other_id(elastic: Sandbox) -> None:
    admin = in_process(elastic, "/sandbox")
    await unify(admin)
    await unify(admin, new_profile_ids=0.5)
    assert set(links(elastic).values()) <= set(profiles(elastic).values())


@pytest.mark.parametrize("choice", ["own_id", "null"])
@pytest.mark.parametrize("shown", ["lower", "upper", "null"])
async def test_its_links_are_alive_whatever_it_writes_as_partition(load: Load, choice: str, shown: str) -> None:
    switches = {"second_writer_partition": choice, "partition_shown": shown}
    sandbox = load(generate(SIZES), profile_table="elastic", second_writer=True, **switches)
    await unify(in_process(sandbox, "/sandbox"))
    rows = await contacts(sandbox)
    assert len(rows) == SIZES.contacts
    assert all(row.get(LABEL) for row in rows)
    stored = {value for (value,) in scan(sandbox.environment.database, "contact", [PID])}
    assert (stored == {None}) == (choice == "null" or shown == "null")


@pytest.mark.parametrize("mapping", ["elastic", "standard", "virtual"])
@pytest.mark.parametrize("profile", ["elastic", "standard", "virtual"])
async def test_it_links_every_row_on_every_pair_of_kinds(load: Load, profile: str, mapping: str) -> None:
    sandbox = load(generate(SIZES), profile_table=profile, mapping_table=mapping)
    answer = await in_process(sandbox, "/sandbox").post("/second-writer/runs")
    assert answer.json() == {"linked": {"contact": 130, "lead": 50, "new_member": 20}}


@pytest.mark.parametrize("kind", ["elastic", "standard"])
async def test_the_truth_is_answered_on_every_kind(load: Load, kind: str, admin: httpx.AsyncClient) -> None:
    sandbox = load(generate(SIZES), profile_table=kind, mapping_table="elastic")
    lines = (await in_process(sandbox, "/sandbox").get("/truth?table=lead")).text.splitlines()
    assert len(lines) == SIZES.leads
    assert not [line for line in lines if '"profileId":null' in line]
