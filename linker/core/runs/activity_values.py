"""One value into each activity and one out of it, all below 4 KB: names and counts, never rows."""

from __future__ import annotations

from dataclasses import dataclass, field

from linker.core.model import WIRE, Counts, Mode, Status, Ticket
from linker.core.runs.signals import WireMarks
from linker.core.throttling.pace import Load, Pace

MAX_REFUSED = 10  # rows of several shards that are refused alike, none being linked, before the table counts as refused
_REFUSED = "Dataverse refused each of the {} rows that were sent, all alike, so no other row was sent. {}"
UPDATED = "The app was updated during this run. What was written stays, and the next run continues."


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether mapping and profiles rest. `wait_s` seconds until it is worth to look again, 0 when they do."""

    __pydantic_config__ = WIRE
    wait_s: float = 0.0
    detail: str = ""
    marks: WireMarks | None = None
    stop: bool = False  # the run was cancelled, or is no longer the one that holds the lock


@dataclass(frozen=True, slots=True)
class SettleTask:
    """Look whether mapping and profiles rest, after having waited so long. See signals.Awaited."""

    __pydantic_config__ = WIRE
    run: str
    waited_s: float = 0.0
    for_job: bool = False
    job_start: float = 0.0


@dataclass(frozen=True, slots=True)
class RunRef:
    """A run by its id."""

    __pydantic_config__ = WIRE
    run: str


@dataclass(frozen=True, slots=True)
class Beat:
    """A heartbeat of a run. `trouble` says what is tried again, "" that it is over, None nothing."""

    __pydantic_config__ = WIRE
    run: str
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """An activity that could not do its work: worth another try after `wait_s`, or, with 0, not at all."""

    __pydantic_config__ = WIRE
    trouble: str
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Survey:
    """Which tables this run links. `status` is set when the run ends here."""

    __pydantic_config__ = WIRE
    tables: tuple[str, ...] = ()
    status: Status | None = None
    full_reason: str = ""
    schema: str = ""
    pace: Pace = Pace()  # to begin with: Dataverse's hint is known from the requests so far
    touch: bool = False  # LINKER_TOUCH_PROFILES


@dataclass(frozen=True, slots=True)
class TableTask:
    """One table of a run."""

    __pydantic_config__ = WIRE
    run: str
    table: str
    mode: Mode
    dry_run: bool = False
    full_reason: str = ""  # why this run is full, unless it was asked for
    schema: str = ""  # fingerprint of the profile table
    newest: float = 0.0  # newest change of the mapping when it rested (epoch s), 0 when unknown
    newest_profile: float = 0.0  # the same of profiles
    clears_orphans: bool = False  # this run may clear orphaned links that the app did not write
    allowed: bool = False  # this run may clear links that the guard would hold back, so it must see every removed row


@dataclass(frozen=True, slots=True)
class Prepared:
    """A table whose mapping is ready to be scanned; `failed` says why it is not."""

    __pydantic_config__ = WIRE
    table: str
    scan: str = ""
    streams: int = 0
    mode: Mode = Mode.INCREMENTAL
    epoch: str = ""
    failed: str = ""
    retry_s: float = 0.0  # when it is worth trying again
    passing: bool = False  # what failed may pass: the next run tries again soon
    links_due: bool = False  # all links are to be held against all profiles


@dataclass(frozen=True, slots=True)
class SliceTask:
    """The next slice of one stream of a scan."""

    __pydantic_config__ = WIRE
    run: str
    table: str
    scan: str
    stream: int


@dataclass(frozen=True, slots=True)
class SliceOutcome:
    """What a slice came to. It was committed, or `later_s` says when to try again, or `failed` says why it never will."""

    __pydantic_config__ = WIRE
    done: bool = False  # the stream has no more rows
    rows: int = 0  # of this slice
    later_s: float = 0.0
    later_reason: str = ""
    throttled: bool = False  # Dataverse asked for a pause
    failed: str = ""


@dataclass(frozen=True, slots=True)
class ShardsTask:
    """A scan that is complete."""

    __pydantic_config__ = WIRE
    run: str
    table: str
    scan: str
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Shards:
    """The shards to link: `count` of them, numbered from 0 (Scan.shard). `canary`: no link of the table was proved to be
    alive yet, so shards run one after the other until one is.
    """

    __pydantic_config__ = WIRE
    count: int = 0
    canary: bool = False


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard of one table."""

    __pydantic_config__ = WIRE
    run: str
    table: str
    scan: str
    number: int
    mode: Mode
    epoch: str
    pace: Pace = Pace()
    lanes: int = 1  # writes at once of this shard
    dry_run: bool = False
    canary: bool = False  # its first write is to prove that links of the table are alive


