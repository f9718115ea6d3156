"""Queries of the unification simulator that no Web API request asks: samples, expected links, snapshots."""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sandbox.database import Database, count_rows, ddl
from sandbox.database.collation import guid_text
from sandbox.database.values import Row, shown
from sandbox.schema.definition import SYSTEM_NAMES
from sandbox.schema.insights_tables import MAPPING, PROFILES
from sandbox.schema.model import Table

_AROUND: Final = re.compile(r"^[\s{(]+|[\s})]+$")
_GUID_DIGITS: Final = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class MappingRow:
    """A row of the mapping. `row_id` is its own key; `key` is the canonical text of the source row's key."""

    row_id: str
    data_source: str
    table: str
    key: str
    customer_id: str


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile. `previous` lists earlier CustomerIds, separated by semicolons."""

    row_id: str
    customer_id: str
    previous: str


@dataclass(frozen=True, slots=True)
class ExpectedLink:
    """What a source row's lookup should hold. `profile_id` is None while the profile is missing in Dataverse."""

    key: str
    customer_id: str
    profile_id: str | None


def name_column(database: Database) -> str:
    """Return the mapping's column that names the source table; tenants differ."""
    columns = database.schema.tables[MAPPING].columns
    return "msdynci_tablename" if "msdynci_tablename" in columns else "msdynci_entityname"


def mapped_names(database: Database) -> dict[str, str]:
    """Return the Dataverse tables that the mapping names: logical names by the name in the mapping.

    A mapping may say logical name, schema name or entity set, in any case.
    """
    tables = database.schema.tables.values()
    names = [(name, table) for table in tables for name in (table.entity_set, table.schema_name, table.logical_name)]
    known = {name.casefold(): table.logical_name for name, table in names}
    rows = database.execute(f"SELECT DISTINCT {ddl.quoted(name_column(database))} FROM {MAPPING}")  # noqa: S608
    return {str(name): known[str(name).casefold()] for (name,) in rows if str(name).casefold() in known}


def mapped_tables(database: Database) -> list[str]:
    """Return the Dataverse tables that the mapping names, in the order of their names."""
    return sorted(set(mapped_names(database).values()))


def count_mapping(database: Database) -> int:
    """Return how many mapping rows belong to Dataverse tables."""
    named = list(mapped_names(database))
    sql = f"SELECT count(*) FROM {MAPPING} WHERE {_one_of(database, named)}"  # noqa: S608
    return int(str(database.execute(sql, named)[0][0]))


def mapping_rows(database: Database) -> Iterator[MappingRow]:
    """Yield the mapping rows of Dataverse tables in the order of their keys. Nothing may be written meanwhile."""
    named = mapped_names(database)
    name = ddl.quoted(name_column(database))
    sql = (
        f"SELECT msdynci_alternatekeyid, msdynci_datasourcename, {name}, msdynci_alternatevalue, msdynci_customerid "  # noqa: S608
        f"FROM {MAPPING} WHERE {_one_of(database, named)} ORDER BY msdynci_alternatekeyid"
    )
    for row_id, source, table, key, customer_id in database.iterate(sql, list(named)):
        yield MappingRow(_guid(row_id), str(source), named[str(table)], row_key(str(key)), str(customer_id))


def _one_of(database: Database, named: Collection[str]) -> str:
    return f"{ddl.quoted(name_column(database))} IN ({', '.join('?' * len(named))})"


def count_profiles(database: Database) -> int:
    """Return how many profiles there are."""
    return count_rows(database, database.schema.tables[PROFILES])


def profiles(database: Database) -> Iterator[Profile]:
    """Yield all profiles in the order of their keys. Nothing may be written meanwhile."""
    sql = (
        f"SELECT msdynci_customerprofileid, msdynci_customerid, msdynci_previouscustomerid FROM {PROFILES} "  # noqa: S608
        "ORDER BY msdynci_customerprofileid"
    )
    for row_id, customer_id, previous in database.iterate(sql):
        yield Profile(_guid(row_id), str(customer_id), str(previous or ""))


def all_keys(database: Database, table_name: str) -> list[bytes]:
    """Return the keys of all rows."""
    key = ddl.quoted(database.schema.tables[table_name].primary_id)
    sql = f"SELECT {key} FROM {ddl.quoted(table_name)}"  # noqa: S608
    return [value for (value,) in database.execute(sql) if isinstance(value, bytes)]


