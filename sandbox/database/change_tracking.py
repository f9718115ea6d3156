"""What changed in a table between two row versions, the deletions among it (docs/reference/dataverse.md 12)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.database import ddl
from sandbox.database.database import Database
from sandbox.database.values import Stored
from sandbox.schema.column_types import Column
from sandbox.schema.model import Table


@dataclass(frozen=True, slots=True)
class Span:
    """Row versions from `since` (exclusive, 0 for all rows that exist) to `until` (inclusive)."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class Place:
    """The last change that was seen: rows come by version and key, deletions follow them by version."""

    deleted: bool
    version: int
    key: bytes


def note_deletions(database: Database, table: Table, keys: Sequence[bytes]) -> None:
    """Keep that rows are about to be deleted, for readers who track changes."""
    if not table.change_tracking:
        return
    found = database.rows_of(table, (), keys)
    database.execute_many(
        "INSERT INTO _deleted (owner, version, key) VALUES (?, ?, ?)",
        [(table.logical_name, database.next_version(table), key) for key in found],
    )


def changed_rows(
    database: Database,
    table: Table,
    columns: Sequence[Column],
    span: Span,
    after: Place | None,
    limit: int,
    least: bytes = b"",
) -> list[tuple[Stored, ...]]:
    """Return at most `limit` rows as (version, key, columns...) in the order of their versions, with keys from `least`."""
    if after is not None and after.deleted:
        return []
    names = ["versionnumber", table.primary_id, *(column.logical_name for column in columns)]
    key = ddl.quoted(table.primary_id)
    sql = (
        f"SELECT {', '.join(map(ddl.quoted, names))} FROM {ddl.rows_from(table)} "  # noqa: S608
        f"WHERE versionnumber > ? AND versionnumber <= ? AND (versionnumber, {key}) > (?, ?) AND {key} >= ? "
        f"ORDER BY versionnumber, {key} LIMIT {limit}"
    )
    start = (after.version, after.key) if after else (span.since, b"")
    return database.execute(sql, [span.since, span.until, *start, least])


def deleted_keys(
    database: Database, table: Table, span: Span, after: Place | None, limit: int
) -> list[tuple[int, bytes]]:
    """Return at most `limit` deletions as (version, key); a row that exists again is not deleted."""
    if not span.since:
        return []
    last = after.version if after and after.deleted else span.since
    sql = (
        "SELECT max(version), key FROM _deleted WHERE owner = ? AND version > ? AND version <= ? "  # noqa: S608
        f"AND key NOT IN (SELECT {ddl.quoted(table.primary_id)} FROM {ddl.quoted(table.logical_name)}) "
        f"GROUP BY key HAVING max(version) > ? ORDER BY 1 LIMIT {limit}"
    )
    found = database.execute(sql, [table.logical_name, span.since, span.until, last])
    return [(int(str(version)), key) for version, key in found if isinstance(key, bytes)]


def count_changes(database: Database, table: Table, span: Span) -> int:
    """Return how many rows and deletions a span holds."""
    sql = f"SELECT count(*) FROM {ddl.rows_from(table)} WHERE versionnumber > ? AND versionnumber <= ?"  # noqa: S608
    ((rows,),) = database.execute(sql, [span.since, span.until])
    return int(str(rows)) + len(deleted_keys(database, table, span, None, -1))
