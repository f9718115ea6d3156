"""What a scan is about and what it found for one shard: the scan is opened, its rows are staged, and each leads to a profile.

A delta scan looks up what its rows alone do not say. A scan that a dead run left is continued where it can be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from linker.adapters import telemetry
from linker.adapters.dataverse import Dataverse
from linker.adapters.storage import Scan, Stream
from linker.core.errors import (
    ChangedError,
    ConfigurationError,
    DataverseError,
)
from linker.core.linking.hash_blocks import HashBlock, Header, confirms, digest_records, is_confirmed, name_salt
from linker.core.linking.mapping_scan import (
    KeySpan,
    ScanChoice,
    ScanRules,
    TableState,
    cut_spans,
    streams_for,
)
from linker.core.linking.segments import Segment
from linker.core.linking.shards import Claim, ClaimRow, Shard, Wanted, decide_claims, hash_wishes
from linker.core.model import Link, RowKey, Target
from linker.core.odata import MappingColumns
from linker.core.runs.activity_values import ShardTask
from linker.core.serialization import iso
from linker.deps import Deps


async def current_scan(deps: Deps, task: ShardTask, *, again: bool = False) -> Scan:
    """Return the scan that the shard is of. Raises ConfigurationError when a later one replaced it, or when it has ended:
    its rows are removed then, and a row that is missing would count as one that left the mapping.
    """
    scan = await deps.staging.current(task.table, task.scan, again=again)
    if scan is None or scan.ended:
        raise ConfigurationError(
            f"The work on table '{task.table}' ended, or a later run took it over, while shard {task.number} waited. "
            "Nothing was written."
        )
    return scan


@dataclass(frozen=True, slots=True)
class StagedShard:
    """The mapping rows of one shard in one scan."""

    deps: Deps
    dataverse: Dataverse
    target: Target
    scan: Scan
    shard: Shard
    salt: bytes
    full: bool  # every mapping row is read

    async def count_settled(self, header: Header, *, trusted: bool) -> int | None:
        """Return how many rows the shard has when nothing changed since its block was saved; None when something may have,
        or when the block is not trusted.
        """
        fresh = trusted and header.known and not header.unconfirmed and self.full
        rows = await self._rows_if_equal(header.wishes) if fresh else None
        telemetry.block("read" if rows is None else "skipped")
        return rows

    async def _rows_if_equal(self, digest: str) -> int | None:
        """Return how many rows the shard has when their wishes have this digest, read from the index alone; else None."""
        records: set[bytes] = set()
        async for segment in self._segments(index_only=True):
            if segment.invalid:
                return None
            records.update(segment.records(self.shard))
        return len(records) if digest_records(records) == digest else None

    async def find_wanted(self, block: HashBlock) -> Wanted:
        """Return what the mapping asks for. After a delta scan these are the changed rows and those that are still open.

        A delta scan shows one mapping row of several that may claim a source row. So each row that differs from the block is
        looked up again with all of its claims, as are rows that earlier runs left open.
        """
        rows = [row async for segment in self._segments() for row in segment.rows_of(self.shard)]
        if self.full:
            return decide_claims(rows)
        staged = decide_claims(rows)
        keys = {*self._differing(staged.claims, block), *self._open(block)}
        found = await self._look_up(keys) if keys else []
        known = {row.key for row in found}
        return decide_claims([*(row for row in rows if row.key is None or row.key not in known), *found])

    def _differing(self, claims: Mapping[RowKey, Claim], block: HashBlock) -> Iterable[RowKey]:
        for key, wish in hash_wishes(claims, self.salt, names_profile=self.scan.names_profile).items():
            if not confirms(block.entries.get(key, ()), wish):
                yield key

    def _open(self, block: HashBlock) -> Iterable[RowKey]:
        yield from (key for key, row in block.entries.items() if not is_confirmed(row))
        yield from (key for key in map(bytes.fromhex, self.scan.revisit) if self.shard.holds(key))

    async def _look_up(self, keys: Iterable[RowKey]) -> list[ClaimRow]:
        columns = MappingColumns.of(self.target)
        return await self.dataverse.claims_of(columns, self.target, self.scan.sources, dict.fromkeys(keys, ()))

    async def _segments(self, *, index_only: bool = False) -> AsyncIterator[Segment]:
        streams = await self.deps.staging.planned_streams(self.target.table, self.scan)
        segments = self.deps.staging.segments(self.target.table, self.scan, streams, self.shard, index_only=index_only)
        async for segment in segments:
            yield segment


async def resolve_links(
    dataverse: Dataverse, target: Target, claims: Mapping[RowKey, Claim], *, trusting: bool = True
) -> tuple[dict[RowKey, Link], dict[RowKey, tuple[str, str]]]:
    """Return the link of each row, and why others have none: code and text of an issue.

    A profile is found by the mapping row's own lookup where a sample showed that it is right, else by CustomerId. Not
    `trusting` ignores that lookup. A profile that is not in Dataverse yet defers its rows; several reject them.
    """
    believes, issues = trusting and target.names_profile, dict[RowKey, tuple[str, str]]()
    links = {key: Link(claim.profile, claim.partition) for key, claim in claims.items() if believes and claim.profile}
    rest = {key: claim for key, claim in claims.items() if key not in links}
    found = await dataverse.profiles({claim.stored for claim in rest.values()}, target) if rest else {}
    for key, claim in rest.items():
        candidates = found.get(claim.customer, ())
        if len(candidates) == 1:
            links[key] = candidates[0]
        elif candidates:
            issues[key] = ("AmbiguousProfile", f"{len(candidates)} profiles have the CustomerId {claim.stored}.")
        else:
            issues[key] = ("ProfileMissing", f"The profile of customer {claim.stored} is not in Dataverse.")
    return links, issues


SAMPLED = 20  # rows with which streams are checked
# How old a scan may be that another run continues: rows that left the mapping since count as there.
CONTINUE_S = 4 * 3_600.0


def scan_rules(deps: Deps) -> ScanRules:
    """Return the settings of scans."""
    return ScanRules(deps.settings.small_table_rows, deps.settings.full_scan_hours * 3_600)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a new scan is about. `newest` is the newest change of the mapping (epoch s), `revisit` rows to look up, as hex.

    `ranges`: key ranges were proved, so that several streams may share a source. `replaces`: the scan that was looked at.
    """

    run: str
    target: Target
    choice: ScanChoice
    state: TableState
    newest: float
    newest_profile: float = 0.0
    revisit: Sequence[str] = ()
    ranges: bool = False
    replaces: str | None = None  # its id, "" for none, None for whichever is there


