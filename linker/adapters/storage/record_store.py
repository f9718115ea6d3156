"""Records for people, page by page: who did what by hand, and rows of a run.

Table `linkeraudit` has the actions. Table `linkererrors` has the rejected and deferred rows of a run, and the planned changes
of a dry run.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from linker.adapters import telemetry
from linker.adapters.storage.documents import Documents, salt_of
from linker.adapters.storage.table_guards import cut_text, join_text
from linker.adapters.storage.table_guards import key_text as safe_key
from linker.core.keys import row_key
from linker.core.model import WIRE, RowKey
from linker.core.ports import Entity, Tables
from linker.core.records import NO_KEY, ORPHANED, AuditEntry, PlannedChange, RowIssue, RowRecord
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


# ---- rows of a run ----

ERRORS = "linkererrors"
ISSUES_AT_ONCE = 16
MAX_ISSUES = 1_000  # of one page: enough to see what is wrong, and the counts stay exact
_KEY = ("RowKey",)
MAX_SHOWN = 3  # characters of a key that is not an id
# Characters of a row key: Table Storage takes 512 (docs/reference/azure.md 8.1), and the table's name stands before it
MAX_KEY = 400


@dataclass(frozen=True, slots=True)
class _Looked:
    """The last run that looked at every row of a table, and when it had: what it did not meet was over by then."""

    __pydantic_config__ = WIRE
    run: str = ""
    at: str = ""

    def follows(self, record: RowRecord) -> bool:
        """Whether a row with this record has been in order since."""
        return record.run != self.run and record.seen < self.at


class Issues:
    """Rejected and deferred rows. `now` gives the time as ISO 8601 in UTC."""

    def __init__(self, tables: Tables, documents: Documents, now: Callable[[], str]) -> None:
        self._tables, self._documents, self._now = tables, documents, now
        self._salt = b""

    async def save(self, run: str, issues: Sequence[RowIssue], *, dry_run: bool = False) -> None:
        """Save the row issues of one page of one table, MAX_ISSUES of them; the same row again overwrites.

        A row that had an issue in the last look at its table too keeps the time when it was first seen and counts one more
        attempt. A dry run does not count as an attempt.
        """
        if not issues:
            return
        issues = await self._without_people(issues)
        if not dry_run:
            telemetry.issues(issues)
        kept = {row_name(issue.row): issue for issue in issues[:MAX_ISSUES]}
        table, gate = issues[0].table, asyncio.Semaphore(ISSUES_AT_ONCE)
        known = await self._not_over(table, kept)

        async def save_one(name: str, issue: RowIssue) -> None:
            async with gate:
                await self._save_one(
                    run, name, self._count_attempt(issue, run, known.get(name), dry_run=dry_run), dry_run
                )

        await asyncio.gather(*(save_one(name, issue) for name, issue in kept.items()))

    async def _without_people(self, issues: Sequence[RowIssue]) -> list[RowIssue]:
        """Return issues whose row is an id, or a text that names no person: an odd key may be a name or a mail address."""
        if all(row_key(issue.row) is not None for issue in issues):
            return list(issues)
        self._salt = self._salt or await salt_of(self._documents)
        return [replace(issue, row=mask_key(issue.row, self._salt)) for issue in issues]

    async def note_look(self, table: str, run: str) -> None:
        """Remember that a run has looked at every row of a table: what it did not meet again is over."""
        await self._documents.save(f"looked-{table}", _Looked(run, self._now()))

    async def of_run(self, run: str, after: str = "") -> AsyncIterator[tuple[str, RowIssue]]:
        """Yield the row issues of a run that come after a key, each with its own key, in their order."""
        async for entity in self._tables.query(ERRORS, run, first=after):
            if entity.row != after:
                yield entity.row, loads(RowIssue, join_text(entity))

    async def last_of(self, table: str, row: str) -> RowRecord | None:
        """Return the last issue of a row, None when there is none or it has expired."""
        entity = await self._tables.get(ERRORS, self._partition(table), row_name(row))
        return loads(RowRecord, join_text(entity)) if entity else None

    async def open_rows(self, table: str, most: int) -> list[RowKey]:
        """Return the rows of a table that were rejected or deferred and have not been in order since, at most so many."""
        found = await self._documents.load(_Looked, f"looked-{table}")
        looked, keys = found[0] if found else _Looked(), list[RowKey]()
        async for entity in self._tables.query(ERRORS, self._partition(table)):
            record = loads(RowRecord, join_text(entity))
            over = looked.follows(record) or record.issue.code == ORPHANED  # an orphaned link has no mapping row
            key = None if over else row_key(record.issue.row)
            keys += [] if key is None else [key]
            if len(keys) == most:
                break
        return keys

    async def delete_of_run(self, run: str, most: int) -> int:
        """Remove row issues of a run, at most so many; return how many there were to remove."""
        return await self._delete(run, (entity async for entity in self._tables.query(ERRORS, run, select=_KEY)), most)

    async def delete_seen_before(self, table: str, stamp: str, most: int) -> int:
        """Remove what is remembered of rows that had no issue since a time (ISO 8601); return how many there were."""
        partition = self._partition(table)
        found = self._tables.query(ERRORS, partition)
        old = (entity async for entity in found if loads(RowRecord, join_text(entity)).seen < stamp)
        return await self._delete(partition, old, most)

    async def _delete(self, partition: str, entities: AsyncIterator[Entity], most: int) -> int:
        rows: list[str] = []
        async for entity in entities:
            if len(rows) == most:
                break
            rows.append(entity.row)
        for at in range(0, len(rows), ISSUES_AT_ONCE):
            some = rows[at : at + ISSUES_AT_ONCE]
            await asyncio.gather(*(self._tables.delete(ERRORS, partition, row) for row in some))
        return len(rows)

    def _count_attempt(self, issue: RowIssue, run: str, known: RowRecord | None, *, dry_run: bool) -> RowIssue:
        before = known.issue.attempts if known else 0
        tried = before if dry_run or (known is not None and known.run == run) else before + 1
        return replace(issue, first_seen=known.issue.first_seen if known else self._now(), attempts=tried)

    async def _save_one(self, run: str, name: str, issue: RowIssue, dry_run: bool) -> None:
        await self._tables.replace(ERRORS, run, f"{issue.table}_{name}", cut_text(dumps(issue)))
        if not dry_run:
            record = RowRecord(issue, run, self._now())
            await self._tables.replace(ERRORS, self._partition(issue.table), name, cut_text(dumps(record)))

    async def _not_over(self, table: str, names: Iterable[str]) -> Mapping[str, RowRecord]:
        """Return what is remembered of rows that were not in order since: one query, the rows of a page lie side by side."""
        found = await self._documents.load(_Looked, f"looked-{table}")
        looked, wanted = found[0] if found else _Looked(), set(names)
        entities = self._tables.query(ERRORS, self._partition(table), first=min(wanted), end=max(wanted) + "~")
        records = {entity.row: loads(RowRecord, join_text(entity)) async for entity in entities if entity.row in wanted}
        return {name: record for name, record in records.items() if not looked.follows(record)}

    def _partition(self, table: str) -> str:
        return f"{self._documents.partition}-{table}"


def mask_key(row: str, salt: bytes) -> str:
    """Return a row's key if it is an id, else the first letters of what stands in its place, its length and a keyed hash.

    That is enough to find the row in the mapping and to tell two such rows apart, and it does not give the text away.
    """
    if row == NO_KEY or row_key(row) is not None:
        return row
    mark = hmac.digest(salt, row.encode(errors="surrogatepass"), "sha256").hex()[:10]
    shown = row[:MAX_SHOWN].encode(errors="replace").decode()
    return f"{shown}... ({len(row)} characters, {mark})"


def row_name(row: str) -> str:
    """Return a row's key, a guid or what stood in its place, as part of a key in Table Storage."""
    return safe_key(row)[:MAX_KEY]


