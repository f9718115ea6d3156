"""Generated data sets."""

import re
from collections import Counter

import pytest

from sandbox.data.generator import Sizes, generate, loyalty_tier
from sandbox.data.seed import Dataset
from sandbox.database import scan
from sandbox.database.values import Row
from sandbox.identity.accounts import ADMIN
from tests.sandbox.conftest import Load

SIZES = Sizes(contacts=200, leads=80, members=20)
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}")


def rows(dataset: Dataset, table: str) -> list[Row]:
    return list(next(data for data in dataset.tables if data.name == table).rows())


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generate(SIZES)


@pytest.mark.parametrize(
    ("table", "count"),
    [
        ("contact", 200),
        ("lead", 80),
        ("new_member", 20),
        ("msdynci_alternatekey", 300),
        ("msdynci_customerprofile", 180),
    ],
)
def test_sizes_are_as_asked_with_fewer_profiles_than_rows(dataset: Dataset, table: str, count: int) -> None:
    assert len(rows(dataset, table)) == count


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(dataset: Dataset) -> None:
    tables = [data.name for data in dataset.tables]
    again, other = generate(SIZES), generate(SIZES, seed=2)
    assert [rows(again, table) for table in tables] == [rows(dataset, table) for table in tables]
    assert all(rows(other, table) != rows(dataset, table) for table in tables)


def test_every_source_row_is_mapped_once_to_a_profile_that_exists(dataset: Dataset) -> None:
    keys = [(table, row[f"{table}id"]) for table in ("contact", "lead", "new_member") for row in rows(dataset, table)]
    mapping = rows(dataset, "msdynci_alternatekey")
    assert sorted((row["msdynci_entityname"], row["msdynci_alternatevalue"]) for row in mapping) == sorted(keys)
    customers = {row["msdynci_customerid"] for row in rows(dataset, "msdynci_customerprofile")}
    assert {row["msdynci_customerid"] for row in mapping} == customers


def test_ids_are_unique_guids_that_look_random(dataset: Dataset) -> None:
    ids = [str(row["contactid"]) for row in rows(dataset, "contact")]
    assert len(set(ids)) == 200
    assert all(GUID.fullmatch(row_id) for row_id in ids)
    assert len(Counter(row_id[0] for row_id in ids)) == 16


def test_a_profile_id_does_not_follow_from_the_customer_id(dataset: Dataset) -> None:
    for row in rows(dataset, "msdynci_customerprofile"):
        assert str(row["msdynci_customerprofileid"]).replace("-", "") != row["msdynci_customerid"]


def test_the_member_table_has_an_irregular_set_and_its_own_key(dataset: Dataset) -> None:
    data = next(data for data in dataset.tables if data.name == "new_member")
    assert (data.entity_set, data.key) == ("new_memberset", "new_memberid")


def test_empty_tables_are_left_out() -> None:
    tables = [data.name for data in generate(Sizes(contacts=10, leads=0, members=0)).tables]
    assert tables == ["contact", "msdynci_customerprofile", "msdynci_alternatekey"]


@pytest.mark.parametrize(
    ("value", "tier"), [(0.0, "None"), (999.9, "None"), (1000.0, "Bronze"), (3000.0, "Silver"), (6000.0, "Gold")]
)
def test_loyalty_tier(value: float, tier: str) -> None:
    assert loyalty_tier(value) == tier


@pytest.mark.parametrize("table", ["contact", "lead", "new_member"])
def test_every_generated_row_has_an_owner(load: Load, table: str) -> None:
    database = load(generate(SIZES)).environment.database
    assert {owner for (owner,) in scan(database, table, ["ownerid"])} == {ADMIN.systemuser_id}
