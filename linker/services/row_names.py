"""What people call a row: the primary name of its table, for lists on pages. Names are kept in memory, for seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from linker.adapters.dataverse.response_models import Fields
from linker.core import odata
from linker.core.errors import LinkerError
from linker.core.keys import digest_rows, row_key
from linker.deps import ROW_COST, Deps

MAX_NAMED = odata.EQ_TERMS  # rows that one request names
MAX_TABLES = 5
SHAPE_KEPT_S = 3_600.0
type Shape = tuple[str, str, str]
"""Entity set, primary key and primary name column of a table; each may be empty."""


async def names_of(deps: Deps, table: str, rows: Iterable[str]) -> dict[str, str]:
    """Return the names of the first MAX_NAMED rows of a table, by row id; rows without a name are left out.

    A list is worth showing without names, so a refusal gives none.
    """
    keys = list(dict.fromkeys(rows))[:MAX_NAMED]
    known = [key for text in keys if (key := row_key(text)) is not None]
    if not known:
        return {}

    async def read() -> dict[str, str]:
        return await _read(deps, table, keys)

    try:
        return await deps.looks.once(f"names {table} {digest_rows(known)}", ROW_COST, deps.clock(), read)
    except LinkerError:
        return {}


async def names_by_table(deps: Deps, rows: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the names of some rows by table and row id, of the first MAX_TABLES tables."""
    by_table: dict[str, list[str]] = {}
    for table, row in rows:
        by_table.setdefault(table, []).append(row)
    named = list(by_table.items())[:MAX_TABLES]
    found = await asyncio.gather(*(names_of(deps, table, of_table) for table, of_table in named))
    return {(table, row): name for (table, _), names in zip(named, found, strict=True) for row, name in names.items()}


async def _read(deps: Deps, table: str, keys: list[str]) -> dict[str, str]:
    entity_set, key, name = await _shape(deps, table)
    if not (entity_set and key and name):
        return {}
    (expression,) = odata.any_guid(key, keys, has_in=False)
    path = odata.name(entity_set) + odata.query(select=f"{odata.name(key)},{odata.name(name)}", filter=expression)
    found = await deps.dataverse().first(path, Fields)
    return {str(row[key]): str(row[name]) for row in found if row.get(key) and row.get(name)}


async def _shape(deps: Deps, table: str) -> Shape:
    columns = ("EntitySetName", "PrimaryIdAttribute", "PrimaryNameAttribute")
    path = f"EntityDefinitions(LogicalName={odata.literal(table)})" + odata.query(select=",".join(columns))

    async def read() -> Shape:
        found = await deps.dataverse().one(path, Fields)
        entity_set, key, name = (str(found.get(column) or "") for column in columns)
        return entity_set, key, name

    return await deps.looks.once(f"shape {table}", ROW_COST, deps.clock(), read, kept_s=SHAPE_KEPT_S)
