"""How the mapping of a table is scanned, in which mode the table is linked, and why. Pure.

A scan reads everything or only changed rows, in streams. A stream is a share of the mapping rows that one worker reads from
the first row to the last: those of one data source, or those of one range of keys within it. `x lt c`, `x ge c` and
`x eq null` together give each row exactly once under any order that the server may use, so a poor choice of c only makes
streams uneven.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from linker.core.linking.shards import bits_for
from linker.core.model import WIRE, Mode, Source

OVERLAP_S = 600.0  # stamps are whole seconds, and an elastic table may answer with rows that are some seconds old
STREAM_ROWS = 200_000  # rows that are worth a stream of their own
MAX_STREAMS = 8  # of one data source
DIGITS = "0123456789abcdef"
HEADROOM = 4  # while the size of a table is unknown, buckets are for so many times the rows that were read


@dataclass(frozen=True, slots=True)
class TableState:
    """What is remembered about a source table between runs. Times are epoch seconds.

    `epoch` names the full run that is under way or was interrupted; empty when the next run may be incremental. `linked` says
    that one full run went through the whole table. `watermark` is the newest change of the mapping up to which every row was
    seen, 0 when unknown. `earlier_bits` are shard sizes from which blocks may still have to be split.
    """

    __pydantic_config__ = WIRE
    bits: int = 0
    earlier_bits: tuple[int, ...] = ()
    epoch: str = ""
    linked: bool = False
    schema: str = ""  # fingerprint of the profile table when the last full run began
    watermark: float = 0.0
    profiles_seen: float = 0.0  # the newest change of profiles up to which recreated ones were looked for
    scanned_at: float = 0.0  # when every mapping row was read last
    rows: int = 0  # mapping rows that this scan read
    sources: tuple[Source, ...] = ()  # that it read
    names_profile: bool = False  # wish hashes cover the profile that the mapping row names
    proven: bool = False  # a first link was read back alive
    due: str = ""  # why the next run has to read every mapping row
    orphans_at: float = 0.0  # when all links were held against all profiles last
    secret: str = ""  # fingerprint of the salt with which the blocks were made

    def grown_to(self, rows: int) -> TableState:
        """Return the state with shards that fit so many rows. Shards never merge again: empty ones cost little."""
        bits = bits_for(rows)
        if bits <= self.bits:
            return self
        earlier = (*self.earlier_bits, self.bits) if self.linked or self.epoch else self.earlier_bits
        return replace(self, bits=bits, earlier_bits=earlier)


@dataclass(frozen=True, slots=True)
class ScanRules:
    """Settings of scans. A table of up to `small_rows` mapping rows is always read whole, others every `full_s` seconds."""

    small_rows: int = 200_000
    full_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class ScanChoice:
    """Which mapping rows a run reads: all, or those changed `since` (epoch seconds), and why."""

    since: float | None
    reason: str

    @property
    def full(self) -> bool:
        """Whether every row is read, so that a row that is not found has left the mapping."""
        return self.since is None


def choose_scan(
    state: TableState,
    mode: Mode,
    *,
    newest: float,
    sources: Sequence[Source],
    rules: ScanRules,
    now: float,
    because: str = "",
) -> ScanChoice:
    """Return which mapping rows to read. `newest` is the newest change of the mapping, 0 when unknown.

    `because` is a reason of the run itself to read everything. A delta scan cannot see removed rows, so everything is read
    whenever something hints at removals, and at the latest `rules.full_s` after the last time.
    """
    reasons = (
        (mode.compares_all, f"a {mode} run reads every row"),
        (bool(because), because),
        (not state.linked or not state.scanned_at, "the table was not read whole before"),
        (bool(state.due), state.due),
        (not newest or not state.watermark, "the mapping does not say when its rows changed"),
        (tuple(sorted(sources)) != state.sources, "other data sources name the table now"),
        (state.rows <= rules.small_rows, f"the table has no more than {rules.small_rows:,} mapping rows"),
        (now - state.scanned_at >= rules.full_s, "the last full scan is too long ago"),
        (state.scanned_at > now, "the last full scan lies in the future"),
    )
    reason = next((text for true, text in reasons if true), "")
    if reason:
        return ScanChoice(None, reason)
    return ScanChoice(max(0.0, state.watermark - OVERLAP_S), "only rows that changed")


@dataclass(frozen=True, slots=True)
class KeySpan:
    """A half-open range of key texts: `lower` inclusive, `upper` exclusive; None is open.

    Rows without a key are in the first.
    """

    __pydantic_config__ = WIRE
    lower: str | None = None
    upper: str | None = None


def cut_spans(streams: int) -> tuple[KeySpan, ...]:
    """Return so many spans that cover all texts, even for GUIDs in lower case."""
    cuts = [DIGITS[len(DIGITS) * number // streams] for number in range(1, streams)]
    ends = [None, *cuts, None]
    return tuple(KeySpan(lower, upper) for lower, upper in pairwise(ends))


def streams_for(rows: int) -> int:
    """Return in how many streams a data source with so many mapping rows is worth reading."""
    streams = 1
    while streams < MAX_STREAMS and rows > streams * STREAM_ROWS:
        streams *= 2
    return streams


def bucket_bits(state: TableState, read: int, *, streams: int, done: bool) -> int:
    """Return the bits of the buckets that suit the shards to come, after a stream has `read` so many rows.

    A bucket that several shards share is read and sorted again by each of them. Buckets that are finer than shards are many
    small entities. So a table of known size gets its shards, and a stream that is `done` those of the rows that it read.
    """
    room = 1 if done or state.rows else HEADROOM
    return max(state.bits, bits_for(room * read * streams))


def describe_scan(choice: ScanChoice, read: int, state: TableState, rules: ScanRules, now: float) -> str:
    """Return which rows a run read and why, as a sentence for an administrator."""
    if choice.full:
        return f"Read all {read:,} mapping rows: {choice.reason}."
    hours = max(0.0, (state.scanned_at + rules.full_s - now) / 3_600)
    return f"Read {read:,} changed mapping rows of about {state.rows:,}. The next full scan is due in {hours:.0f} h."


# Reasons after which nothing that an interrupted full run saved may be believed.
OTHER_SCHEMA = "the schema of the profile table changed"
OTHER_HASHES = "the stored row hashes were made with another secret"
OTHER_WISHES = "the mapping names profiles in another way now"
LOST_BLOCKS = "what was known of some rows is lost"
LOST_STATE = "what was known of the table is lost"
VERSION_1 = "the stored state is of version 1"
WENT_BACK = "the mapping is older than at the last run: the environment was restored or copied"
RESTARTS = frozenset({OTHER_SCHEMA, OTHER_HASHES, OTHER_WISHES, LOST_BLOCKS, LOST_STATE, VERSION_1, WENT_BACK})


def mode_of(asked: Mode, state: TableState, *, column_is_new: bool = False, because: str = "") -> tuple[Mode, str]:
    """Return the mode for a table, and why. `because` is a reason to compare every row. A full run that was interrupted
    continues, whatever was asked for.
    """
    if not state.linked:
        if because in RESTARTS:
            return Mode.FULL, because
        return (
            Mode.FULL,
            "first run on this table" if not state.epoch else "the first run was interrupted and continues",
        )
    if column_is_new:
        return Mode.FULL, "the lookup column was missing and is new"
    if state.epoch:
        return Mode.FULL, "a full run was interrupted and continues"
    if because:
        return Mode.FULL, because
    return asked, "asked for" if asked.compares_all else "only rows that changed"


def because_of_schema(state: TableState, schema: str) -> bool:
    """Return whether the schema of profiles is another one than the last full run began with."""
    return bool(state.schema and schema and state.schema != schema)
