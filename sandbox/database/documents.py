"""Small JSON documents beside the tables: the instance, data sources, jobs, events. They survive a restart."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from sandbox.database import Database

_CREATE: Final = "CREATE TABLE IF NOT EXISTS _document (name TEXT PRIMARY KEY, body BLOB NOT NULL)"
_KEPT: Final = 500
"""How many entries of a growing list are kept; the Customer Insights API shows recent jobs only."""

type Document = dict[str, Any]


class Documents:
    """Named documents and lists of documents."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.execute(_CREATE)

    def get(self, name: str) -> Document:
        """Return a document, empty if it was never written."""
        found: Document = self._read(name) or {}
        return found

    def put(self, name: str, document: Mapping[str, object]) -> None:
        """Replace a document."""
        self._write(name, document)

    def listed(self, name: str) -> list[Document]:
        """Return a list of documents, oldest first."""
        found: list[Document] = self._read(name) or []
        return found

    def replace_list(self, name: str, documents: Sequence[Mapping[str, object]]) -> None:
        """Replace a list; only its newest 500 entries are kept."""
        self._write(name, list(documents)[-_KEPT:])

    def _read(self, name: str) -> Any:
        rows = self._database.execute("SELECT body FROM _document WHERE name = ?", (name,))
        return orjson.loads(str(rows[0][0])) if rows else None

    def _write(self, name: str, value: object) -> None:
        body = orjson.dumps(value).decode()
        self._database.execute("INSERT OR REPLACE INTO _document (name, body) VALUES (?, ?)", (name, body))
