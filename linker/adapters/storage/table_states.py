"""What is remembered about source tables between runs: the state, the first link, what was unlinked, and what waits.

Profiles that got newly linked rows wait for their touch in table `linkerhashes`. Pages note them, and two pages may share a
profile, so a reader sees each once. They are packed in slices by a hash of the id: a slice is read alone, so memory holds
one part of them, however many there are. Everything else is in `linkerstatus`.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from linker.adapters.storage.block_store import HASHES
from linker.adapters.storage.documents import Documents
from linker.core.errors import AlreadyThereError, ChangedError, ConflictError
from linker.core.keys import key_text
from linker.core.linking.mapping_scan import TableState
from linker.core.model import WIRE
from linker.core.permissions.automations import Estimate
from linker.core.permissions.write_permission import Approval
from linker.core.ports import Entity, Tables

VERSION_1 = "plan-"  # rows of version 1, which remembered key ranges


class TableStates:
    """What is remembered about each source table."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def load(self, table: str) -> tuple[TableState, str] | None:
        """Return the state of a table and its ETag, None when there is none."""
        return await self._documents.load(TableState, f"table-{table}")

    async def save(self, table: str, state: TableState, etag: str | None) -> str:
        """Save a state and return its ETag. Raises ChangedError when another run changed it."""
        if etag is not None:
            return await self._documents.save(f"table-{table}", state, etag)
        try:
            return await self._documents.insert(f"table-{table}", state)
        except AlreadyThereError as error:
            raise ChangedError(str(error)) from error

    async def is_of_version_1(self, table: str) -> bool:
        """Return whether version 1 linked the table and nothing newer did."""
        return table in await self._of_version_1()

    async def forget_version_1(self, table: str) -> None:
        """Remove what version 1 remembered of a table; its hash blocks are removed by Blocks."""
        await self._documents.delete(VERSION_1 + table)

    async def tables(self) -> list[str]:
        """Return the tables that were linked, wholly or in part, by any version."""
        names = [row.removeprefix("table-") for row in await self._documents.rows("table-")]
        states = {name: await self.load(name) for name in names}
        ours = [name for name, found in states.items() if found and (found[0].linked or found[0].epoch)]
        return sorted({*ours, *await self._of_version_1()})

    async def _of_version_1(self) -> list[str]:
        return [row.removeprefix(VERSION_1) for row in await self._documents.rows(VERSION_1)]


@dataclass(frozen=True, slots=True)
class FirstLink:
    """The first link of a table as it was last held.

    `automations` are the ids of those that it would fire, or permission.UNREAD; `shown` is what an approver reads of them.
    """

    __pydantic_config__ = WIRE
    table: str
    held_since: str  # ISO 8601
    automations: tuple[str, ...]
    estimate: Estimate | None = None
    approval: Approval | None = None
    shown: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """What stands for all that an approver saw: it changes with each automation and with each word about one."""
        return sha256(json.dumps([sorted(self.automations), self.shown]).encode()).hexdigest()[:16]

    @property
    def waits(self) -> bool:
        """Whether it still needs an approval, as it was last held."""
        return self.approval is None or not set(self.automations) <= set(self.approval.automations)


class FirstLinks:
    """Which first links wait, and which were allowed."""

    def __init__(self, documents: Documents, now: Callable[[], str]) -> None:
        self._documents, self._now = documents, now

    async def load(self, table: str) -> FirstLink | None:
        """Return the first link of a table, None when it was never held."""
        found = await self._documents.load(FirstLink, _row(table))
        return found[0] if found else None

    async def hold(
        self, table: str, automations: tuple[str, ...], estimate: Estimate | None, shown: tuple[str, ...] = ()
    ) -> None:
        """Remember what an approval would allow. An approval for other automations stays on record."""

        def held(old: FirstLink | None) -> FirstLink:
            known = old or FirstLink(table, self._now(), ())
            return replace(known, automations=automations, estimate=estimate, shown=shown)

        await self._change(table, held)

    async def approve(self, table: str, by: str, digest: str) -> FirstLink | None:
        """Allow what was held and return it, None when nothing was. Repeating it renews who and when.

        Raises ConflictError when `digest` is not that of what is held by now: the approver saw something else.
        """
        if await self.load(table) is None:
            return None

        def approved(old: FirstLink | None) -> FirstLink:
            known = old or FirstLink(table, self._now(), ())
            if known.digest != digest:
                raise ConflictError(
                    f"What the first link of '{table}' fires is not what you saw. Nothing was approved. Look again, then "
                    "approve."
                )
            return replace(known, approval=Approval(by, self._now(), known.automations))

        return await self._change(table, approved)

    async def _change(self, table: str, change: Callable[[FirstLink | None], FirstLink]) -> FirstLink:
        while True:
            found = await self._documents.load(FirstLink, _row(table))
            new = change(found[0] if found else None)
            try:
                await (
                    self._documents.save(_row(table), new, found[1])
                    if found
                    else self._documents.insert(_row(table), new)
                )
            except (AlreadyThereError, ChangedError):  # an approval, or another look
                continue
            return new


def _row(table: str) -> str:
    return f"first-link-{table}"


MEMORY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class _Step:
    """How many links of a table a run cleared, and when it did so last (epoch s)."""

    __pydantic_config__ = WIRE
    run: str
    at: float
    rows: int


@dataclass(frozen=True, slots=True)
class _Steps:
    __pydantic_config__ = WIRE
    steps: tuple[_Step, ...] = ()


class UnlinkedRows:
    """Cleared links of each table. What an operator allowed is not remembered: it was decided on."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def add(self, table: str, run: str, rows: int, now: float) -> None:
        """Remember so many more rows of a run."""
        while True:
            found = await self._documents.load(_Steps, _row_of_cleared(table))
            old = found[0] if found else _Steps()
            mine = [step for step in old.steps if step.run == run]
            others = tuple(step for step in old.steps if step not in mine and step.at > now - MEMORY_S)
            step = _Step(run, now, rows + sum(one.rows for one in mine))
            new = replace(old, steps=(*others, step))
            try:
                await (
                    self._documents.save(_row_of_cleared(table), new, found[1])
                    if found
                    else self._documents.insert(_row_of_cleared(table), new)
                )
            except (AlreadyThereError, ChangedError):
                continue
            return

    async def before(self, table: str, run: str, now: float) -> int:
        """Return how many links other runs than this one cleared in the last 24 hours."""
        found = await self._documents.load(_Steps, _row_of_cleared(table))
        steps = found[0].steps if found else ()
        return sum(step.rows for step in steps if step.run != run and step.at > now - MEMORY_S)


def _row_of_cleared(table: str) -> str:
    return f"unlinked-{table}"


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
