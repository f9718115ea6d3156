"""Scanning the mapping of a table: read slice after slice of the streams of a scan, and name the shards to link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from linker.adapters.dataverse import Dataverse
from linker.adapters.storage import Scan, Slice, Stream
from linker.core.errors import (
    ChangedError,
    ConfigurationError,
    DataverseError,
    LinkerError,
    ThrottledError,
    TransientError,
)
from linker.core.linking.mapping_scan import (
    ScanChoice,
    TableState,
    bucket_bits,
    describe_scan,
)
from linker.core.linking.segments import SliceSegments
from linker.core.linking.shards import ClaimRow, group_by_shard, hash_wish
from linker.core.model import Run, Target
from linker.core.odata import MappingColumns
from linker.core.runs.activity_values import Shards, ShardsTask, SliceOutcome, SliceTask
from linker.deps import Deps
from linker.durable.boundary import check_may_continue
from linker.durable.staged import scan_rules, since_text

SLICE_S = 20.0  # a slice ends after this time: a crash costs no more, and cancelling stays quick
SLICE_ROWS = 250_000  # or after so many rows: about 20 MB packed
FINE_BITS = 8  # of the buckets into which a slice is sorted until its size is known: those of four full slices
MAX_RESTARTS = 3  # of a stream whose cursor is not accepted


async def scan_slice(deps: Deps, task: SliceTask) -> SliceOutcome:
    """Read, stage and commit the next slice of a stream. Safe to repeat, and to run twice at the same time."""
    dataverse = deps.dataverse()
    try:
        await check_may_continue(deps, task.run)
        return await _slice(deps, dataverse, task)
    except TransientError as error:
        return SliceOutcome(
            later_s=error.wait_s, later_reason=str(error)[:300], throttled=isinstance(error, ThrottledError)
        )
    except LinkerError as error:
        return SliceOutcome(failed=str(error)[:1000])


async def _slice(deps: Deps, dataverse: Dataverse, task: SliceTask) -> SliceOutcome:
    scan = await deps.staging.current(task.table, task.scan)
    if scan is None:
        raise ConfigurationError(f"A later run scans table '{task.table}'. Nothing was written.")
    stream, etag = await deps.staging.stream(task.table, scan, task.stream)
    if stream.done:
        return SliceOutcome(done=True)
    target, state = await deps.target(task.run, task.table), await deps.states.load(task.table)
    known = state[0] if state else TableState()
    fine = max(FINE_BITS, bucket_bits(known, stream.read, streams=scan.streams, done=False))
    reading = _Slice(deps, dataverse, target, scan, stream, SliceSegments(fine), await deps.salt_named(scan.secret))
    try:
        after = await reading.read()
    except DataverseError as error:
        if not stream.cursor or error.status not in (400, 404, 410):
            raise
        # A cursor of another server, version or time is not accepted for ever; the stream begins again from its start.
        after = replace(stream, cursor="", slices=(), read=0, restarts=stream.restarts + 1)
        if after.restarts > MAX_RESTARTS:
            raise
        committed = await deps.staging.commit(task.table, scan, task.stream, after, etag)
        return SliceOutcome() if committed else SliceOutcome(later_s=1.0, later_reason="Another attempt was faster.")
    reading.segments.coarsen(bucket_bits(known, after.read, streams=scan.streams, done=after.done))
    attempt = deps.new_id()
    await deps.staging.write(task.table, scan, task.stream, len(stream.slices), attempt, reading.segments)
    after = replace(after, slices=(*stream.slices, Slice(attempt, reading.segments.bits)))
    if not await deps.staging.commit(task.table, scan, task.stream, after, etag):
        return SliceOutcome(later_s=1.0, later_reason="Another attempt was faster.")
    await _show(deps, task, after.read)
    return SliceOutcome(done=after.done, rows=reading.segments.rows)


@dataclass(slots=True)
class _Slice:
    """One slice while it is read."""

    deps: Deps
    dataverse: Dataverse
    target: Target
    scan: Scan
    stream: Stream
    segments: SliceSegments
    salt: bytes

    async def read(self) -> Stream:
        """Read rows until time or room is used up; return the stream as it is afterwards, without this slice.

        What was read before a passing fault is kept: the next slice begins there, and meets what stays.
        """
        columns, until = MappingColumns.of(self.target), self.deps.clock() + SLICE_S
        link = self.stream.cursor or self._first_link(columns)
        seen = set[str]()
        while link:
            seen.add(link)
            try:
                rows, link = await self.dataverse.mapping_page(columns, self.stream.source, link)
            except TransientError:
                if len(seen) == 1:
                    raise
                break
            if link in seen:
                raise TransientError("Dataverse sent a link to the next rows twice, so their end would never come.")
            self._stage(rows)
            if self.deps.clock() >= until or self.segments.rows >= SLICE_ROWS:
                break
        return replace(self.stream, cursor=link, read=self.stream.read + self.segments.rows, done=not link)

    def _first_link(self, columns: MappingColumns) -> str:
        span, since = self.stream.span, since_text(self.scan.since)
        return self.dataverse.stream_path(columns, self.target, self.stream.source, span, since)

    def _stage(self, rows: Sequence[ClaimRow]) -> None:
        names_profile = self.scan.names_profile
        for row in rows:
            wish = 0 if row.key is None else hash_wish(row.key, row.claim, self.salt, names_profile=names_profile)
            self.segments.add(row, wish)


async def _show(deps: Deps, task: SliceTask, read: int) -> None:
    """Show how far the scan is; a run that is over or gone keeps its own words."""
    text = f"Reading the mapping of {task.table}: {read:,} rows so far."
    await deps.runs.advance(task.run, lambda run: run if run.ended_at else replace(run, status_detail=text))


async def plan_shards(deps: Deps, task: ShardsTask) -> Shards:
    """Name the shards to link, now that every stream of the scan was read, and remember how many rows there were.

    Repeating it gives the same answer: shards are named once, since a late delivery may come while they are linked.

    Raises TransientError when a stream is not complete.
    """
    found = await deps.staging.load(task.table)
    if found is None or found[0].id != task.scan:
        raise ConfigurationError(f"A later run scans table '{task.table}'. Nothing was written.")
    scan, etag = found
    streams = await deps.staging.streams(task.table, scan)
    if not all(stream.done for stream in streams):
        raise TransientError(f"The mapping of '{task.table}' is not read whole yet.")
    read = sum(stream.read for stream in streams)
    state = await _grown(deps, task, scan, read)
    if not scan.planned:
        scan = replace(scan, planned=True, bits=state.bits, earlier_bits=state.earlier_bits)
        if not scan.full:
            scan = replace(scan, shards=await _find_changed(deps, task, scan, streams))
        try:
            await deps.staging.save(task.table, scan, etag)
        except ChangedError as error:
            raise TransientError("Another attempt named the shards, or a later run scans the table.") from error
    await _tell(deps, task, scan, read, state)
    return Shards(scan.count, canary=not state.proven and not task.dry_run)


async def _grown(deps: Deps, task: ShardsTask, scan: Scan, read: int) -> TableState:
    """Return the table's state with shards for the rows that were read. A dry run saves nothing."""
    found = await deps.states.load(task.table)
    state = found[0] if found else TableState()
    if not scan.full:
        return state
    if task.dry_run:
        return state.grown_to(read)
    return await deps.change_state(task.table, lambda old: old.grown_to(read))


