"""Hash blocks, and which pages hold departed rows: table `linkerhashes`."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from linker.blocks import (
    CHUNK_BYTES,
    HEADER_NAMES,
    HashBlock,
    Header,
    header_properties,
    to_block,
    to_header,
    to_properties,
)
from linker.errors import AlreadyThereError, ChangedError
from linker.model import RowKey
from linker.ports import Tables

HASHES = "linkerhashes"
SHARDS = 16  # partitions a table's blocks are spread over: one partition takes about 2,000 entities/s (azure.md 8.1)


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block with the ETag it was read with, None when it does not exist."""

    block: HashBlock
    etag: str | None


class Blocks:
    """Hash blocks of all tables."""

    def __init__(self, tables: Tables, environment: str) -> None:
        self._tables, self._environment = tables, environment

    async def header(self, table: str, page: str) -> StoredBlock:
        """Return a block with its header alone: about 100 bytes, enough to see that nothing changed."""
        entity = await self._tables.get(HASHES, *self._key(table, page), select=HEADER_NAMES)
        if entity is None:
            return StoredBlock(HashBlock(), None)
        return StoredBlock(HashBlock(to_header(entity.properties) or Header()), entity.etag)

    async def load(self, table: str, page: str) -> StoredBlock:
        """Return a block; a missing or damaged one knows nothing about its rows."""
        entity = await self._tables.get(HASHES, *self._key(table, page))
        return StoredBlock(to_block(entity.properties), entity.etag) if entity else StoredBlock(HashBlock(), None)

    async def take(self, table: str, page: str, stored: StoredBlock) -> StoredBlock:
        """Save the owner in `stored.block` and leave the entries untouched. Raises ChangedError when somebody was faster."""
        key = self._key(table, page)
        properties = header_properties(stored.block.header)
        if stored.etag is None:
            return StoredBlock(stored.block, await self._insert(key, properties))
        return StoredBlock(stored.block, await self._tables.merge(HASHES, *key, properties, etag=stored.etag))

    async def save(self, table: str, page: str, stored: StoredBlock) -> StoredBlock:
        """Overwrite header and entries. Raises ChangedError when somebody wrote the block since it was read."""
        key = self._key(table, page)
        properties = to_properties(stored.block)
        if stored.etag is None:
            return StoredBlock(stored.block, await self._insert(key, properties))
        return StoredBlock(stored.block, await self._tables.replace(HASHES, *key, properties, etag=stored.etag))

    async def delete(self, table: str, page: str) -> None:
        """Remove a block whose page was split."""
        await self._tables.delete(HASHES, *self._key(table, page))

    async def _insert(self, key: tuple[str, str], properties: dict[str, str | int | float | bool | bytes]) -> str:
        try:
            return await self._tables.insert(HASHES, *key, properties)
        except AlreadyThereError as error:
            raise ChangedError(str(error)) from error

    def _key(self, table: str, page: str) -> tuple[str, str]:
        return f"{self._environment}-{table}-{zlib.crc32(page.encode()) % SHARDS:02}", page


class StrayPages:
    """Pages with keys whose canonical text stands in another page: keys in braces, or in capitals where order minds them."""

    def __init__(self, tables: Tables, environment: str) -> None:
        self._tables, self._environment = tables, environment

    async def note(self, table: str, page: str) -> None:
        """Remember a page; it is looked at for every key from now on."""
        await self._tables.replace(HASHES, f"{self._environment}-{table}-strays", page, {"strays": True})

    async def names(self, table: str) -> list[str]:
        """Return the pages of a table that were noted."""
        found = self._tables.query(HASHES, f"{self._environment}-{table}-strays", select=("RowKey",))
        return [entity.row async for entity in found]


class DepartedPages:
    """Which pages hold rows that left the mapping, for the unlinking pass that follows."""

    def __init__(self, tables: Tables, environment: str) -> None:
        self._tables, self._environment = tables, environment

    async def note(self, table: str, page: str, run: str, keys: Iterable[RowKey]) -> None:
        """Remember the departed rows that a run found on a page, over what an earlier run noted."""
        packed = b"".join(sorted(keys))
        chunks = {f"k{n:02}": packed[at : at + CHUNK_BYTES] for n, at in enumerate(range(0, len(packed), CHUNK_BYTES))}
        await self._tables.replace(HASHES, self._partition(table), page, {"run": run, **chunks})

    async def after(self, table: str, run: str, page: str) -> AsyncIterator[tuple[str, list[RowKey]]]:
        """Yield the pages after `page` that this run noted, by name, with their departed rows."""
        partition = self._partition(table)
        async for entity in self._tables.query(HASHES, partition, first=page):
            if entity.row == page:
                continue
            if entity.properties["run"] != run:
                await self._tables.delete(
                    HASHES, partition, entity.row
                )  # an earlier run's, which this run did not confirm
                continue
            chunks = sorted(name for name in entity.properties if len(name) == 3 and name[0] == "k")
            packed = b"".join(bytes(entity.properties[name]) for name in chunks)  # type: ignore[arg-type]
            yield entity.row, [packed[at : at + 16] for at in range(0, len(packed), 16)]

    def _partition(self, table: str) -> str:
        return f"{self._environment}-{table}-departed"
