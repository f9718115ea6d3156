"""The unification simulator, over the admin API; its effects are read through the Web API."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from sandbox.data.csv_folder import read_folder
from sandbox.data.generator import generate
from sandbox.data.lookup_column import LOOKUP
from sandbox.database import scan
from sandbox.server.app import API_PATH, Sandbox
from tests.sandbox.conftest import Load, in_process
from tests.sandbox.customer_insights.unifying import CUSTOMER, KEY, SIZES, keys, mapping, profiles, unify
from tests.sandbox.data.folders import edit


@pytest.fixture
def sandbox(load: Load) -> Sandbox:
    """Two hundred rows, so that a share of 1 % is more than nothing."""
    return load(generate(SIZES))


def differences(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {key for key in before.keys() & after.keys() if before[key] != after[key]}


async def test_move_gives_exactly_that_share_another_profile_that_exists(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    before = mapping(sandbox)
    counts = await unify(admin, seed=1, move=0.1)
    changed = differences(before, mapping(sandbox))
    assert counts["moved"] == counts["customerIdsChanged"] == len(changed) == 20
    assert {mapping(sandbox)[key] for key in changed} <= profiles(sandbox).keys()


async def test_the_same_request_on_the_same_state_changes_the_same_rows(load: Load) -> None:
    results = []
    for _ in range(2):
        sandbox = load(generate(SIZES))
        await unify(in_process(sandbox, "/sandbox"), seed=3, move=0.1, merge=0.05, split=0.05, add=0.05, drop=0.05)
        results.append((mapping(sandbox), profiles(sandbox)))
    assert results[0] == results[1]


async def test_merge_moves_all_rows_of_a_profile_and_remembers_its_customer_id(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    before, rows = profiles(sandbox), mapping(sandbox)
    counts = await unify(admin, merge=0.05)
    gone = before.keys() - profiles(sandbox).keys()
    assert counts["merged"] == len(gone) == 6
    assert not gone & set(mapping(sandbox).values())
    assert differences(rows, mapping(sandbox)) == {key for key, customer in rows.items() if customer in gone}
    columns = ["msdynci_previouscustomerid"]
    remembered = scan(sandbox.environment.database, "msdynci_customerprofile", columns)
    assert {str(previous) for (previous,) in remembered if previous} == gone


async def test_split_gives_half_of_the_rows_a_new_profile(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    before, rows = profiles(sandbox), mapping(sandbox)
    counts = await unify(admin, split=0.05)
    new = profiles(sandbox).keys() - before.keys()
    changed = differences(rows, mapping(sandbox))
    assert counts["split"] == len(new) == 6
    assert {mapping(sandbox)[key] for key in changed} == new
    assert {rows[key] for key in changed} <= set(mapping(sandbox).values())


async def test_add_creates_source_rows_with_mapping_and_profile(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    rows, tables = mapping(sandbox), ("contact", "lead", "new_member")
    before = {table: keys(sandbox, table) for table in tables}
    counts = await unify(admin, add=0.1)
    added = mapping(sandbox).keys() - rows.keys()
    created = {(table, key) for table in tables for key in keys(sandbox, table) - before[table]}
    assert counts["added"] == len(added) == 20
    assert {tuple(identifier.split("|")[1:]) for identifier in added} == created
    assert {mapping(sandbox)[identifier] for identifier in added} <= profiles(sandbox).keys()


async def test_rows_that_are_added_where_no_profile_is_left_get_new_ones(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    await unify(admin, delete_profiles=1)
    assert (await unify(admin, add=0.1))["added"] == len(profiles(sandbox)) == 20


async def test_rows_are_added_to_a_mapping_with_the_other_column_name(load: Load) -> None:
    sandbox = load(generate(SIZES), mapping_name_column="msdynci_tablename")
    await unify(in_process(sandbox, "/sandbox"), add=0.1)
    columns = ["msdynci_tablename", "msdynci_identifier"]
    rows = list(scan(sandbox.environment.database, "msdynci_alternatekey", columns))
    assert len(rows) == 220
    assert all(str(identifier).split("|")[1] == table for table, identifier in rows)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(lambda text: str(UUID(text)).upper(), id="a GUID"),
        pytest.param(lambda text: f"{{{UUID(text)}}}", id="a GUID in braces"),
        pytest.param(lambda text: text[:6], id="few digits"),
        pytest.param(lambda text: f"Kunde Nr. {text} \N{SNOWMAN}", id="words"),
    ],
)
async def test_loaded_customer_ids_of_any_form_are_unified(
    load: Load, folder: Path, form: Callable[[str], str]
) -> None:
    for name in ("msdynci_alternatekey.csv", "msdynci_customerprofile.csv"):
        edit(folder / name, lambda row: row | {CUSTOMER: form(row[CUSTOMER])})
    sandbox = load(read_folder(folder))
    admin = in_process(sandbox, "/sandbox")
    counts = await unify(admin, move=0.1, merge=0.1, split=0.1, add=0.2, drop=0.1, delete_profiles=0.1)
    assert min(counts[name] for name in ("moved", "merged", "added", "dropped", "profilesDeleted")) > 0, counts
    assert (await unify(admin, bring_back="new id"))["profilesBroughtBack"] == counts["profilesDeleted"]


@pytest.mark.parametrize(
    "key", ["n/a", "", "\N{ZERO WIDTH SPACE}3ca8045a-c613-4de1-ac47-7161f4d2c2da", "12345678-1234"]
)
async def test_a_key_in_the_mapping_that_is_not_a_guid_names_no_row_to_recreate(
    load: Load, folder: Path, key: str
) -> None:
    numbers = count()
    edit(folder / "msdynci_alternatekey.csv", lambda row: row | {KEY: row[KEY] if next(numbers) % 2 else key})
    admin = in_process(load(read_folder(folder)), "/sandbox")
    assert (await unify(admin, recreate=1, seed=2))["recreated"] > 0


async def test_drop_takes_rows_out_of_the_mapping_and_leaves_the_source_rows(
    sandbox: Sandbox, admin: httpx.AsyncClient
) -> None:
    before, contacts = mapping(sandbox), keys(sandbox, "contact")
    counts = await unify(admin, drop=0.1)
    assert counts["dropped"] == len(before.keys() - mapping(sandbox).keys()) == 20
    assert keys(sandbox, "contact") == contacts


async def test_take_out_removes_a_whole_table(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    counts = await unify(admin, take_out=["lead"])
    assert counts["takenOut"] == 50
    assert {identifier.split("|")[1] for identifier in mapping(sandbox)} == {"contact", "new_member"}


async def test_tables_to_take_out_may_be_a_text_with_commas(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await unify(admin, take_out="lead, contact")
    assert {identifier.split("|")[1] for identifier in mapping(sandbox)} == {"new_member"}


@pytest.mark.parametrize("name", ["Lead", "leads", "LEAD"], ids=["schema name", "entity set", "another case"])
async def test_the_mapping_may_call_a_table_by_another_of_its_names(
    sandbox: Sandbox, admin: httpx.AsyncClient, name: str
) -> None:
    database = sandbox.environment.database
    database.execute(
        "UPDATE msdynci_alternatekey SET msdynci_entityname = ? WHERE msdynci_entityname = 'lead'", (name,)
    )
    assert len((await admin.get("/truth?table=lead")).text.splitlines()) == 50
    assert (await admin.post("/second-writer/runs")).json()["linked"]["lead"] == 50
    assert (await unify(admin, take_out=["lead"]))["takenOut"] == 50


async def test_only_changed_rows_get_new_versions(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    columns = ["msdynci_identifier", "versionnumber"]

    def versions() -> dict[str, str]:
        rows = scan(sandbox.environment.database, "msdynci_alternatekey", columns)
        return {str(row[0]): str(row[1]) for row in rows}

    before, rows = versions(), mapping(sandbox)
    await unify(admin, move=0.1)
    assert differences(before, versions()) == differences(rows, mapping(sandbox))


@pytest.mark.parametrize(
    ("request_body", "named"),
    [
        pytest.param({"moves": 0.1}, "moves", id="unknown field"),
        pytest.param({"move": 1.1}, "move", id="more than all"),
        pytest.param({"restore": "never kept"}, "never kept", id="unknown snapshot"),
        pytest.param({"take_out": ["account_x"]}, "account_x", id="unknown table"),
        pytest.param({"restore": "a", "move": 0.1}, "restore", id="restore with changes"),
        pytest.param({"move": 0.5, "drop": 0.5, "recreate": 0.1}, "move, drop, recreate", id="more than all rows"),
        pytest.param({"merge": 0.4, "delete_profiles": 0.3}, "merge, delete_profiles", id="more than all profiles"),
    ],
)
async def test_a_request_that_does_not_fit_changes_nothing(
    sandbox: Sandbox, admin: httpx.AsyncClient, request_body: dict[str, object], named: str
) -> None:
    before = mapping(sandbox)
    answer = await admin.post("/unifications", json=request_body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert mapping(sandbox) == before
    assert len((await admin.get("/unifications")).json()) == 1


async def test_the_truth_names_the_profile_of_every_mapped_row(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await unify(admin, delete_profiles=0.05)
    lines = [json.loads(line) for line in (await admin.get("/truth?table=lead")).text.splitlines()]
    expected = {
        (identifier.split("|")[2], customer, profiles(sandbox).get(customer))
        for identifier, customer in mapping(sandbox).items()
        if "|lead|" in identifier
    }
    assert {(line["id"], line["customerId"], line["profileId"]) for line in lines} == expected
    assert len(lines) == 50


async def test_the_second_writer_links_under_its_own_account(sandbox: Sandbox, admin: httpx.AsyncClient) -> None:
    await admin.post("/second-writer", json={"enabled": True})
    await unify(admin, move=0.1)
    async with in_process(sandbox, API_PATH) as api:
        query = f"$select=_{LOOKUP}_value&$expand=modifiedby($select=fullname)&$top=1"
        (row,) = (await api.get(f"/contacts?{query}")).json()["value"]
    truth = {
        line["id"]: line["profileId"]
        for line in map(json.loads, (await admin.get("/truth?table=contact")).text.splitlines())
    }
    assert row[f"_{LOOKUP}_value"] == truth[row["contactid"]]
    assert row["modifiedby"]["fullname"] == "# InsightsAppsPlatform"


async def test_the_second_writer_writes_only_what_differs(admin: httpx.AsyncClient) -> None:
    first = (await admin.post("/second-writer/runs")).json()["linked"]
    assert first == {"contact": 130, "lead": 50, "new_member": 20}
    assert (await admin.post("/second-writer/runs")).json()["linked"] == dict.fromkeys(first, 0)
