"""State in Table Storage beside the run lock: hash blocks, plans, runs, row issues (design section 4).

Each class owns the keys of its entities. Values are JSON of frozen dataclasses in one property; blocks are packed bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import zlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, replace

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
from linker.errors import AlreadyThereError, ChangedError, StateError
from linker.model import WIRE, RowIssue, RowKey, Run, Target
from linker.pages import Plan
from linker.ports import Entity, Tables
from linker.status import may_move
from linker.table_rules import key_text as safe_key
from linker.wire import dumps, loads

HASHES, STATUS, ERRORS = "linkerhashes", "linkerstatus", "linkererrors"
SHARDS = 16  # partitions a table's blocks are spread over: one partition takes about 2,000 entities/s (azure.md 8.1)
TEXT_CHUNK = 30_000  # characters; a string property holds 32,768 (azure.md 8.1)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What is remembered about a source table: its pages, and how far a full run came.

    `epoch` names the full run that is under way or was interrupted; empty when the next run may be incremental. `linked`
    says that one full run went through the whole table.
    """

    __pydantic_config__ = WIRE
    plan: Plan
    epoch: str = ""
    linked: bool = False
    schema: str = ""  # fingerprint of the profile table when the last full run began


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


class Documents:
    """JSON values of one partition of `linkerstatus`, cut into properties that fit."""

    def __init__(self, tables: Tables, partition: str) -> None:
        self._tables, self.partition = tables, partition

    async def load[T](self, kind: type[T], row: str) -> tuple[T, str] | None:
        """Return a value and its ETag, None when there is none."""
        entity = await self._tables.get(STATUS, self.partition, row)
        return (loads(kind, _joined(entity)), entity.etag) if entity else None

    async def save(self, row: str, value: object, etag: str | None = None) -> str:
        """Save a value: over what was read with `etag`, or over anything. Raises ChangedError."""
        return await self._tables.replace(STATUS, self.partition, row, _cut(dumps(value)), etag=etag)

    async def insert(self, row: str, value: object) -> str:
        """Save a value that must not be there yet. Raises AlreadyThereError."""
        return await self._tables.insert(STATUS, self.partition, row, _cut(dumps(value)))

    async def delete(self, row: str) -> None:
        """Remove a value."""
        await self._tables.delete(STATUS, self.partition, row)

    async def rows(self, prefix: str) -> list[str]:
        """Return the row keys that start with `prefix`, ascending."""
        found = self._tables.query(STATUS, self.partition, first=prefix, end=prefix + "~", select=("RowKey",))
        return [entity.row async for entity in found]


class Plans:
    """What is remembered about each source table."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def load(self, table: str) -> tuple[TablePlan, str] | None:
        """Return the stored plan of a table and its ETag."""
        return await self._documents.load(TablePlan, f"plan-{table}")

    async def save(self, table: str, plan: TablePlan, etag: str | None) -> str:
        """Save a plan. Raises ChangedError when another run changed it."""
        if etag is not None:
            return await self._documents.save(f"plan-{table}", plan, etag)
        try:
            return await self._documents.insert(f"plan-{table}", plan)
        except AlreadyThereError as error:
            raise ChangedError(str(error)) from error

    async def tables(self) -> list[str]:
        """Return the tables that have a stored plan."""
        return [row.removeprefix("plan-") for row in await self._documents.rows("plan-")]


@dataclass(frozen=True, slots=True)
class TaskState:
    """The status entity that mirrors the task: which run it shows."""

    __pydantic_config__ = WIRE
    run: str = ""


class Runs:
    """Runs, the task that mirrors them, and what a run settled about its tables."""

    def __init__(self, documents: Documents, now: Callable[[], str]) -> None:
        self._documents, self._now = documents, now

    async def create(self, run: Run) -> None:
        """Save a run that was just promised; one that is there stays as it is (a repeated or merged request)."""
        stamp = self._now()
        try:
            await self._documents.insert(f"run-{run.id}", replace(run, requested_at=stamp, last_updated=stamp))
        except AlreadyThereError:
            return

    async def load(self, run: str) -> Run | None:
        """Return a run by its id."""
        found = await self._documents.load(Run, f"run-{run}")
        return found[0] if found else None

    async def advance(self, run: str, change: Callable[[Run], Run]) -> Run:
        """Apply a change to a run and return it. A change that is no legal move, such as news of an ended run, is dropped.

        Raises StateError when there is no such run.
        """
        while True:
            found = await self._documents.load(Run, f"run-{run}")
            if found is None:
                raise StateError(f"There is no run '{run}'.")
            old, etag = found
            new = replace(change(old), last_updated=self._now())
            if not may_move(old.status, new.status) or old.ended_at is not None:
                return old
            try:
                await self._documents.save(f"run-{run}", new, etag)
            except ChangedError:
                continue
            return new

    async def show(self, run: str) -> None:
        """Make the task mirror this run."""
        await self._documents.save("task", TaskState(run))

    async def shown(self) -> Run | None:
        """Return the run that the task mirrors."""
        found = await self._documents.load(TaskState, "task")
        return await self.load(found[0].run) if found else None

    async def save_target(self, run: str, target: Target) -> None:
        """Remember how a table is written in this run."""
        await self._documents.save(f"target-{run}-{target.table}", target)

    async def target(self, run: str, table: str) -> Target:
        """Return how a table is written in this run. Raises StateError when it was never prepared."""
        found = await self._documents.load(Target, f"target-{run}-{table}")
        if found is None:
            raise StateError(f"Run '{run}' has not prepared table '{table}'.")
        return found[0]


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


ISSUES_AT_ONCE = 16


class Issues:
    """Rejected and deferred rows of each run."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save(self, run: str, issues: Sequence[RowIssue]) -> None:
        """Save row issues; the same row again overwrites."""
        gate = asyncio.Semaphore(ISSUES_AT_ONCE)

        async def save_one(issue: RowIssue) -> None:
            async with gate:
                row = f"{issue.table}_{safe_key(issue.row)[:400]}"
                await self._tables.replace(ERRORS, run, row, _cut(dumps(issue)))

        await asyncio.gather(*(save_one(issue) for issue in issues))

    async def of_run(self, run: str) -> AsyncIterator[RowIssue]:
        """Yield the row issues of a run."""
        async for entity in self._tables.query(ERRORS, run):
            yield loads(RowIssue, _joined(entity))


async def salt_of(documents: Documents) -> bytes:
    """Return the environment's salt for row hashes, made at first use. Without it a stored hash tells nothing."""
    found = await documents.load(str, "salt")
    if found is None:
        with contextlib.suppress(AlreadyThereError):  # another host was faster; its salt is the one
            await documents.insert("salt", secrets.token_hex(16))
        found = await documents.load(str, "salt")
    if found is None:
        raise StateError("The salt of the row hashes could not be saved.")
    return bytes.fromhex(found[0])


def _cut(text: str) -> dict[str, str]:
    return {
        f"j{number:02}": text[start : start + TEXT_CHUNK]
        for number, start in enumerate(range(0, len(text), TEXT_CHUNK))
    }


def _joined(entity: Entity) -> str:
    names = sorted(name for name in entity.properties if len(name) == 3 and name[0] == "j")
    return "".join(str(entity.properties[name]) for name in names)
