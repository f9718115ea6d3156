"""What a reader does not see: profiles of other business units, rows newer than its session; and refusals of the table."""

import pytest

from sandbox.database import Stamp, bulk_delete, bulk_load, bulk_update
from sandbox.database.collation import guid_key
from sandbox.database.staleness import keep_old_rows
from sandbox.identity.accounts import LINKER
from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client, Clock
from tests.sandbox.webapi.kinds import MAPPINGS, PROFILES, add_profiles, of_kind, switch
from tests.sandbox.webapi.steps import create, error, read

AS_LINKER = {"x-user": LINKER.name}
TOKEN = {"MSCRM.SessionToken": "207:30#1#7=-1"}
TABLE = "msdynci_customerprofile"


@pytest.fixture
def config() -> SandboxConfig:
    return of_kind("elastic")


# -- business units


async def load(api: Client, environment: Environment) -> set[str]:
    """Load a hundred profiles with a mapping row each and return the ids of the profiles."""
    rows = [{"msdynci_customerid": f"c{number}"} for number in range(100)]
    stamp = Stamp(environment.clock(), bytes(16))
    bulk_load(environment.database, TABLE, rows, stamp)
    bulk_load(environment.database, "msdynci_alternatekey", rows, stamp)
    return {row[f"{TABLE}id"] for row in (await read(api, PROFILES))["value"]}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
async def test_a_share_of_the_profiles_is_hidden_while_the_mapping_is_not(
    api: Client, environment: Environment, share: float
) -> None:
    switch(environment, hidden_profiles=share)
    everything = await load(api, environment)
    seen = {row[f"{TABLE}id"] for row in (await read(api, PROFILES, **AS_LINKER))["value"]}
    assert len(everything) == 100
    assert seen <= everything
    assert abs(len(seen) - 100 * (1 - share)) <= 20
    assert (share in {0.0, 1.0}) is (len(seen) in {0, 100})
    assert int((await api.get(f"{PROFILES}/$count", headers=AS_LINKER)).text) == len(seen)
    assert len((await read(api, MAPPINGS, **AS_LINKER))["value"]) == 100


async def test_a_hidden_row_is_denied_when_it_is_asked_for_by_its_id(api: Client, environment: Environment) -> None:
    switch(environment, hidden_profiles=1.0)
    (profile,) = await add_profiles(api, "a")
    assert error(await api.get(f"{PROFILES}({profile})", headers=AS_LINKER)) == (403, "0x80040220")
    assert (await api.get(f"{PROFILES}({profile})")).status_code == 200


async def test_changes_of_hidden_rows_are_hidden(api: Client, environment: Environment) -> None:
    switch(environment, hidden_profiles=1.0)
    await add_profiles(api, "a")
    assert (await read(api, PROFILES, **AS_LINKER, Prefer="odata.track-changes"))["value"] == []


# -- sessions


def write(environment: Environment, changed: str, deleted: str, lag_s: float = 60) -> None:
    """Change one profile, delete another one and add a third, as hydration does."""
    database, stamp = environment.database, Stamp(environment.clock(), bytes(16))
    table = database.schema.tables[TABLE]
    added = "00000000-0000-4000-8000-00000000000a"
    keep_old_rows(database, table, [guid_key(one) for one in (changed, deleted, added)], lag_s)
    bulk_update(database, TABLE, [{f"{TABLE}id": changed, "msdynci_customerid": "new"}], stamp)
    bulk_delete(database, TABLE, [deleted])
    bulk_load(database, TABLE, [{f"{TABLE}id": added, "msdynci_customerid": "added"}], stamp)


async def names(api: Client, **headers: str) -> list[str]:
    rows = await read(api, f"{PROFILES}?$select=msdynci_customerid&$orderby=msdynci_customerid", **headers)
    return [row["msdynci_customerid"] for row in rows["value"]]


async def test_readers_without_a_token_see_old_rows_until_the_lag_has_passed(
    api: Client, environment: Environment, clock: Clock
) -> None:
    one, two, _ = await add_profiles(api, "a", "b", "c")
    write(environment, one, two, lag_s=5)
    assert await names(api) == ["a", "b", "c"]
    assert await names(api, **TOKEN) == ["added", "c", "new"]
    clock.pass_seconds(5.5)
    assert await names(api) == ["added", "c", "new"]


async def test_every_way_to_read_is_stale_alike(api: Client, environment: Environment) -> None:
    one, two = await add_profiles(api, "a", "b")
    write(environment, one, two)
    assert (await read(api, f"{PROFILES}({one})"))["msdynci_customerid"] == "a"
    assert (await read(api, f"{PROFILES}({one})", **TOKEN))["msdynci_customerid"] == "new"
    assert (await api.get(f"{PROFILES}({two})")).status_code == 200
    assert (await api.get(f"{PROFILES}({two})", headers=TOKEN)).status_code == 404
    assert (await read(api, f"{PROFILES}?$filter=msdynci_customerid eq 'added'"))["value"] == []
    assert (await api.get(f"{PROFILES}/$count?$filter=msdynci_customerid eq 'b'")).text == "1"
    fetch = f'<fetch><entity name="{TABLE}"><attribute name="msdynci_customerid"/></entity></fetch>'
    found = (await api.get(PROFILES, params={"fetchXml": fetch})).json()["value"]
    assert sorted(row["msdynci_customerid"] for row in found) == ["a", "b"]
    counted = await read(api, f"{PROFILES}?$apply=aggregate($count as n)")
    assert counted["value"] == [{"n": 2}]


async def test_a_second_write_within_the_lag_keeps_the_oldest_row(api: Client, environment: Environment) -> None:
    one, two = await add_profiles(api, "a", "b")
    write(environment, one, two)
    database, stamp = environment.database, Stamp(environment.clock(), bytes(16))
    keep_old_rows(database, database.schema.tables[TABLE], [guid_key(one)], 60)
    bulk_update(database, TABLE, [{f"{TABLE}id": one, "msdynci_customerid": "newer"}], stamp)
    assert await names(api) == ["a", "b"]


async def test_rows_of_standard_tables_are_never_old(api: Client, environment: Environment) -> None:
    contact = await create(api, "contacts", lastname="a")
    keep_old_rows(environment.database, environment.database.schema.tables["contact"], [guid_key(contact)], 60)
    await api.patch(f"contacts({contact})", json={"lastname": "b"})
    assert (await read(api, f"contacts({contact})"))["lastname"] == "b"


# -- refusals of the table itself


@pytest.mark.parametrize(("mode", "retry_after"), [("wait", "1"), ("bare", None)])
async def test_the_table_refuses_each_tenth_request(
    api: Client, environment: Environment, mode: str, retry_after: str | None
) -> None:
    switch(environment, elastic_throttle=mode)
    answers = [await api.get(PROFILES) for _ in range(20)]
    assert [answer.status_code for answer in answers].count(429) == 2
    assert error(answers[9]) == (429, "429")
    assert answers[9].headers.get("Retry-After") == retry_after
    assert [(await api.get("contacts")).status_code for _ in range(20)].count(429) == 0


async def test_the_table_refuses_writes_as_well_and_nothing_is_written(api: Client, environment: Environment) -> None:
    switch(environment, elastic_throttle="bare")
    statuses = [(await api.post(PROFILES, json={})).status_code for _ in range(10)]
    assert statuses == [204] * 9 + [429]
    switch(environment, elastic_throttle="off")
    assert len((await read(api, PROFILES))["value"]) == 9
