"""The packed state store against one entity per row, both through Microsoft's client on the same Azurite."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import batched
from typing import Any

from azure.data.tables import EdmType, EntityProperty
from azure.data.tables.aio import TableClient, TableServiceClient

from linker.adapters.storage.table_client import AzureTables
from linker.core.linking.hash_blocks import Entry as BlockEntry
from linker.core.linking.hash_blocks import HashBlock, to_block, to_properties
from linker.core.linking.shards import SHARD_ROWS
from linker.core.model import RowKey
from linker.core.ports import Properties

MAX_OPERATIONS = 100  # of a transaction (docs/reference/azure.md 8.1)
PACKED, SINGLE = "benchpacked", "benchsingle"

type Entry = tuple[RowKey, int]


@dataclass(frozen=True, slots=True)
class Store:
    """Rows a second of one way to keep row hashes."""

    rows: int
    write_s: float
    read_s: float

    @property
    def written_rows_s(self) -> float:
        """Rows written a second."""
        return self.rows / self.write_s

    @property
    def read_rows_s(self) -> float:
        """Rows read a second."""
        return self.rows / self.read_s


def measure(connection: str, packed_rows: int, single_rows: int) -> tuple[Store, Store]:
    """Return packed blocks and single entities, one request in flight each."""
    return asyncio.run(_packed(connection, packed_rows)), asyncio.run(_single(connection, single_rows))


def entries(rows: int) -> Iterator[Entry]:
    """Yield row keys and hashes, spread as guids are."""
    for number in range(rows):
        digest = blake2b(number.to_bytes(8), digest_size=24).digest()
        yield digest[:16], int.from_bytes(digest[16:]) & ~1


async def _packed(connection: str, rows: int) -> Store:
    tables = AzureTables(connection_string=connection)
    pages = [_block(page) for page in batched(entries(rows), SHARD_ROWS, strict=False)]
    await tables.replace(PACKED, "warm", "warm", {"n": 1})  # creates the table
    try:
        started = time.perf_counter()
        for number, page in enumerate(pages):
            await tables.replace(PACKED, "page", f"{number:08}", to_properties(page))
        written = time.perf_counter()
        for number, page in enumerate(pages):
            found = await tables.get(PACKED, "page", f"{number:08}")
            _same(page, found.properties if found else {})
        return Store(rows, written - started, time.perf_counter() - written)
    finally:
        await tables.close()


def _block(page: tuple[Entry, ...]) -> HashBlock:
    return HashBlock().saved_by("bench", "", {key: (BlockEntry(value, value),) for key, value in page})


def _same(page: HashBlock, properties: Properties) -> None:
    if to_block(properties).entries != page.entries:
        raise AssertionError("A block came back with other entries.")


async def _single(connection: str, rows: int) -> Store:
    async with TableServiceClient.from_connection_string(connection) as service:
        table = await service.create_table_if_not_exists(SINGLE)
        groups = list(batched(entries(rows), MAX_OPERATIONS, strict=False))
        started = time.perf_counter()
        for group in groups:
            await table.submit_transaction([("upsert", entity(key, value)) for key, value in group])
        written = time.perf_counter()
        read = await _count(table)
        if read != rows:
            raise AssertionError(f"{rows:,} entities were written, {read:,} came back.")
        return Store(rows, written - started, time.perf_counter() - written)


def entity(key: RowKey, value: int) -> dict[str, Any]:
    """Return the entity of one row; Table Storage has signed numbers only."""
    signed = value - 2**64 if value >= 2**63 else value
    return {"PartitionKey": "row", "RowKey": key.hex(), "h": EntityProperty(signed, EdmType.INT64)}


async def _count(table: TableClient) -> int:
    return sum([1 async for _ in table.query_entities("PartitionKey eq 'row'")])
