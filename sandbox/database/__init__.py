"""SQLite behind the sandbox. SQL for tables is in this package; unification and stored documents have their own."""

from sandbox.database.bulk import bulk_delete, bulk_load, bulk_update, count_rows, scan
from sandbox.database.connection import new_key, utc_now
from sandbox.database.database import Database
from sandbox.database.rows import Change, RestrictedError, Stamp, delete_rows, insert_row, update_rows

__all__ = [
    "Change",
    "Database",
    "RestrictedError",
    "Stamp",
    "bulk_delete",
    "bulk_load",
    "bulk_update",
    "count_rows",
    "delete_rows",
    "insert_row",
    "new_key",
    "scan",
    "update_rows",
    "utc_now",
]