async def _find_changed(deps: Deps, task: ShardsTask, scan: Scan, streams: Sequence[Stream]) -> tuple[int, ...]:
    """Return the shards with changed rows, rows to revisit, or rows whose link is not confirmed."""
    numbers = {shard.number for shard in group_by_shard(map(bytes.fromhex, scan.revisit), scan.bits)}
    headers = await deps.blocks.headers(task.table)
    numbers |= {
        int(name[4:], 16)
        for name, header in headers.items()
        if header.unconfirmed and name.startswith(f"s{scan.bits:02}-")
    }
    async for bucket, bits in deps.staging.buckets(task.table, scan, streams):
        if bits >= scan.bits:
            numbers.add(bucket >> (bits - scan.bits))
        else:
            numbers.update(range(bucket << (scan.bits - bits), (bucket + 1) << (scan.bits - bits)))
    return tuple(sorted(numbers))


async def _tell(deps: Deps, task: ShardsTask, scan: Scan, read: int, state: TableState) -> None:
    choice = ScanChoice(scan.since, scan.reason)
    text = describe_scan(choice, read, state, scan_rules(deps), deps.clock())

    def change(run: Run) -> Run:
        if run.ended_at:
            return run
        tables = tuple(
            replace(t, scan=text, full_scan=choice.full, rows_total=read) if t.table == task.table else t
            for t in run.tables
        )
        return replace(run, tables=tables, status_detail="")

    await deps.runs.advance(task.run, change)
