"""Hash blocks, and which shards hold removed rows: table `linkerhashes`."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace

from linker.core.errors import AlreadyThereError, ChangedError
from linker.core.linking.hash_blocks import (
    CHUNK_BYTES,
    HEADER_NAMES,
    HashBlock,
    Header,
    header_properties,
    to_block,
    to_header,
    to_properties,
)
from linker.core.linking.shards import Shard
from linker.core.model import RowKey
from linker.core.ports import Entity, Tables

HASHES = "linkerhashes"
_SHARD = re.compile("s[0-9]{2}-[0-9a-f]{5}")  # as Shard.name gives it
# A table's blocks are spread over so many: one partition takes about 2,000 entities/s (docs/reference/azure.md 8.1).
PARTITIONS = 16


@dataclass(frozen=True, slots=True)
class StoredBlock:
    """A block with the ETag it was read with, None when it does not exist."""

    block: HashBlock
    etag: str | None

    def distrust(self) -> StoredBlock:
        """Return it as one whose hashes can't be compared. What isn't stored yet is saved with a header of its own."""
        block = self.block.distrust()
        return replace(self, block=block if self.etag else block.holding(block.entries))


class Blocks:
    """Hash blocks of all tables."""

    def __init__(self, tables: Tables, environment: str) -> None:
        self._tables, self._environment = tables, environment

    async def header(self, table: str, shard: str) -> StoredBlock:
        """Return a block with its header alone: about 100 bytes, enough to see that nothing changed."""
        entity = await self._tables.get(HASHES, *self._key(table, shard), select=HEADER_NAMES)
        if entity is None:
            return StoredBlock(HashBlock(), None)
        return StoredBlock(HashBlock(to_header(entity.properties) or Header()), entity.etag)

    async def headers(self, table: str) -> dict[str, Header]:
        """Return the header of every stored block by shard name; a damaged one knows nothing."""

        async def of_partition(number: int) -> dict[str, Header]:
            partition = f"{self._environment}-{table}-{number:02}"
            found = self._tables.query(HASHES, partition, select=("RowKey", *HEADER_NAMES))
            return {entity.row: to_header(entity.properties) or Header() async for entity in found}

        parts = await asyncio.gather(*map(of_partition, range(PARTITIONS)))
        return {name: header for part in parts for name, header in part.items()}

    async def sizes(self, table: str) -> list[int]:
        """Return the bits of the shards of which anything is known, the most first."""
        headers = (await self.headers(table)).items()
        return sorted(
            {int(name[1:3]) for name, header in headers if header.known and _SHARD.fullmatch(name)}, reverse=True
        )

    async def load(self, table: str, shard: str) -> StoredBlock:
        """Return a block; a missing or damaged one knows nothing about its rows."""
        entity = await self._tables.get(HASHES, *self._key(table, shard))
        return StoredBlock(to_block(entity.properties), entity.etag) if entity else StoredBlock(HashBlock(), None)

    async def load_or_split(self, table: str, shard: Shard, earlier_bits: Iterable[int]) -> StoredBlock:
        """Return the block of a shard, or what the block of an earlier, larger shard knows about its rows.

        The larger block stays as it is; its header's owner comes along, because that attempt may still write.
        """
        stored = await self.load(table, shard.name)
        if stored.etag is not None:
            return stored
        for bits in sorted(earlier_bits, reverse=True):
            above = await self.load(table, shard.at(bits).name)
            if above.etag is not None:
                return StoredBlock(_part_of(above.block, shard), None)
        return stored

    async def take(self, table: str, shard: str, stored: StoredBlock) -> StoredBlock:
        """Save the owner in `stored.block`. Entries that are stored stay untouched. Raises ChangedError when another attempt
        was faster.
        """
        key = self._key(table, shard)
        if stored.etag is None:  # entries that a larger block knew are saved along
            block = stored.block
            properties = to_properties(block) if block.known else header_properties(block.header)
            return StoredBlock(block, await self._insert(key, properties))
        properties = header_properties(stored.block.header)
        return StoredBlock(stored.block, await self._tables.merge(HASHES, *key, properties, etag=stored.etag))

    async def save(self, table: str, shard: str, stored: StoredBlock) -> StoredBlock:
        """Overwrite header and entries. Raises ChangedError when the block was written since it was read."""
        key = self._key(table, shard)
        properties = to_properties(stored.block)
        if stored.etag is None:
            return StoredBlock(stored.block, await self._insert(key, properties))
        return StoredBlock(stored.block, await self._tables.replace(HASHES, *key, properties, etag=stored.etag))

    async def delete_others(self, table: str, bits: int) -> int:
        """Remove blocks of other shard sizes and of earlier versions; return how many there were."""
        ours = f"s{bits:02}-"
        names = [name for name in await self.headers(table) if not name.startswith(ours)]
        for name in names:
            await self._tables.delete(HASHES, *self._key(table, name))
        return len(names)

    async def _insert(self, key: tuple[str, str], properties: dict[str, str | int | float | bool | bytes]) -> str:
        try:
            return await self._tables.insert(HASHES, *key, properties)
        except AlreadyThereError as error:
            raise ChangedError(str(error)) from error

    def _key(self, table: str, shard: str) -> tuple[str, str]:
        return f"{self._environment}-{table}-{zlib.crc32(shard.encode()) % PARTITIONS:02}", shard


def _part_of(block: HashBlock, shard: Shard) -> HashBlock:
    if not block.known:
        return HashBlock(Header(attempt=block.header.attempt, until=block.header.until))
    part = block.holding({key: row for key, row in block.entries.items() if shard.holds(key)})
    return replace(part, header=replace(part.header, linked=0, drift=0))


class RemovedRows:
    """Which shards hold rows that left the mapping, for the unlinking pass that follows. Each run has notes of its own."""

    def __init__(self, tables: Tables, environment: str) -> None:
        self._tables, self._environment = tables, environment

    async def note(self, table: str, shard: str, run: str, keys: Iterable[RowKey]) -> None:
        """Remember the removed rows that a run found in a shard."""
        packed = b"".join(sorted(keys))
        chunks = {f"k{n:02}": packed[at : at + CHUNK_BYTES] for n, at in enumerate(range(0, len(packed), CHUNK_BYTES))}
        await self._tables.replace(HASHES, self._partition(table), f"{run}_{shard}", chunks)

    async def load(self, table: str, shard: str, run: str) -> list[RowKey]:
        """Return the removed rows that a run noted of a shard."""
        found = await self._tables.get(HASHES, self._partition(table), f"{run}_{shard}")
        return _unpack(found) if found else []

    async def after(self, table: str, run: str, shard: str) -> AsyncIterator[tuple[str, list[RowKey]]]:
        """Yield the shards after `shard` that this run noted, by name, with their removed rows."""
        last, end = f"{run}_{shard}", f"{run}_~"
        async for entity in self._tables.query(HASHES, self._partition(table), first=last, end=end):
            if entity.row == last:
                continue
            yield entity.row.removeprefix(f"{run}_"), _unpack(entity)

    async def notes(self, table: str) -> list[str]:
        """Return the names of all notes on a table, those of earlier runs and versions among them."""
        found = self._tables.query(HASHES, self._partition(table), select=("RowKey",))
        return [entity.row async for entity in found]

    async def forget(self, table: str, notes: Iterable[str]) -> None:
        """Remove notes by their names. The caller makes sure that none of them is another run's that works now."""
        for note in notes:
            await self._tables.delete(HASHES, self._partition(table), note)

    def _partition(self, table: str) -> str:
        return f"{self._environment}-{table}-departed"


def _unpack(entity: Entity) -> list[RowKey]:
    chunks = sorted(name for name in entity.properties if len(name) == 3 and name[0] == "k")
    packed = b"".join(bytes(entity.properties[name]) for name in chunks)  # type: ignore[arg-type]
    return [packed[at : at + 16] for at in range(0, len(packed), 16)]
