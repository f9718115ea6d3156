"""Unifications that take their time: mapping and profiles are seen half done, and what breaks them off."""

import asyncio
import time

import httpx
import pytest

from sandbox.data.generator import generate
from sandbox.data.lookup_column import LOOKUP
from sandbox.data.measures import MEASURES, SUPPORT_ISSUES, with_measures
from sandbox.database import scan
from sandbox.identity.accounts import VENDOR
from sandbox.runtime import Environment
from sandbox.server.app import Sandbox, compose
from sandbox.switches.config import changed
from tests.sandbox.conftest import URL, Load, in_process
from tests.sandbox.customer_insights.test_unification import CUSTOMER, SIZES, differences, mapping, profiles, unify


@pytest.fixture
def sandbox(load: Load) -> Sandbox:
    return load(generate(SIZES))


async def test_gradual_hydration_can_be_observed_half_done(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    before = mapping(sandbox)
    counts = await unify(admin, move=0.2, hydration_s=2, steps=4)
    assert (await admin.get("/unifications")).json()[0]["jobStatus"] == "running"
    seen, hydration = set(), sandbox.simulator.hydration
    assert hydration is not None
    while not hydration.done():
        seen.add(len(differences(before, mapping(sandbox))))
        await asyncio.sleep(0)  # each pass of the loop, so between any two steps
    assert len(differences(before, mapping(sandbox))) == counts["moved"] == 40
    assert {10, 20, 30} <= seen


async def test_a_second_unification_has_to_wait_for_the_first(admin: httpx.AsyncClient, sandbox: Sandbox) -> None:
    await unify(admin, move=0.2, hydration_s=3, steps=2)
    assert (await admin.post("/unifications", json={})).status_code == 409
    assert sandbox.simulator.hydration is not None
    await sandbox.simulator.hydration
    await unify(admin)


@pytest.mark.parametrize(
    ("switches", "request_"),
    [
        pytest.param({}, {"announce_first": True}, id="asked for"),
        pytest.param({"job_ends_first": True}, {}, id="by a switch"),
    ],
)
async def test_announced_first_the_job_ends_before_the_tables_change(
    sandbox: Sandbox, admin: httpx.AsyncClient, switches: dict[str, bool], request_: dict[str, bool]
) -> None:
    switch(sandbox, **switches)
    before = mapping(sandbox)
    await unify(admin, move=0.2, hydration_s=3, steps=2, **request_)
    await asyncio.sleep(0)
    assert (await admin.get("/unifications")).json()[0]["jobStatus"] == "successful"
    assert len(differences(before, mapping(sandbox))) < 40
    assert sandbox.simulator.hydration is not None
    await sandbox.simulator.hydration
    assert len(differences(before, mapping(sandbox))) == 40


async def test_a_job_that_ran_when_the_sandbox_stopped_is_aborted(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await unify(admin, move=0.2, hydration_s=60, steps=2)
    assert sandbox.simulator.hydration is not None
    await asyncio.sleep(0.01)
    sandbox.simulator.hydration.cancel()
    again = compose(Environment(sandbox.environment.database, base_url=URL))
    (job, _) = (await in_process(again, "/sandbox").get("/unifications")).json()
    assert (job["jobStatus"], job["tasks"][-1]["taskStatus"]) == ("aborted", "aborted")
    await unify(in_process(again, "/sandbox"), move=0.1)


async def test_a_hydration_that_breaks_off_ends_as_a_failed_job(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await unify(admin, recreate=1.0, hydration_s=3, steps=2)
    database = sandbox.environment.database
    database.drop_table(database.schema.tables["new_member"])
    assert sandbox.simulator.hydration is not None
    with pytest.raises(KeyError):
        await sandbox.simulator.hydration
    (job, _) = (await admin.get("/unifications")).json()
    assert (job["jobStatus"], job["tasks"][-1]["taskStatus"]) == ("failed", "failed")
    told = [message["records"][0] for message in (await admin.get("/events")).json()[-2:]]
    assert [(one["operationName"], one["resultType"]) for one in told] == [
        ("ProfileStore.TaskCompleted", "Failure"),
        ("All.WorkflowCompleted", "Failure"),
    ]
    assert (await admin.post("/unifications", json={})).status_code == 200


def stamps(sandbox: Sandbox, table: str) -> dict[str, object]:
    """The version of each row."""
    columns = [f"{table}id", "versionnumber"]
    return {str(key): version for key, version in scan(sandbox.environment.database, table, columns)}


def switch(sandbox: Sandbox, **switches: object) -> None:
    sandbox.environment.configure(changed(sandbox.environment.config, switches))


@pytest.mark.parametrize("request_", [{}, {"move": 0.1}, {"move": 0.1, "hydration_s": 0.05, "steps": 3}])
async def test_a_switch_writes_every_row_of_profiles_and_mapping(
    sandbox: Sandbox, admin: httpx.AsyncClient, request_: dict[str, float]
) -> None:
    switch(sandbox, hydration_writes="all")
    tables = ("msdynci_customerprofile", "msdynci_alternatekey")
    before = {table: stamps(sandbox, table) for table in tables}
    moved = mapping(sandbox)
    counts = await unify(admin, **request_)
    assert sandbox.simulator.hydration is not None
    await sandbox.simulator.hydration
    for table in tables:
        after = stamps(sandbox, table)
        assert after.keys() == before[table].keys()
        assert [key for key in after if after[key] == before[table][key]] == []
    assert len(differences(moved, mapping(sandbox))) == counts.get("moved", 0)


async def test_otherwise_only_changed_rows_are_written(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    before = stamps(sandbox, "msdynci_alternatekey")
    await unify(admin, move=0.1)
    after = stamps(sandbox, "msdynci_alternatekey")
    assert sum(after[key] != before[key] for key in after) == 20


async def test_a_switch_makes_every_unification_gradual_and_the_time_scale_counts(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    switch(sandbox, hydration_s=60.0, time_scale=60.0)
    before, start = mapping(sandbox), time.perf_counter()
    answer = await admin.post("/unifications", json={"move": 0.2, "steps": 4})
    assert answer.status_code == 202
    assert sandbox.simulator.hydration is not None
    assert len(differences(before, mapping(sandbox))) < 40
    await sandbox.simulator.hydration
    assert 0.9 < time.perf_counter() - start < 55  # a minute is a second here
    assert len(differences(before, mapping(sandbox))) == 40
    assert (await admin.post("/unifications", json={"hydration_s": 0})).status_code == 200


async def test_profiles_get_another_id_and_keep_their_customer(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    before, rows = profiles(sandbox), mapping(sandbox)
    counts = await unify(admin, new_profile_ids=0.1)
    after = profiles(sandbox)
    changed_ids = differences(before, after)
    assert (after.keys(), mapping(sandbox)) == (before.keys(), rows)
    assert counts["profileIdsChanged"] == len(changed_ids) == 12
    assert len(set(after.values())) == len(after)


@pytest.mark.parametrize(
    ("name", "count"), [("profiles_vanish", "profilesDeleted"), ("profile_ids_change", "profileIdsChanged")]
)
async def test_a_switch_lets_profiles_vanish_or_change_with_every_unification(
    sandbox: Sandbox, admin: httpx.AsyncClient, name: str, count: str
) -> None:
    assert (await unify(admin)).get(count, 0) == 0
    switch(sandbox, **{name: 0.05})
    assert (await unify(admin))[count] == 6
    assert (await unify(admin, delete_profiles=0, new_profile_ids=0)).get(count, 0) == 0


async def test_going_back_to_a_snapshot_is_left_alone_by_the_switches(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    before = profiles(sandbox)
    switch(sandbox, profiles_vanish=0.5, profile_ids_change=0.2)
    await unify(admin, snapshot="before")
    await unify(admin, restore="before")
    assert profiles(sandbox) == before


async def test_measures_follow_a_profile_to_its_other_id(load: Load) -> None:
    sandbox = load(with_measures(generate(SIZES)))
    database = sandbox.environment.database
    counts = {table: len(stamps(sandbox, table)) for table in (MEASURES, SUPPORT_ISSUES)}
    await unify(in_process(sandbox, "/sandbox"), new_profile_ids=0.5, hydration_s=0.05, steps=3)
    assert sandbox.simulator.hydration is not None
    await sandbox.simulator.hydration
    assert {table: len(stamps(sandbox, table)) for table in counts} == counts
    related = {str(row[0]): str(row[1]) for row in scan(database, SUPPORT_ISSUES, [CUSTOMER, "msdynci_profile"])}
    assert related == profiles(sandbox)


async def test_a_switch_lets_the_vendors_task_link_after_each_unification(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    assert LOOKUP not in sandbox.environment.database.schema.tables["contact"].columns
    switch(sandbox, second_writer=True)
    await unify(admin)
    linked = [row for row in scan(sandbox.environment.database, "contact", [LOOKUP, "modifiedby"]) if row[0]]
    assert len(linked) == SIZES.contacts
    assert {row[1] for row in linked} == {VENDOR.systemuser_id}
