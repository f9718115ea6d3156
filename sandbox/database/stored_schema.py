"""Keeps the schema in SQLite, so that tables and columns made at run time survive a restart."""

import sqlite3
from typing import Final

import orjson
from pydantic import TypeAdapter

from sandbox.schema.model import ManyToMany, OneToMany, Schema, Table

CREATE: Final = "CREATE TABLE IF NOT EXISTS _schema (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL)"


def save_schema(connection: sqlite3.Connection, schema: Schema) -> None:
    """Replace what is stored."""
    body = orjson.dumps({"tables": schema.tables, "relationships": schema.relationships})
    connection.execute("INSERT OR REPLACE INTO _schema (id, body) VALUES (1, ?)", (body,))


def load_schema(connection: sqlite3.Connection) -> Schema | None:
    """Return what is stored, None in a new database."""
    row = connection.execute("SELECT body FROM _schema").fetchone()
    if row is None:
        return None
    document = orjson.loads(row[0])
    tables = TypeAdapter(dict[str, Table]).validate_python(document["tables"])
    relationships = TypeAdapter(dict[str, OneToMany | ManyToMany]).validate_python(document["relationships"])
    return Schema(tables, relationships)
