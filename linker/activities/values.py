"""One value into each activity and one out of it, all below 4 KB: names and counts, never rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from linker.model import WIRE, Counts, Mode, Status, Ticket, UnlinkAllowance
from linker.pace import Load, Pace
from linker.settling import WireMarks


@dataclass(frozen=True, slots=True)
class Settled:
    """Whether mapping and profiles rest. `wait_s` seconds until it is worth to look again, 0 when they do."""

    __pydantic_config__ = WIRE
    wait_s: float = 0.0
    detail: str = ""
    marks: WireMarks | None = None
    stop: bool = False  # the run was cancelled, or is no longer the one that holds the lock


MOST_LARGE = 200  # pages of one table that are split in one run; their numbers fit into one value


@dataclass(frozen=True, slots=True)
class SettleTask:
    """Look whether mapping and profiles rest, after having waited so long. See settling.Awaited."""

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
    """A sign of life of a run. `trouble` says what is tried again, "" that it is over, None nothing."""

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
    width: int = 0  # LINKER_WIDTH
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


@dataclass(frozen=True, slots=True)
class Strays:
    """Rows of a table with a link that neither mapping nor blocks name."""

    __pydantic_config__ = WIRE
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A table that is ready to be linked page by page; `failed` says why it is not."""

    __pydantic_config__ = WIRE
    table: str
    version: str = ""
    pages: int = 0
    mode: Mode = Mode.INCREMENTAL
    epoch: str = ""
    failed: str = ""
    retry_s: float = 0.0  # when it is worth to try again


@dataclass(frozen=True, slots=True)
class SplitTask:
    """Pages of one table that are too large."""

    __pydantic_config__ = WIRE
    run: str
    table: str
    version: str
    pages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """The new version of a plan, and which of its pages are to be worked on; `failed` says why none is."""

    __pydantic_config__ = WIRE
    version: str
    shares: tuple[tuple[int, int], ...] = ()
    failed: str = ""


@dataclass(frozen=True, slots=True)
class PageTask:
    """One page of one table."""

    __pydantic_config__ = WIRE
    run: str
    table: str
    version: str
    page: int
    mode: Mode
    epoch: str
    batch: int = 0  # rows in a write
    width: int = 1  # writes at once of all pages together
    lanes: int = 1  # writes at once of this page
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class PageOutcome:
    """What became of a page. Either it is done, or `later_s` says when to try again, or `failed` says why it never will."""

    __pydantic_config__ = WIRE
    counts: Counts = Counts()
    departed: int = 0  # rows for the unlinking pass; part of counts.rows_read
    conflicts: int = 0  # rows claimed for different customers
    drift: int = 0  # rows whose confirmed link somebody else changed; repaired
    lost: int = 0  # rows that Dataverse accepted twice and did not keep
    split: bool = False  # the page is too large; nothing was done
    later_s: float = 0.0
    later_reason: str = ""
    held: bool = False  # by another attempt, which is no failure
    failed: str = ""
    load: Load = Load()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the pages of one table."""

    __pydantic_config__ = WIRE
    counts: Counts = Counts()
    departed: int = 0
    conflicts: int = 0
    drift: int = 0
    lost: int = 0
    pages: int = 0
    failed: str = ""
    large: tuple[int, ...] = ()  # pages that have to be split first

    def with_large(self, page: int) -> Totals:
        """Return the totals with one more page to split. So many at once that the value would grow too large fail."""
        if len(self.large) == MOST_LARGE:
            return replace(self, failed=f"More than {MOST_LARGE} pages outgrew their requests at once. Run again.")
        return replace(self, large=(*self.large, page))

    def plus(self, page: PageOutcome) -> Totals:
        """Return the totals with one more finished page."""
        return Totals(
            self.counts + page.counts,
            self.departed + page.departed,
            self.conflicts + page.conflicts,
            self.drift + page.drift,
            self.lost + page.lost,
            self.pages + 1,
            self.failed or page.failed,
            self.large,
        )


@dataclass(frozen=True, slots=True)
class UnlinkTask:
    """The next departed pages of a table. `after` names the last page settled; `rows` counts mapped and departed rows."""

    __pydantic_config__ = WIRE
    run: str
    table: str
    departed: int
    rows: int
    marks: WireMarks | None
    dry_run: bool = False
    after: str = ""
    allowed: tuple[UnlinkAllowance, ...] = ()  # for this table


@dataclass(frozen=True, slots=True)
class UnlinkOutcome:
    """What became of departed rows; `after` continues the pass, None when it is done."""

    __pydantic_config__ = WIRE
    counts: Counts = Counts()
    after: str | None = None
    held_back: str = ""
    guarded: bool = False  # it was the guard that held them back
    later_s: float = 0.0
    failed: str = ""
    lost: int = 0  # links that Dataverse accepted twice to clear and kept


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
    """Whether the run may go on."""

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
    failed: str = ""
    canceled: bool = False
    dry_run: bool = False
    epoch: str = ""


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
