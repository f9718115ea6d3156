"""What readers of another session still see of an elastic table: its rows as they were until a lag has passed.

Elastic tables are consistent within a session only (Microsoft's page on elastic tables). The old rows lie in a side
table, and a view shows them in place of the new ones; both are made when they are first needed.
"""

from collections.abc import Sequence
from dataclasses import replace

from sandbox.database import ddl
from sandbox.database.database import Database
from sandbox.schema.model import Table

_UNTIL = '"~until"'
_EXISTED = '"~existed"'


def keep_old_rows(database: Database, table: Table, keys: Sequence[bytes], lag_s: float) -> None:
    """Keep rows as they are before they are written, so that stale readers see them until the lag has passed.

    A row that is old already stays as old as it is; a row that does not exist is kept as missing.
    """
    if not table.elastic or not lag_s or not keys:
        return
    _prepare(database, table)
    until = _now_s(database) + lag_s
    source, old, key = _name(table), _name(table, "old"), ddl.quoted(table.primary_id)
    names = _columns(database, table)
    copied = f"INSERT OR IGNORE INTO {old} ({names}, {_UNTIL}, {_EXISTED}) SELECT {names}, ?, 1 FROM {source} WHERE {key} = ?"  # noqa: S608
    database.execute_many(copied, [(until, one) for one in keys])
    missing = f"INSERT OR IGNORE INTO {old} ({key}, {_UNTIL}, {_EXISTED}) VALUES (?, ?, 0)"  # noqa: S608
    database.execute_many(missing, [(one, until) for one in keys])
    database.stale[table.logical_name] = until


def as_stale_readers_see(database: Database, table: Table) -> Table:
    """Return the table with its old rows in place of the new ones, or as it is when the lag has passed."""
    until = database.stale.get(table.logical_name)
    if until is None:
        return table
    now = _now_s(database)
    database.execute(f"DELETE FROM {_name(table, 'old')} WHERE {_UNTIL} <= ?", [now])  # noqa: S608
    if until <= now:
        del database.stale[table.logical_name]
        return table
    return replace(table, source=f"{table.logical_name}~stale")


def stale_for_s(database: Database) -> float:
    """Return how many seconds pass until every reader sees the rows as they are."""
    return max(0.0, *(until - _now_s(database) for until in database.stale.values()), 0.0)


def _now_s(database: Database) -> float:
    """Return the time by which rows are stamped too, so a test that moves the clock ends the lag as well."""
    return database.clock().timestamp()


def _prepare(database: Database, table: Table) -> None:
    """Rebuild the side table and the view unless they hold old rows: columns may have been added."""
    if table.logical_name in database.stale:
        return
    source, old, view, key = _name(table), _name(table, "old"), _name(table, "stale"), ddl.quoted(table.primary_id)
    names = _columns(database, table)
    database.execute(f"DROP VIEW IF EXISTS {view}")
    database.execute(f"DROP TABLE IF EXISTS {old}")
    database.execute(f"CREATE TABLE {old} ({names}, {_UNTIL}, {_EXISTED}, PRIMARY KEY ({key})) WITHOUT ROWID")
    database.execute(
        f"CREATE VIEW {view} AS SELECT {names} FROM {source} WHERE {key} NOT IN (SELECT {key} FROM {old}) "  # noqa: S608
        f"UNION ALL SELECT {names} FROM {old} WHERE {_EXISTED}"
    )


def _columns(database: Database, table: Table) -> str:
    rows = database.execute(f"PRAGMA table_info({_name(table)})")
    return ", ".join(ddl.quoted(str(row[1])) for row in rows)


def _name(table: Table, kind: str = "") -> str:
    return ddl.quoted(f"{table.logical_name}~{kind}" if kind else table.logical_name)
