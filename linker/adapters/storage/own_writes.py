"""Recognizes a conditional write of this app whose answer was lost: ports.Tables over other ports.Tables.

A write whose answer is lost is sent again, by Microsoft's client, by aiohttp below it, or here. The second sending meets
what the first one stored and is refused: with 412, or with 409 for an insert. So a refusal alone does not say who wrote.
Each conditional write therefore stores an id of its own in the entity. After a refusal the entity is read, and the same id
proves that the write is stored. Callers see neither the id nor the refusal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from linker.core.errors import AlreadyThereError, ChangedError, TransientError
from linker.core.ports import Entity, Properties, Tables, Value

WRITE: Final = "write"  # property with the id of the conditional write that stored the entity


@dataclass(frozen=True, slots=True)
class OwnWrites:
    """The operations of ports.Tables. `new_id` returns a text that no other write has.

    ChangedError and AlreadyThereError mean that another writer was faster. An entity that an earlier version stored has no
    id and counts as another writer's.
    """

    tables: Tables
    new_id: Callable[[], str]

    async def get(self, table: str, partition: str, row: str, *, select: Sequence[str] = ()) -> Entity | None:
        """See ports.Tables."""
        found = await self.tables.get(table, partition, row, select=select)
        return _without_id(found) if found else None

    async def insert(self, table: str, partition: str, row: str, properties: Properties) -> str:
        """See ports.Tables."""

        async def send(marked: Properties) -> str:
            return await self.tables.insert(table, partition, row, marked)

        return await self._send_conditional((table, partition, row), properties, send)

    async def replace(
        self, table: str, partition: str, row: str, properties: Properties, *, etag: str | None = None
    ) -> str:
        """See ports.Tables. Without `etag` a second sending stores the same again and needs no id."""

        async def send(marked: Properties) -> str:
            return await self.tables.replace(table, partition, row, marked, etag=etag)

        return await (
            send(properties) if etag is None else self._send_conditional((table, partition, row), properties, send)
        )

    async def merge(self, table: str, partition: str, row: str, properties: Properties, *, etag: str) -> str:
        """See ports.Tables."""

        async def send(marked: Properties) -> str:
            return await self.tables.merge(table, partition, row, marked, etag=etag)

        return await self._send_conditional((table, partition, row), properties, send)

    async def write_many(self, table: str, partition: str, rows: Sequence[tuple[str, Properties]]) -> None:
        """See ports.Tables. A second sending stores the same again and needs no id."""
        await self.tables.write_many(table, partition, rows)

    async def delete_many(self, table: str, partition: str, rows: Sequence[str]) -> None:
        """See ports.Tables."""
        await self.tables.delete_many(table, partition, rows)

    async def delete(self, table: str, partition: str, row: str, *, etag: str | None = None) -> None:
        """See ports.Tables. A conditional delete leaves nothing that could say who deleted."""
        await self.tables.delete(table, partition, row, etag=etag)

    async def query(
        self, table: str, partition: str, *, first: str = "", end: str | None = None, select: Sequence[str] = ()
    ) -> AsyncIterator[Entity]:
        """See ports.Tables."""
        async for entity in self.tables.query(table, partition, first=first, end=end, select=select):
            yield _without_id(entity)

    async def close(self) -> None:
        """See ports.Tables."""
        await self.tables.close()

    async def _send_conditional(
        self, key: tuple[str, str, str], properties: Properties, send: Callable[[Properties], Awaitable[str]]
    ) -> str:
        """Send a conditional write and return the ETag that it left, whichever sending was stored.

        A write without any answer that is not stored is sent once more: Microsoft's client repeats no insert and no merge
        by itself. The condition keeps a late first sending from doing harm.
        """
        marked: dict[str, Value] = {**properties, WRITE: self.new_id()}
        for is_last in (False, True):
            try:
                return await send(marked)
            except (AlreadyThereError, ChangedError, TransientError) as error:
                found = await self.tables.get(*key, select=(WRITE,))
                if found is not None and found.properties.get(WRITE) == marked[WRITE]:
                    return found.etag
                if is_last or not isinstance(error, TransientError):
                    raise
        raise AssertionError("the last sending returns or raises")


def _without_id(entity: Entity) -> Entity:
    if WRITE not in entity.properties:
        return entity
    return replace(entity, properties={name: value for name, value in entity.properties.items() if name != WRITE})
