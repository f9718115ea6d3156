"""Staged mapping rows (table `linkerstaging`) and how far each stream of a scan came (`linkerstatus`).

A slice of a scan writes its segments under the name of its attempt, and then commits: it saves the stream with that name, on
the ETag that it read. Readers take only segments of committed attempts. So an activity that is delivered twice, or that
overlaps another one, neither repeats nor loses a row.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from linker.adapters.storage.documents import Documents
from linker.core.errors import AlreadyThereError, ChangedError, StateError
from linker.core.linking.mapping_scan import KeySpan
from linker.core.linking.segments import INDEX_NAMES, Segment, SliceSegments
from linker.core.linking.shards import Shard
from linker.core.model import WIRE, Source
from linker.core.ports import Properties, Tables

STAGING = "linkerstaging"
# A scan is spread over 16 partitions: one takes about 2,000 entities/s (docs/reference/azure.md 8.1).
PARTITION_BITS = 4
PARTITIONS_AT_ONCE = 4


class Slice(NamedTuple):
    """A committed slice: the attempt that wrote its segments, and the bits by which it sorted rows into buckets."""

    attempt: str
    bits: int


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a scan. `cursor` is the opaque link to its next rows, empty at its start.

    `restarts` counts how often it began again because its cursor was not accepted; earlier slices then count no more.
    """

    __pydantic_config__ = WIRE
    source: Source
    span: KeySpan = KeySpan()
    cursor: str = ""
    slices: tuple[Slice, ...] = ()
    read: int = 0
    done: bool = False
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan of one table. `since` is None for all rows; `watermark` is the newest change when it began. Epoch seconds.

    `revisit` are rows, as hex, that a delta scan looks up because of what earlier runs left open. A scan that continues the one
    of a dead run has an id of its own, and streams and rows under the id in `origin`.
    """

    __pydantic_config__ = WIRE
    id: str
    run: str
    since: float | None
    reason: str
    began: float
    watermark: float = 0.0
    newest_profile: float = 0.0
    streams: int = 0
    sources: tuple[Source, ...] = ()
    names_profile: bool = False
    secret: str = ""  # name of the salt that its wish hashes are made with
    revisit: tuple[str, ...] = ()
    question: str = ""  # digest of what it asks Dataverse
    origin: str = ""
    ended: bool = False  # its rows were removed, or are about to be
    planned: bool = False  # every stream is read, and the shards are named; nothing of it changes any more
    bits: int = 0  # of its shards
    earlier_bits: tuple[int, ...] = ()
    shards: tuple[int, ...] = ()  # that a delta scan links

    @property
    def full(self) -> bool:
        """Whether every mapping row is read."""
        return self.since is None

    @property
    def place(self) -> str:
        """The id under which its streams and rows are stored."""
        return self.origin or self.id

    def shard(self, position: int) -> Shard:
        """Return a shard to link: any of them after a full scan, one of those that the scan touched after a delta scan."""
        return Shard(self.bits, position if self.full else self.shards[position])

    @property
    def count(self) -> int:
        """How many shards there are to link."""
        return 1 << self.bits if self.full else len(self.shards)


class Staging:
    """Scans of all tables. A table has one scan at a time; the next one replaces it."""

    def __init__(self, tables: Tables, documents: Documents) -> None:
        self._tables, self._documents = tables, documents
        self._planned: dict[str, Scan] = {}  # that this process remembers, by table
        self._streams: dict[str, tuple[str, list[Stream]]] = {}  # of planned scans, with their ids

    async def current(self, table: str, scan: str, *, again: bool = False) -> Scan | None:
        """Return a table's scan if it is still the current one; `again` reads it from storage in any case.

        Only a planned scan is remembered: until then, another process may change it.
        """
        known = None if again else self._planned.get(table)
        if known is None or known.id != scan:
            known = await self.scan(table)
        if known is None or known.id != scan:
            return None
        if known.planned:
            self._planned[table] = known
        return known

    async def scan(self, table: str) -> Scan | None:
        """Return the current scan of a table."""
        found = await self.load(table)
        return found[0] if found else None

    async def load(self, table: str) -> tuple[Scan, str] | None:
        """Return the current scan of a table and its ETag."""
        return await self._documents.load(Scan, f"scan-{table}")

    async def open(
        self, table: str, scan: Scan, streams: Sequence[Stream], before: tuple[Scan, str] | None = None
    ) -> None:
        """Replace the scan that was read with its ETag: what it staged goes first, so that nothing is left without a name.

        Raises ChangedError when another one was opened meanwhile.
        """
        if before is not None:
            before = await self._mark_ended(table, *before)
            await self.drop(table, before[0])
        for number, stream in enumerate(streams):
            await self._documents.save(_stream_row(table, scan.place, number), stream)
        await self.save(table, scan, before[1] if before else None)

    async def end(self, table: str, scan: Scan) -> None:
        """Remove the mapping rows that a scan staged, unless another run continues it."""
        found = await self.load(table)
        if found is None or found[0].id != scan.id:
            return
        with contextlib.suppress(ChangedError):  # another run continues it, or replaces it and removes the rows
            await self._mark_ended(table, *found)
            await self.drop_rows(table, scan)

    async def _mark_ended(self, table: str, scan: Scan, etag: str) -> tuple[Scan, str]:
        """Say that the rows of a scan go, before they do: no run may continue it from then on. Raises ChangedError."""
        if scan.ended:
            return scan, etag
        ended = replace(scan, ended=True)
        return ended, await self._documents.save(f"scan-{table}", ended, etag)

    async def save(self, table: str, scan: Scan, etag: str | None) -> None:
        """Save a scan over what was read with this ETag, None for nothing. Raises ChangedError."""
        try:
            if etag is None:
                await self._documents.insert(f"scan-{table}", scan)
            else:
                await self._documents.save(f"scan-{table}", scan, etag)
        except AlreadyThereError as error:
            raise ChangedError(str(error)) from error

    async def stream(self, table: str, scan: Scan, number: int) -> tuple[Stream, str]:
        """Return a stream and its ETag. Raises StateError when it is gone: a later scan replaced it."""
        found = await self._documents.load(Stream, _stream_row(table, scan.place, number))
        if found is None:
            raise StateError(f"A later run scans table '{table}' again. This scan ended and nothing was written.")
        return found

    async def streams(self, table: str, scan: Scan) -> list[Stream]:
        """Return all streams of a scan in order."""
        return [(await self.stream(table, scan, number))[0] for number in range(scan.streams)]

    async def planned_streams(self, table: str, scan: Scan) -> list[Stream]:
        """Return the streams of a planned scan, which this process remembers: they do not change any more."""
        known = self._streams.get(table)
        if known is None or known[0] != scan.id:
            known = self._streams[table] = (scan.id, await self.streams(table, scan))
        return known[1]

    async def write(
        self, table: str, scan: Scan, number: int, slice_number: int, attempt: str, rows: SliceSegments
    ) -> None:
        """Write the segments of one attempt at a slice. They count only once `commit` names the attempt."""
        by_partition: dict[str, list[tuple[str, Properties]]] = defaultdict(list)
        for bucket, part, properties in rows:
            name = f"{rows.bits:02}-{bucket:05x}-{number:04}-{slice_number:05}-{attempt}-{part:03}"
            by_partition[self._partition(table, scan, bucket, rows.bits)].append((name, properties))
        await _in_turns(
            self._tables.write_many(STAGING, partition, entities) for partition, entities in by_partition.items()
        )

    async def commit(self, table: str, scan: Scan, number: int, stream: Stream, etag: str) -> bool:
        """Save a stream over what was read with `etag`; return False when another attempt was faster."""
        row = _stream_row(table, scan.place, number)
        try:
            await self._documents.save(row, stream, etag)
        except ChangedError:
            found = await self._documents.load(Stream, row)
            return found is not None and found[0] == stream  # our own save, whose answer was lost
        return True

    async def segments(
        self, table: str, scan: Scan, streams: Sequence[Stream], shard: Shard, *, index_only: bool = False
    ) -> AsyncIterator[Segment]:
        """Yield the committed segments that hold rows of a shard; they may hold rows of its neighbors too."""
        select = ("RowKey", *INDEX_NAMES) if index_only else ()
        committed = _find_committed(streams)
        for bits in sorted({piece.bits for stream in streams for piece in stream.slices}):
            buckets = shard.buckets(bits)
            first, end = f"{bits:02}-{buckets[0]:05x}-", f"{bits:02}-{buckets[-1]:05x}."  # "." follows "-"
            for partition in self._partitions(table, scan, buckets, bits):
                async for entity in self._tables.query(STAGING, partition, first=first, end=end, select=select):
                    _, _, number, at, attempt, _ = entity.row.split("-")
                    if (int(number), int(at), attempt) in committed:
                        yield Segment.read(bits, entity.properties)

    async def buckets(self, table: str, scan: Scan, streams: Sequence[Stream]) -> AsyncIterator[tuple[int, int]]:
        """Yield (bucket, bits) of every committed segment, from its name alone."""
        committed = _find_committed(streams)
        for digit in range(1 << PARTITION_BITS) if any(stream.read for stream in streams) else ():
            async for entity in self._tables.query(STAGING, self._name(table, scan, digit), select=("RowKey",)):
                bits, bucket, number, at, attempt, _ = entity.row.split("-")
                if (int(number), int(at), attempt) in committed:
                    yield int(bucket, 16), int(bits)

    async def drop(self, table: str, scan: Scan) -> None:
        """Remove everything that a scan staged."""
        await self.drop_rows(table, scan)
        for number in range(scan.streams):
            await self._documents.delete(_stream_row(table, scan.place, number))

    async def drop_rows(self, table: str, scan: Scan) -> None:
        """Remove the mapping rows that a scan staged. They name customers, so they stay no longer than they are needed."""
        await _in_turns(self._drop_partition(self._name(table, scan, digit)) for digit in range(1 << PARTITION_BITS))

    async def _drop_partition(self, partition: str) -> None:
        rows = [entity.row async for entity in self._tables.query(STAGING, partition, select=("RowKey",))]
        if rows:
            await self._tables.delete_many(STAGING, partition, rows)

    def _partitions(self, table: str, scan: Scan, buckets: range, bits: int) -> list[str]:
        digits = sorted({_digit(bucket, bits) for bucket in (buckets.start, buckets.stop - 1)})
        return [self._name(table, scan, digit) for digit in range(digits[0], digits[-1] + 1)]

    def _partition(self, table: str, scan: Scan, bucket: int, bits: int) -> str:
        return self._name(table, scan, _digit(bucket, bits))

    def _name(self, table: str, scan: Scan, digit: int) -> str:
        return f"{self._documents.partition}-{table}-{scan.place}-{digit:x}"


async def _in_turns(jobs: Iterable[object]) -> None:
    room = asyncio.Semaphore(PARTITIONS_AT_ONCE)

    async def do(job: object) -> None:
        async with room:
            await job  # type: ignore[misc]  # each is a coroutine

    await asyncio.gather(*map(do, jobs))


def _find_committed(streams: Sequence[Stream]) -> set[tuple[int, int, str]]:
    return {(number, at, one.attempt) for number, stream in enumerate(streams) for at, one in enumerate(stream.slices)}


def _digit(bucket: int, bits: int) -> int:
    return bucket >> (bits - PARTITION_BITS) if bits >= PARTITION_BITS else bucket << (PARTITION_BITS - bits)


def _stream_row(table: str, scan: str, number: int) -> str:
    return f"stream-{table}-{scan}-{number:04}"
