"""Writing single rows and batches of them: values, times, versions, cascades."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sandbox.database import ddl
from sandbox.database.change_tracking import note_deletions
from sandbox.database.database import Database
from sandbox.database.security import forget_pairs
from sandbox.database.values import Stored, iso_time
from sandbox.schema.model import OneToMany, Table


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who writes and when. `user` and `on_behalf` are keys of systemuser; `on_behalf` is the real caller."""

    moment: datetime
    user: bytes
    on_behalf: bytes | None = None


class RestrictedError(Exception):
    """A row cannot be deleted because rows of a Restrict relationship point at it."""


@dataclass(frozen=True, slots=True)
class Change:
    """New values of one row, by logical column name."""

    key: bytes
    values: Mapping[str, Stored]


def owners_of(database: Database, table: Table, stamp: Stamp) -> dict[str, Stored]:
    """Return who owns a row of a table that names no owner: its author, and the root business unit."""
    known: dict[str, Stored] = {"ownerid": stamp.user, "owninguser": stamp.user}
    if "owningbusinessunit" in table.columns:
        known["owningbusinessunit"] = next(iter(database.execute("SELECT businessunitid FROM businessunit")), (None,))[
            0
        ]
    return {name: value for name, value in known.items() if name in table.columns}


def insert_row(database: Database, table: Table, change: Change, stamp: Stamp) -> None:
    """Insert one row; raises sqlite3.IntegrityError if the key exists."""
    now = iso_time(stamp.moment)
    values: dict[str, Stored] = {
        **database.with_keys(table, change.values),
        table.primary_id: change.key,
        "createdon": now,
        "modifiedon": now,
        "createdby": stamp.user,
        "modifiedby": stamp.user,
        "modifiedonbehalfby": stamp.on_behalf,
        "versionnumber": database.next_version(table),
    }
    names = ", ".join(map(ddl.quoted, values))
    marks = ", ".join("?" * len(values))
    database.execute(
        f"INSERT INTO {ddl.quoted(table.logical_name)} ({names}) VALUES ({marks})",  # noqa: S608
        list(values.values()),
    )


@dataclass(frozen=True, slots=True)
class Updated:
    """In how many rows a value really differs from before, and the keys that no row has."""

    rows_changed: int
    missing: frozenset[bytes]


def update_rows(database: Database, table: Table, changes: Sequence[Change], stamp: Stamp) -> Updated:
    """Write changes of rows; those that do not exist are reported."""
    grouped: dict[tuple[str, ...], list[Change]] = {}
    for change in changes:
        whole = Change(change.key, database.with_keys(table, change.values))
        grouped.setdefault(tuple(whole.values), []).append(whole)
    done = [_update_group(database, table, names, group, stamp) for names, group in grouped.items()]
    return Updated(sum(d.rows_changed for d in done), frozenset(key for d in done for key in d.missing))


def _update_group(
    database: Database, table: Table, names: tuple[str, ...], changes: Sequence[Change], stamp: Stamp
) -> Updated:
    before = database.rows_of(table, names, [change.key for change in changes])
    touched = (*names, "modifiedon", "modifiedby", "modifiedonbehalfby", "versionnumber")
    assignments = ", ".join(f"{ddl.quoted(name)} = ?" for name in touched)
    stamped = (iso_time(stamp.moment), stamp.user, stamp.on_behalf)
    versions = database.take_versions(len(changes), table)
    database.execute_many(
        f"UPDATE {ddl.quoted(table.logical_name)} SET {assignments} WHERE {ddl.quoted(table.primary_id)} = ?",  # noqa: S608
        ((*c.values.values(), *stamped, version, c.key) for c, version in zip(changes, versions, strict=True)),
    )
    missing = frozenset(change.key for change in changes if change.key not in before)
    unequal = sum(before.get(change.key) != tuple(change.values.values()) for change in changes)
    return Updated(unequal - len(missing), missing)


def delete_rows(database: Database, table: Table, keys: Sequence[bytes]) -> int:
    """Delete rows and do to their children what the relationships say; returns how many existed.

    Raises RestrictedError if a Restrict relationship has children. Emptying a lookup is not an update of the child:
    neither its time nor its version changes.
    """
    for relationship in database.schema.children(table.logical_name):
        _cascade(database, relationship, keys)
    forget_pairs(database, table.logical_name, keys)
    note_deletions(database, table, keys)
    return database.execute_many(
        f"DELETE FROM {ddl.quoted(table.logical_name)} WHERE {ddl.quoted(table.primary_id)} = ?",  # noqa: S608
        [(key,) for key in keys],
    )


def _cascade(database: Database, relationship: OneToMany, keys: Sequence[bytes]) -> None:
    child = database.schema.tables[relationship.referencing_entity]
    lookup = child.columns[relationship.referencing_attribute]
    if relationship.cascade.delete == "NoCascade":
        return  # an elastic parent is gone, and what pointed at it still does
    if lookup.read_only:
        return  # who created or modified a row stays known after that user is gone
    table, column = ddl.quoted(child.logical_name), ddl.quoted(lookup.logical_name)
    if relationship.cascade.delete == "RemoveLink":
        database.execute_many(f"UPDATE {table} SET {column} = NULL WHERE {column} = ?", [(key,) for key in keys])  # noqa: S608
        return
    marks = ", ".join("?" * len(keys))
    found = database.execute(f"SELECT {ddl.quoted(child.primary_id)} FROM {table} WHERE {column} IN ({marks})", keys)  # noqa: S608
    if found and relationship.cascade.delete == "Restrict":
        raise RestrictedError(relationship.schema_name)
    if found:
        delete_rows(database, child, [key for (key,) in found if isinstance(key, bytes)])
