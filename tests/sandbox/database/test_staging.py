"""Loading an empty table gives what loading row by row gives."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from sandbox.database import Database, Stamp, bulk_load, ddl
from sandbox.database.collation import guid_key
from sandbox.database.staging import load_empty
from sandbox.database.values import ColumnValueError
from sandbox.identity.accounts import ADMIN
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.definition import define_table

MOMENT = datetime(2026, 8, 1, 12, tzinfo=UTC)
STAMP = Stamp(MOMENT, guid_key(ADMIN.systemuser_id))
TABLE = define_table(
    "new_thing",
    [
        Column("new_name", indexed=True, max_length=20),
        Column("new_group", keyed=True),
        Column("new_note"),
        Column("new_points", ColumnType.INTEGER),
        Column("new_share", ColumnType.DOUBLE),
        Column("new_active", ColumnType.BOOLEAN),
        Column("new_since", ColumnType.DATE),
        Column("new_owner", ColumnType.LOOKUP, targets=("systemuser",)),
    ],
)


def key(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-{(number * 7919) % 65536:012x}"


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "new_thingid": key(number),
            "new_name": f"Thing {number % 7}",
            "new_group": "" if number % 3 else "O'Brien-Müller",
            "new_points": str(number) if number % 2 else number,
            "new_share": number / 8,
            "new_active": ("true", "0", None)[number % 3],
            "new_since": "2020-02-29" if number % 2 else None,
            "new_owner": ADMIN.systemuser_id,
            "createdon": "2019-01-01T00:00:00Z" if number % 5 == 0 else None,
        }
        for number in range(count)
    ]


@pytest.fixture
def databases() -> Iterator[tuple[Database, Database]]:
    pair = (Database(), Database())
    for database in pair:
        database.create_table(TABLE)
    yield pair
    for database in pair:
        database.close()


def stored(database: Database) -> list[tuple[object, ...]]:
    """All columns, sort keys included, but the version."""
    names = [*TABLE.columns, *(ddl.key_name(c) for c in TABLE.columns.values() if ddl.is_keyed(c))]
    listed = ", ".join(ddl.quoted(name) for name in names if name != "versionnumber")
    return database.execute(f"SELECT {listed} FROM new_thing ORDER BY new_thingid")  # noqa: S608


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_both_ways_store_the_same(databases: tuple[Database, Database], count: int) -> None:
    fast, slow = databases
    assert load_empty(fast, TABLE, rows(count), STAMP) == count
    bulk_load(slow, "new_thing", rows(count), STAMP)
    assert stored(fast) == stored(slow)


def test_every_row_gets_a_version_of_its_own_in_the_order_given(databases: tuple[Database, Database]) -> None:
    database, _ = databases
    before = database.next_version()
    load_empty(database, TABLE, rows(100), STAMP)
    versions = database.execute("SELECT versionnumber FROM new_thing ORDER BY new_points")
    assert versions[0][0] == before + 1
    assert all(later[0] == earlier[0] + 1 for earlier, later in pairwise(versions))  # type: ignore[operator]
    assert database.next_version() == before + 101


def test_the_last_row_of_a_key_stays_and_a_missing_key_is_made_up(databases: tuple[Database, Database]) -> None:
    database, _ = databases
    given = [
        {"new_thingid": key(1), "new_note": "first"},
        {"new_thingid": key(1), "new_note": "last"},
        {"new_thingid": "", "new_note": "made up"},
    ]
    load_empty(database, TABLE, given, STAMP)
    assert sorted(database.execute("SELECT new_note FROM new_thing")) == [("last",), ("made up",)]


@pytest.mark.parametrize(
    ("column", "value"),
    [("new_points", "many"), ("new_name", "x" * 21), ("new_name", 5), ("new_thingid", "1"), ("new_since", "soon")],
)
def test_a_value_that_does_not_fit_loads_nothing(
    databases: tuple[Database, Database], column: str, value: object
) -> None:
    database, _ = databases
    with pytest.raises(ColumnValueError, match=column):
        load_empty(database, TABLE, [*rows(3), {**rows(4)[3], column: value}], STAMP)
    assert stored(database) == []
    assert load_empty(database, TABLE, rows(3), STAMP) == 3


def test_indexes_are_back_after_the_load(databases: tuple[Database, Database]) -> None:
    database, _ = databases
    query = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'new_thing' ORDER BY name"
    before = database.execute(query)
    load_empty(database, TABLE, rows(10), STAMP)
    assert before
    assert database.execute(query) == before
