"""Profiles that got newly linked rows and wait for their touch: table `linkerhashes`.

Pages note them, and two pages may share a profile, so a reader sees each once. They are packed in slices by a hash
of the id: a slice is read alone, so memory holds one part of them, however many there are.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence

from linker.adapters.storage.block_store import HASHES
from linker.core.keys import key_text
from linker.core.ports import Entity, Tables

SLICES = 64
DELETES_AT_ONCE = 16
_GUID_BYTES = 16


class WaitingProfiles:
    """Those of real runs wait until one of them touched them, those of a dry run until it counted them."""

    def __init__(self, tables: Tables, environment: str) -> None:
        self._tables, self._environment = tables, environment

    async def note(self, run: str, note: str, profiles: Iterable[str], *, dry_run: bool) -> None:
        """Add profile ids under a name that nothing else in the run uses."""
        slices: dict[str, bytes] = defaultdict(bytes)
        ids = {bytes.fromhex(profile.replace("-", "")) for profile in profiles}
        for profile in ids:
            slices[_name(zlib.crc32(profile) % SLICES)] += profile
        await self._tables.replace(HASHES, self._partition(dry_run), f"{run}_{note}", {"rows": len(ids), **slices})

    async def rows(self, run: str, *, dry_run: bool) -> int:
        """Return how many ids were noted; one that several pages noted counts for each."""
        found = self._notes(run, dry_run, ("rows",))
        return sum([int(entity.properties["rows"]) async for entity in found])

    async def part(self, run: str, part: int, parts: int, *, dry_run: bool) -> list[str]:
        """Return the ids of one part of all, each once, ascending. `parts` divides SLICES."""
        names = [_name(number) for number in range(part, SLICES, parts)]
        ids: set[bytes] = set()
        async for entity in self._notes(run, dry_run, names):
            packed = b"".join(bytes(entity.properties.get(name) or b"") for name in names)  # type: ignore[arg-type]
            ids.update(packed[at : at + _GUID_BYTES] for at in range(0, len(packed), _GUID_BYTES))
        return [key_text(profile) for profile in sorted(ids)]

    async def notes(self, *, dry_run: bool) -> list[str]:
        """Return the names of all notes; also of those that dry runs left which ended before they counted."""
        return [entity.row async for entity in self._notes("", dry_run, ("RowKey",))]

    async def forget(self, notes: Iterable[str], *, dry_run: bool) -> None:
        """Remove notes by their names. The caller makes sure that none of them is another run's that works now."""
        gate = asyncio.Semaphore(DELETES_AT_ONCE)

        async def delete(note: str) -> None:
            async with gate:
                await self._tables.delete(HASHES, self._partition(dry_run), note)

        await asyncio.gather(*(delete(note) for note in notes))

    def _notes(self, run: str, dry_run: bool, select: Sequence[str]) -> AsyncIterator[Entity]:
        """Real runs share their notes: an interrupted run leaves them to the next one."""
        first = f"{run}_" if dry_run and run else ""
        end = f"{first}~" if first else None
        return self._tables.query(HASHES, self._partition(dry_run), first=first, end=end, select=select)

    def _partition(self, dry_run: bool) -> str:
        return f"{self._environment}-touches{'-dry' if dry_run else ''}"


def _name(number: int) -> str:
    return f"p{number:02}"
