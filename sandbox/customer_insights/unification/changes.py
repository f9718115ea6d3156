"""Changes of single rows, and writing many of them with the stamps of those who would write them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import batched, groupby
from typing import Final, Literal

from sandbox.database import Change, Database, Stamp, bulk_delete, bulk_load, bulk_update, update_rows
from sandbox.database.collation import guid_key
from sandbox.database.values import Row
from sandbox.identity.accounts import ADMIN, VENDOR

type RowKey = tuple[str, bytes]
"""Table and key of a row."""

_BATCH: Final = 10_000
Kind = Literal["insert", "update", "delete", "recreate"]


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row to write. `row` holds logical column names, the primary id among them; `recreate` is delete, insert."""

    kind: Kind
    table: str
    row: Row


def apply_changes(database: Database, changes: Iterable[RowChange]) -> None:
    """Write changes in their order, all or nothing. Deleting a profile empties the lookups that point at it."""
    with database.transaction():
        for (kind, table, _), group in groupby(changes, key=_same_statement):
            _WRITE[kind](database, table, [change.row for change in group])


def rewrite_rows(database: Database, keys: Iterable[RowKey]) -> None:
    """Write rows with the values that they have: their times and versions move, nothing else does."""
    for table_name, group in groupby(sorted(keys), key=lambda one: one[0]):
        table, stamp = database.schema.tables[table_name], _stamp(database, table_name)
        for some in batched(group, _BATCH, strict=False):
            update_rows(database, table, [Change(key, {}) for _, key in some], stamp)


def _same_statement(change: RowChange) -> tuple[Kind, str, tuple[str, ...]]:
    return change.kind, change.table, tuple(change.row)


def _insert(database: Database, table: str, rows: Sequence[Row]) -> None:
    bulk_load(database, table, rows, _stamp(database, table))


def _update(database: Database, table: str, rows: Sequence[Row]) -> None:
    bulk_update(database, table, rows, _stamp(database, table))


def _delete(database: Database, table: str, rows: Sequence[Row]) -> None:
    key = database.schema.tables[table].primary_id
    bulk_delete(database, table, [str(row[key]) for row in rows])


def _recreate(database: Database, table: str, rows: Sequence[Row]) -> None:
    _delete(database, table, rows)
    _insert(database, table, rows)


_WRITE = {"insert": _insert, "update": _update, "delete": _delete, "recreate": _recreate}


def _stamp(database: Database, table: str) -> Stamp:
    writer = VENDOR if table.startswith("msdynci_") else ADMIN
    return Stamp(database.clock(), guid_key(writer.systemuser_id))
