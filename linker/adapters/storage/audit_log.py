"""Who did what by hand, and when: table `linkeraudit`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from linker.adapters.storage.documents import cut_text, join_text
from linker.core.ports import Tables
from linker.core.records import AuditEntry
from linker.core.serialization import dumps, iso, loads

AUDIT = "linkeraudit"
_END_OF_TIME_MS = 10**14 - 1  # keys ascend; what is left until then makes the newest come first


class Audit:
    """Entries of one environment. An entry is there before the action begins, and is completed after it."""

    def __init__(self, tables: Tables, environment: str, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._tables, self._environment, self._clock, self._new_id = tables, environment, clock, new_id

    def next_id(self) -> str:
        """Return the id of a new entry: newer ones come first."""
        return f"{_left_ms(self._clock())}-{self._new_id()}"

    async def note(self, action: str, who: str, asked: Mapping[str, Any] | None = None) -> None:
        """Save an entry of an effect that is not an operation of the API: a session, events."""
        at = iso(self._clock())
        await self.save(AuditEntry(self.next_id(), at, who, "", action, asked=asked or {}))

    async def save(self, entry: AuditEntry) -> None:
        """Save an entry, or what became of it."""
        await self._tables.replace(AUDIT, self._environment, entry.id, cut_text(dumps(entry)))

    async def entries(self, after: str = "") -> AsyncIterator[AuditEntry]:
        """Yield the entries that come after an id, newest first."""
        async for entity in self._tables.query(AUDIT, self._environment, first=after):
            if entity.row != after:
                yield loads(AuditEntry, join_text(entity))

    async def delete_before(self, end: float, most: int) -> int:
        """Remove entries made before a time (epoch s, exclusive), so many at most; return how many there were."""
        deleted = 0
        after = _left_ms(end) + "~"  # behind all ids of that millisecond
        async for entity in self._tables.query(AUDIT, self._environment, first=after, select=("RowKey",)):
            if deleted == most:
                break
            await self._tables.delete(AUDIT, self._environment, entity.row)
            deleted += 1
        return deleted


def _left_ms(now: float) -> str:
    return f"{_END_OF_TIME_MS - int(now * 1000):014}"
