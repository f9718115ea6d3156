"""Table Storage in memory, for tests of what stands on it. Passes the same contract suite as the real client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace as changed
from functools import partial
from itertools import count

from linker.adapters.storage.table_guards import batches, check_entity
from linker.core.errors import AlreadyThereError, ChangedError
from linker.core.ports import Entity, Properties

type Key = tuple[str, str, str]


class MemoryTables:
    """ports.Tables over a dict. Every call lets other tasks run first, so that races happen as over a network."""

    def __init__(self) -> None:
        self.entities: dict[Key, Entity] = {}
        self.calls = 0
        self.network: Callable[[], Awaitable[None]] = partial(asyncio.sleep, 0)
        self.listed = 0  # entities that queries gave
        self._versions = count(1)

    async def get(self, table: str, partition: str, row: str, *, select: Sequence[str] = ()) -> Entity | None:
        await self._network()
        found = self.entities.get((table, partition, row))
        return found and _selected(found, select)

    async def insert(self, table: str, partition: str, row: str, properties: Properties) -> str:
        check_entity(partition, row, properties)
        await self._network()
        if (table, partition, row) in self.entities:
            raise AlreadyThereError(f"{table} '{partition}' / '{row}' exists.")
        return self._save((table, partition, row), properties)

    async def replace(
        self, table: str, partition: str, row: str, properties: Properties, *, etag: str | None = None
    ) -> str:
        check_entity(partition, row, properties)
        await self._network()
        self._require((table, partition, row), etag)
        return self._save((table, partition, row), properties)

    async def merge(self, table: str, partition: str, row: str, properties: Properties, *, etag: str) -> str:
        check_entity(partition, row, properties)
        await self._network()
        self._require((table, partition, row), etag)
        return self._save((table, partition, row), {**self.entities[table, partition, row].properties, **properties})

    async def write_many(self, table: str, partition: str, rows: Sequence[tuple[str, Properties]]) -> None:
        for row, properties in rows:
            check_entity(partition, row, properties)
        for group in batches(partition, rows):
            await self._network()
            for row, properties in group:
                self._save((table, partition, row), properties)

    async def delete_many(self, table: str, partition: str, rows: Sequence[str]) -> None:
        await self._network()
        for row in rows:
            self.entities.pop((table, partition, row), None)

    async def delete(self, table: str, partition: str, row: str, *, etag: str | None = None) -> None:
        await self._network()
        self._require((table, partition, row), etag)
        self.entities.pop((table, partition, row), None)

    async def query(
        self, table: str, partition: str, *, first: str = "", end: str | None = None, select: Sequence[str] = ()
    ) -> AsyncIterator[Entity]:
        await self._network()
        for key, entity in sorted(self.entities.items()):
            if key[:2] == (table, partition) and first <= key[2] and (end is None or key[2] < end):
                self.listed += 1
                yield _selected(entity, select)

    async def close(self) -> None:
        """No connection has to be closed."""

    async def _network(self) -> None:
        self.calls += 1
        await self.network()

    def _require(self, key: Key, etag: str | None) -> None:
        there = self.entities.get(key)
        if etag is not None and (there is None or there.etag != etag):
            raise ChangedError(f"{key} was changed or deleted since it was read.")

    def _save(self, key: Key, properties: Properties) -> str:
        etag = f'W/"{next(self._versions)}"'
        self.entities[key] = Entity(key[1], key[2], dict(properties), etag)
        return etag


def _selected(entity: Entity, select: Sequence[str]) -> Entity:
    if not select:
        return entity
    return changed(entity, properties={name: entity.properties[name] for name in select if name in entity.properties})
