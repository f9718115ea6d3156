"""What the state needs of Table Storage, as a Protocol. A store in memory and Azurite pass the same contract suite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

type Value = str | int | float | bool | bytes
type Properties = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Entity:
    """One Table Storage entity with the ETag it was read with."""

    partition: str
    row: str
    properties: Properties
    etag: str


class Tables(Protocol):
    """The few operations of Table Storage that the state needs. Every method may raise TransientError."""

    async def get(self, table: str, partition: str, row: str, *, select: Sequence[str] = ()) -> Entity | None:
        """Point read; `select` names the properties to fetch, empty fetches all. None when absent."""
        ...

    async def insert(self, table: str, partition: str, row: str, properties: Properties) -> str:
        """Create an entity and return its ETag. Raises AlreadyThereError."""
        ...

    async def replace(
        self, table: str, partition: str, row: str, properties: Properties, *, etag: str | None = None
    ) -> str:
        """Overwrite all properties and return the new ETag. Without `etag` it inserts when absent. Raises ChangedError."""
        ...

    async def merge(self, table: str, partition: str, row: str, properties: Properties, *, etag: str) -> str:
        """Overwrite the named properties and return the new ETag. Raises ChangedError."""
        ...

    async def write_many(self, table: str, partition: str, rows: Sequence[tuple[str, Properties]]) -> None:
        """Write entities of one partition over whatever is there, in as few requests as limits allow.

        A part of them may be written when it raises.
        """
        ...

    async def delete_many(self, table: str, partition: str, rows: Sequence[str]) -> None:
        """Remove entities of one partition in as few requests as limits allow; absent ones are not an error."""
        ...

    async def delete(self, table: str, partition: str, row: str, *, etag: str | None = None) -> None:
        """Remove an entity; a missing one raises nothing without `etag`. Raises ChangedError with one."""
        ...

    def query(
        self, table: str, partition: str, *, first: str = "", end: str | None = None, select: Sequence[str] = ()
    ) -> AsyncIterator[Entity]:
        """Entities of one partition with first <= row key < end, in row key order."""
        ...

    async def close(self) -> None:
        """End the connections. The next call opens new ones."""
        ...