SAMPLE_ROWS = 3  # of one page, of each kind of change


@dataclass(frozen=True, slots=True)
class _Sample:
    __pydantic_config__ = WIRE
    changes: tuple[PlannedChange, ...]


class Samples:
    """Sampled changes of dry runs, an entity a page."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save(self, run: str, page: tuple[str, str], *kinds: Iterable[PlannedChange]) -> None:
        """Save the first changes of each kind on a page, given as table and name."""
        changes = tuple(change for kind in kinds for change in islice(kind, SAMPLE_ROWS))
        if changes:
            await self._tables.replace(ERRORS, _partition(run), "_".join(page), cut_text(dumps(_Sample(changes))))

    async def of_run(self, run: str, table: str) -> AsyncIterator[PlannedChange]:
        """Yield the sampled changes of a table, page by page."""
        async for entity in self._tables.query(ERRORS, _partition(run), first=f"{table}_", end=f"{table}_~"):
            for change in loads(_Sample, join_text(entity)).changes:
                yield change

    async def delete_of_run(self, run: str) -> None:
        """Remove the samples of a run: at most one entity for each of its pages."""
        async for entity in self._tables.query(ERRORS, _partition(run), select=("RowKey",)):
            await self._tables.delete(ERRORS, _partition(run), entity.row)


def _partition(run: str) -> str:
    return f"{run}-sample"
