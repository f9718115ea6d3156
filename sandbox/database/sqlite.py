"""Opens SQLite with the settings and the functions that the sandbox needs."""

import sqlite3
from typing import Final

from sandbox.database.collation import LIKES, PARTITIONS, SORT_KEYS

_PRAGMAS: Final = (
    "locking_mode=EXCLUSIVE",  # one process owns the file; measured, a write takes half the time of WAL's
    "journal_mode=PERSIST",
    "synchronous=OFF",  # a sandbox doesn't have to survive a power cut; a killed process loses nothing
    "cache_size=-131072",
    "temp_store=FILE",  # sorting a million rows must not take memory
)


def open_file(path: str | None) -> sqlite3.Connection:
    """Return a connection to a file, None for memory."""
    connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    for order, function in SORT_KEYS.items():
        connection.create_function(f"{order}_key", 1, function, deterministic=True)
    for shown, partition in PARTITIONS.items():
        connection.create_function(f"partition_{shown}", 1, partition, deterministic=True)
    for order, matches in LIKES.items():
        connection.create_function(f"{order}_like", 2, matches, deterministic=True)
    return connection