def expected_links(database: Database, table: str) -> Iterator[ExpectedLink]:
    """Yield what mapping and profiles say about the rows of a table, in the order of the identifiers.

    Whatever kinds the tables are of, a row is the one that its key spells, and a CustomerId without a profile of exactly that
    text means those that differ from it in letter case alone, and in the hyphens of a guid.
    """
    of_profile, of_mapping = (
        database.schema.tables[name].columns["msdynci_customerid"] for name in (PROFILES, MAPPING)
    )
    order = ddl.order_of(of_profile, database.string_order)
    same = ddl.sort_expression(of_profile, database.string_order, "p.")
    wanted = ddl.sort_expression(of_mapping, database.string_order, "m.")
    if ddl.order_of(of_mapping, database.string_order) != order:  # tables of different kinds
        wanted = ddl.key_expression(order, "m.msdynci_customerid")
    named = [name for name, logical in mapped_names(database).items() if logical == table]
    sql = (
        "SELECT m.msdynci_alternatevalue, m.msdynci_customerid, p.msdynci_customerprofileid "  # noqa: S608
        f"FROM {MAPPING} m LEFT JOIN {PROFILES} p ON {same} = {wanted} "
        f"WHERE m.{_one_of(database, named)} ORDER BY m.msdynci_identifier"
    )
    folded: dict[str, list[str]] | None = None
    for key, customer_id, profile_id in database.iterate(sql, named):
        found: list[str] = [] if profile_id is None else [_guid(profile_id)]
        if not found:
            folded = _folded_profiles(database) if folded is None else folded
            found = folded.get(_folded(str(customer_id)), [])
        for profile in found or (None,):
            yield ExpectedLink(row_key(str(key)), str(customer_id), profile)


def _folded_profiles(database: Database) -> dict[str, list[str]]:
    """Return the ids of all profiles by their folded CustomerIds."""
    found: dict[str, list[str]] = {}
    for row_id, customer_id in database.execute(f"SELECT {PROFILES}id, msdynci_customerid FROM {PROFILES}"):  # noqa: S608
        found.setdefault(_folded(str(customer_id)), []).append(_guid(row_id))
    return found


def _folded(customer_id: str) -> str:
    """Return a CustomerId without letter case and, if it is a guid, without hyphens."""
    text = customer_id.casefold()
    bare = text.replace("-", "")
    return bare if _GUID_DIGITS.fullmatch(bare) else text


def row_key(text: str) -> str:
    """Return the guid that the key of a mapping row spells, with blanks, line ends, brackets and capitals or without."""
    bare = _AROUND.sub("", text)
    try:
        return str(UUID(bare))
    except ValueError:
        return bare.lower()


def save_snapshot(database: Database, name: str) -> None:
    """Keep mapping and profiles as they are now; an earlier snapshot of the same name is replaced."""
    with database.transaction():
        for table in (MAPPING, PROFILES):
            database.execute(f"DROP TABLE IF EXISTS {_snapshot(name, table)}")
            database.execute(f"CREATE TABLE {_snapshot(name, table)} AS SELECT * FROM {table}")  # noqa: S608
            key = database.schema.tables[table].primary_id
            database.execute(f"CREATE UNIQUE INDEX {_index(name, table)} ON {_snapshot(name, table)} ({key})")


def has_snapshot(database: Database, name: str) -> bool:
    """Return whether a state was kept under this name."""
    found = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (f"_snapshot.{name}.{MAPPING}",))
    return bool(found)


def rows_to_put_back(database: Database, name: str, table_name: str) -> Iterator[Row]:
    """Yield the rows of a snapshot that are missing today or have other values."""
    table = database.schema.tables[table_name]
    names = [column for column in table.columns if column in _columns_of(database, name, table)]
    told = [column for column in names if column not in SYSTEM_NAMES]
    sql = (
        f"SELECT {_of('s', names)} FROM {_snapshot(name, table_name)} s LEFT JOIN {table_name} c "  # noqa: S608
        f"ON c.{table.primary_id} = s.{table.primary_id} WHERE ({_of('c', told)}) IS NOT ({_of('s', told)})"
    )
    for row in database.execute(sql):
        yield {column: shown(table.columns[column], value) for column, value in zip(names, row, strict=True)}


def rows_to_remove(database: Database, name: str, table_name: str) -> Iterator[Row]:
    """Yield key and CustomerId of the rows that a snapshot does not have."""
    key = database.schema.tables[table_name].primary_id
    sql = (
        f"SELECT {key}, msdynci_customerid FROM {table_name} "  # noqa: S608
        f"WHERE {key} NOT IN (SELECT {key} FROM {_snapshot(name, table_name)})"
    )
    for row_id, customer_id in database.execute(sql):
        yield {key: _guid(row_id), "msdynci_customerid": customer_id}


def _of(source: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{source}.{ddl.quoted(column)}" for column in columns)


def _columns_of(database: Database, name: str, table: Table) -> set[str]:
    rows = database.execute(f"PRAGMA table_info({_snapshot(name, table.logical_name)})")
    return {str(row[1]) for row in rows}


def _snapshot(name: str, table: str) -> str:
    return ddl.quoted(f"_snapshot.{name}.{table}")


def _index(name: str, table: str) -> str:
    return ddl.quoted(f"_snapshot.{name}.{table}.key")


def _guid(value: object) -> str:
    if not isinstance(value, bytes):
        raise TypeError(f"{value!r} is not a stored guid")
    return guid_text(value)