async def open_scan(deps: Deps, dataverse: Dataverse, new: Opening) -> Scan:
    """Replace the table's scan by a new one and return it. What a dead run left of the same scan is continued.

    Raises ChangedError when another scan was opened since `new.replaces` was looked at: by a later run, or by the same one,
    which was started twice. Its id is known to that start already.
    """
    question, secret = _question(dataverse, new), name_salt(await deps.salt())
    found = await deps.staging.load(new.target.table)
    if new.replaces is not None and new.replaces != (found[0].id if found else ""):
        raise ChangedError(f"Another scan of table '{new.target.table}' was opened meanwhile.")
    if found is not None and _continues(found[0], new, deps.clock(), question, secret):
        left, etag = found
        scan = replace(left, id=deps.new_id(), run=new.run, origin=left.place, revisit=tuple(new.revisit))
        scan = replace(scan, planned=False, bits=0, earlier_bits=(), shards=())
        await deps.staging.save(new.target.table, scan, etag)
        return scan
    return await _open_new(deps, dataverse, new, question, secret, found)


def _continues(left: Scan, new: Opening, now: float, question: str, secret: str) -> bool:
    """Return whether a run may continue the scan of a dead run instead of reading the mapping from its start.

    It has to ask the same question and make hashes with the same secret, its rows must still be staged, and the mapping may not
    have changed since it began: otherwise this run would leave out what it was asked to link.
    """
    same = (left.question, left.secret, left.watermark) == (question, secret, new.newest)
    return same and not left.ended and new.newest > 0 and 0 <= now - left.began < CONTINUE_S


def _question(dataverse: Dataverse, new: Opening) -> str:
    """Return a digest of what a scan asks for: sources, columns, and since when."""
    target, columns, since = new.target, MappingColumns.of(new.target), since_text(new.choice.since)
    paths = [dataverse.stream_path(columns, target, one, KeySpan(), since) for one in sorted(target.sources)]
    return blake2b("\n".join(paths).encode(), digest_size=8).hexdigest()


async def _open_new(
    deps: Deps, dataverse: Dataverse, new: Opening, question: str, secret: str, before: tuple[Scan, str] | None
) -> Scan:
    target, choice = new.target, new.choice
    streams = [Stream(source) for source in sorted(target.sources)]
    if choice.full and new.ranges:
        streams = [part for stream in streams for part in await _divide(dataverse, target, stream, new.state)]
    scan = Scan(
        deps.new_id(),
        new.run,
        choice.since,
        choice.reason,
        deps.clock(),
        watermark=new.newest,
        newest_profile=new.newest_profile,
        streams=len(streams),
        sources=tuple(sorted(target.sources)),
        names_profile=target.names_profile,
        secret=secret,
        revisit=tuple(new.revisit),
        question=question,
    )
    await deps.staging.open(target.table, scan, streams, before)
    return scan


def since_text(seconds: float | None) -> str:
    """Return from when on a scan reads changes, as Dataverse takes it; empty for a scan of everything."""
    return "" if seconds is None else iso(seconds)


async def _divide(dataverse: Dataverse, target: Target, stream: Stream, state: TableState) -> list[Stream]:
    """Return a stream, or several of key ranges that together give a sample of its rows exactly once."""
    count = streams_for(state.rows // max(1, len(target.sources)))
    if count == 1:
        return [stream]
    columns, spans = MappingColumns.of(target), cut_spans(count)
    link = dataverse.stream_path(columns, target, stream.source, KeySpan())
    try:
        rows, _ = await dataverse.mapping_page(columns, stream.source, link)
        wanted = sorted({row.key for row in rows[:: max(1, len(rows) // SAMPLED)] if row.key is not None})
        found = [await dataverse.keys_in_span(columns, target, stream.source, span, wanted) for span in spans]
    except (DataverseError, ConfigurationError):
        return [stream]
    once = sorted(key for keys in found for key in keys) == wanted
    return [replace(stream, span=span) for span in spans] if once else [stream]