@dataclass(frozen=True, slots=True)
class ShardOutcome:
    """What became of a shard. Either it is done, or `later_s` says when to try again, or `failed` says why it never will."""

    __pydantic_config__ = WIRE
    counts: Counts = Counts()
    departed: int = 0  # rows for the unlinking pass; end_table adds them to counts.rows_read
    conflicts: int = 0  # rows claimed for different customers
    drift: int = 0  # rows whose confirmed link another writer changed; repaired
    lost: int = 0  # rows that Dataverse accepted twice and did not keep
    proven: bool = False  # a link of the table was proved to be alive; with `later_s`, the rest of the shard is to come
    refused: int = 0  # rows that were refused alone and alike for the first time, while none of the shard was linked
    refusal: str = ""  # what Dataverse answered for each of these
    later_s: float = 0.0
    later_reason: str = ""
    held: bool = False  # by another attempt, or until the others begin after a proof: neither is a failure
    failed: str = ""
    passing: bool = False  # what failed may pass
    load: Load = Load()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the shards of one table."""

    __pydantic_config__ = WIRE
    counts: Counts = Counts()
    departed: int = 0
    conflicts: int = 0
    drift: int = 0
    lost: int = 0
    pages: int = 0  # shards that are done
    failed: str = ""
    passing: bool = False
    refused: int = 0  # rows that were refused alone and alike, while none of the table was linked
    refusal: str = ""  # what Dataverse answered for each of these

    def plus(self, shard: ShardOutcome) -> Totals:
        """Return the totals with one more finished shard."""
        counts, alike = self.counts + shard.counts, shard.refusal if shard.refused else self.refusal
        before = self.refused if alike == self.refusal else 0
        refused = 0 if counts.linked else before + shard.refused
        stopped = _REFUSED.format(refused, alike) if refused >= MAX_REFUSED else ""
        return Totals(
            counts,
            self.departed + shard.departed,
            self.conflicts + shard.conflicts,
            self.drift + shard.drift,
            self.lost + shard.lost,
            self.pages + 1,
            self.failed or shard.failed or stopped,
            self.passing if self.failed else shard.passing,
            refused,
            alike if refused else "",
        )


@dataclass(frozen=True, slots=True)
class Report:
    """News of a run on its way, for the status."""

    __pydantic_config__ = WIRE
    run: str
    counts: Counts = Counts()
    pages_total: int = 0
    pages_done: int = 0
    pace: Pace = Pace()
    seconds: float = 0.0  # since the first page started
    paused_s: float = 0.0
    trouble: str = ""  # why a page is being tried again
    tables: dict[str, Counts] = field(default_factory=dict)  # so far, by table


@dataclass(frozen=True, slots=True)
class Go:
    """Whether the run may continue."""

    __pydantic_config__ = WIRE
    held: bool = True
    cancel: bool = False
    slice_s: float = 2.0  # longest wait without renewing the lock: less than half a lease


@dataclass(frozen=True, slots=True)
class TableEnd:
    """How a table ended."""

    __pydantic_config__ = WIRE
    run: str
    table: str
    totals: Totals
    unlinking: Counts = Counts()
    held_back: str = ""
    guarded: bool = False
    strays: int = 0
    orphans: int = 0
    orphans_cleared: int = 0
    orphan_rows: str = ""
    orphans_kept: str = ""
    failed: str = ""
    canceled: bool = False
    dry_run: bool = False
    epoch: str = ""
    scan: str = ""
    passing: bool = False  # what failed may pass


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ends; without `status` its tables decide."""

    __pydantic_config__ = WIRE
    run: str
    status: Status | None = None
    detail: str = ""
    marks: WireMarks | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """The run is over; `next` is the run to start now."""

    __pydantic_config__ = WIRE
    status: Status
    next: Ticket | None = None
