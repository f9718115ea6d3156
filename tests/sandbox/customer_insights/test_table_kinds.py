"""Loaded and unified data in elastic and virtual tables: lookups of mapping and measures, stale reads, the truth."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest

from sandbox.customer_insights.unification import UnificationRequest
from sandbox.data.csv_folder import read_folder
from sandbox.data.generator import Sizes, generate
from sandbox.data.measures import with_measures
from sandbox.database import Stamp, bulk_update, scan
from sandbox.database.unification import expected_links
from sandbox.identity.accounts import ADMIN
from sandbox.schema.insights_tables import MAPPING, PROFILES
from sandbox.server.app import API_PATH, Sandbox
from tests.sandbox.conftest import SAMPLE, Load, in_process

SIZES = Sizes(contacts=60, leads=20, members=20)
CUSTOMER = "_msdynci_lookupfield_customer_value"
TOKEN = {"MSCRM.SessionToken": "207:30#1#7=-1"}


def made(load: Load, kind: str = "elastic", **switches: object) -> Sandbox:
    return load(with_measures(generate(SIZES)), profile_table=kind, mapping_table=kind, **switches)


async def rows(sandbox: Sandbox, table: str, **headers: str) -> list[dict[str, object]]:
    async with in_process(sandbox, API_PATH, ADMIN) as api:
        answer = await api.get(f"/{table}s", headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json()["value"]
    return found


@pytest.mark.parametrize("kind", ["elastic", "standard", "virtual"])
async def test_all_kinds_hold_the_same_rows(load: Load, kind: str) -> None:
    sandbox = made(load, kind)
    assert len(await rows(sandbox, MAPPING)) == 100
    links = list(expected_links(sandbox.environment.database, "contact"))
    assert len(links) == 60
    assert None not in {link.profile_id for link in links}


@pytest.mark.parametrize(
    ("profiles", "mapping"), [("elastic", "standard"), ("standard", "elastic"), ("virtual", "elastic")]
)
async def test_the_truth_is_the_same_when_the_kinds_differ(load: Load, profiles: str, mapping: str) -> None:
    mixed = load(generate(SIZES), profile_table=profiles, mapping_table=mapping)
    alike = load(generate(SIZES), profile_table="standard", mapping_table="standard")
    truths = [list(expected_links(one.environment.database, "contact")) for one in (mixed, alike)]
    assert sorted(truths[0], key=str) == sorted(truths[1], key=str)


@pytest.mark.parametrize("spelled", [str.upper, lambda text: str(UUID(text))], ids=["capitals", "hyphens"])
async def test_the_truth_reads_customer_ids_in_other_spellings(load: Load, spelled: Callable[[str], str]) -> None:
    database = load(generate(SIZES), profile_table="elastic", mapping_table="elastic").environment.database
    before = [link.profile_id for link in expected_links(database, "contact")]
    found = list(scan(database, MAPPING, [f"{MAPPING}id", "msdynci_customerid"]))
    changed = [{f"{MAPPING}id": key, "msdynci_customerid": spelled(str(customer))} for key, customer in found]
    bulk_update(database, MAPPING, changed, Stamp(database.clock(), bytes(16)))
    assert [link.profile_id for link in expected_links(database, "contact")] == before


async def test_a_folder_loads_into_elastic_tables(load: Load) -> None:
    sandbox = load(read_folder(SAMPLE), profile_table="elastic", mapping_table="elastic")
    (row, *_) = await rows(sandbox, MAPPING)
    assert row["partitionid"] == row[f"{MAPPING}id"]
    assert None not in (row["_ownerid_value"], row["_owningbusinessunit_value"])


@pytest.mark.parametrize("links", ["empty", "filled", "mixed", "wrong"])
async def test_which_mapping_rows_name_their_profile_is_a_switch(load: Load, links: str) -> None:
    sandbox = made(load, mapping_lookup=links)
    profile_of = {row["msdynci_customerid"]: row[f"{PROFILES}id"] for row in await rows(sandbox, PROFILES)}
    found = [(row[CUSTOMER], profile_of[row["msdynci_customerid"]]) for row in await rows(sandbox, MAPPING)]
    right = sum(value == profile for value, profile in found)
    empty = sum(value is None for value, _ in found)
    wrong = len(found) - right - empty
    expected = {
        "empty": right == wrong == 0,
        "filled": right == 100,
        "mixed": min(right, empty) > 20 and wrong == 0,
        "wrong": wrong > 2 and empty == 0 and right > 70,
    }
    assert expected[links]


async def test_the_lookups_of_the_mapping_follow_a_unification(load: Load) -> None:
    sandbox = made(load, mapping_lookup="filled", stale_s=0)
    await sandbox.simulator.run(UnificationRequest(move=0.2, split=0.1, add=0.1, seed=3))
    profile_of = {row["msdynci_customerid"]: row[f"{PROFILES}id"] for row in await rows(sandbox, PROFILES)}
    mapped = await rows(sandbox, MAPPING)
    assert len(mapped) > 100
    assert all(row[CUSTOMER] == profile_of[row["msdynci_customerid"]] for row in mapped)
    assert all(row["msdynci_lookupfield_customerpid"] == row[CUSTOMER] for row in mapped)


async def test_measures_name_their_profile(load: Load) -> None:
    sandbox = made(load)
    profile_of = {row["msdynci_customerid"]: row[f"{PROFILES}id"] for row in await rows(sandbox, PROFILES)}
    measures = await rows(sandbox, "msdynci_customermeasure")
    assert len(measures) == len(profile_of)
    assert all(row[CUSTOMER] == profile_of[row["msdynci_customerid"]] for row in measures)
    issues = await rows(sandbox, "msdynci_supportissue")
    assert all(row["_msdynci_profile_value"] == profile_of[row["msdynci_customerid"]] for row in issues)


async def test_a_unification_is_seen_later_without_a_session_token(load: Load) -> None:
    sandbox = made(load, stale_s=1.0)
    database, stopped = sandbox.environment.database, datetime.now(UTC)
    database.clock = lambda: stopped  # the lag lasts until the clock moves again
    before = {row[f"{MAPPING}id"]: row["msdynci_customerid"] for row in await rows(sandbox, MAPPING)}
    running = asyncio.create_task(sandbox.simulator.run(UnificationRequest(move=0.5, drop=0.1)))
    while len(await rows(sandbox, MAPPING, **TOKEN)) > 90:
        assert not running.done()
    stale, fresh = await rows(sandbox, MAPPING), await rows(sandbox, MAPPING, **TOKEN)
    assert {row[f"{MAPPING}id"]: row["msdynci_customerid"] for row in stale} == before
    assert len(fresh) == 90
    await running
    stopped += timedelta(seconds=1)
    assert await rows(sandbox, MAPPING) == fresh


@pytest.mark.parametrize("stale_s", [0.0, 0.3])
async def test_the_answer_to_a_unification_comes_when_every_reader_sees_it(load: Load, stale_s: float) -> None:
    sandbox = made(load, stale_s=stale_s)
    async with in_process(sandbox, "/sandbox") as admin:
        answer = await admin.post("/unifications", json={"drop": 0.1})
    assert answer.status_code == 200
    assert len(await rows(sandbox, MAPPING)) == 90


async def test_a_table_refuses_requests_by_a_fault_too(load: Load) -> None:
    sandbox = made(load)
    async with in_process(sandbox, "/sandbox") as admin, in_process(sandbox, API_PATH) as api:
        for wait in ({}, {"retry_after_s": 3}):
            fault = {"kind": "table_throttled", "table": MAPPING, "times": 1, **wait}
            assert (await admin.post("/faults", json=fault)).status_code == 201
            refused: httpx.Response = await api.get(f"/{MAPPING}s")
            assert (refused.status_code, refused.headers.get("Retry-After")) == (429, "3" if wait else None)
            assert (await api.get(f"/{MAPPING}s")).status_code == 200
