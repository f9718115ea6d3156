"""Opening a scan: which mapping rows it reads, in which streams, and whether it continues the one that a dead run left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from linker.adapters.dataverse import Dataverse
from linker.adapters.storage import Scan, Stream
from linker.core.errors import (
    ConfigurationError,
    DataverseError,
)
from linker.core.linking.hash_blocks import name_salt
from linker.core.linking.mapping_scan import (
    KeySpan,
    ScanChoice,
    ScanRules,
    TableState,
    cut_spans,
    streams_for,
)
from linker.core.model import Target
from linker.core.odata import MappingColumns
from linker.core.times import iso
from linker.deps import Deps

SAMPLED = 20  # rows with which streams are checked
# How old a scan may be that another run continues: rows that left the mapping since count as there.
CONTINUE_S = 4 * 3_600.0


def scan_rules(deps: Deps) -> ScanRules:
    """Return the settings of scans."""
    return ScanRules(deps.settings.small_table_rows, deps.settings.full_scan_hours * 3_600)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a new scan is about. `newest` is the newest change of the mapping (epoch s), `revisit` rows to look up, as hex.

    `ranges`: key ranges were proved, so that several streams may share a source.
    """

    run: str
    target: Target
    choice: ScanChoice
    state: TableState
    newest: float
    newest_profile: float = 0.0
    revisit: Sequence[str] = ()
    ranges: bool = False


async def open_scan(deps: Deps, dataverse: Dataverse, new: Opening) -> Scan:
    """Replace the table's scan by a new one and return it. What a dead run left of the same scan is continued."""
    question, secret = _question(dataverse, new), name_salt(await deps.salt())
    found = await deps.staging.load(new.target.table)
    if found is not None and _continues(found[0], new, deps.clock(), question, secret):
        left, etag = found
        scan = replace(left, id=deps.new_id(), run=new.run, origin=left.place, revisit=tuple(new.revisit))
        scan = replace(scan, planned=False, bits=0, earlier_bits=(), shards=())
        await deps.staging.save(new.target.table, scan, etag)
        return scan
    return await _open_new(deps, dataverse, new, question, secret)


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


async def _open_new(deps: Deps, dataverse: Dataverse, new: Opening, question: str, secret: str) -> Scan:
    target, choice = new.target, new.choice
    streams = [Stream(source) for source in sorted(target.sources)]
    if choice.full and new.ranges:
        streams = [part for stream in streams for part in await _divided(dataverse, target, stream, new.state)]
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
    await deps.staging.open(target.table, scan, streams)
    return scan


def since_text(seconds: float | None) -> str:
    """Return from when on a scan reads changes, as Dataverse takes it; empty for a scan of everything."""
    return "" if seconds is None else iso(seconds)


async def _divided(dataverse: Dataverse, target: Target, stream: Stream, state: TableState) -> list[Stream]:
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
