"""The values that the parts of a run hand to each other. Frozen, comparable, without behaviour that needs I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from linker.core.names import LOOKUP_SCHEMA_NAME

# Every value that crosses a durable call, the state or the API is written in camelCase JSON by `wire`.
WIRE = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)

type RowKey = bytes
"""Primary key of a source row: the 16 bytes of the guid in text order."""
type CustomerId = str
"""CustomerId as this app compares it: without outer blanks, in lower case."""


class Link(NamedTuple):
    """What the lookup of a source row holds or is to hold: the profile's id as GUID text, and its partition.

    The partition is empty when it is the default one, which is the profile's own id.
    """

    profile: str
    partition: str = ""


type ColumnState = Literal["", "exists", "created", "would be created"]
"""The lookup column of a table in a run; "" until the table is prepared."""
type Requirement = Literal["R1", "R2", "R3", "R4", "R5", "R6"]

MAX_ROWS = 2**31 - 1  # that one number of a caller may name


class Mode(StrEnum):
    """How much of a table a run looks at, from the least to the most."""

    INCREMENTAL = "incremental"
    VERIFY = "verify"
    FULL = "full"

    @property
    def strength(self) -> int:
        """Rank used when two requests merge: the stronger mode wins."""
        return list(Mode).index(self)

    @property
    def compares_all(self) -> bool:
        """Whether every mapping row is read and every link compared; else only rows that changed."""
        return self is not Mode.INCREMENTAL

    @property
    def finds_orphans(self) -> bool:
        """Whether all links are compared with all profiles, even if that was done recently."""
        return self is Mode.VERIFY


class Status(StrEnum):
    """Status words of the product (docs/reference/customer-insights.md section 1)."""

    NOT_STARTED = "Not started"
    QUEUED = "Queued"
    REFRESHING = "Refreshing"
    SUCCESSFUL = "Successful"
    WARNINGS = "Completed with warnings"
    RETRYING = "Failed (retrying)"
    FAILED = "Failed (permanent)"
    SKIPPED = "Skipped"
    CANCELED = "Canceled"


class Verdict(StrEnum):
    """Answer to one requirement."""

    MET = "met"
    VIOLATED = "violated"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A pair of data source and table as the mapping names them."""

    __pydantic_config__ = WIRE
    data_source: str
    table: str


@dataclass(frozen=True, slots=True)
class Target:
    """A source table with everything a write to it needs; names as metadata spells them."""

    __pydantic_config__ = WIRE
    table: str
    entity_set: str
    key: str
    navigation: str
    bulk: bool = True  # UpdateMultiple is supported (docs/reference/dataverse.md 2.3)
    column_created: bool = False  # by this run (or would be, in a dry run): every link is known to be empty
    sources: tuple[Source, ...] = ()
    name_column: str = "msdynci_entityname"  # of the mapping
    partition_column: str = ""  # companion of the lookup that can be read on rows; empty when there is none
    names_profile: bool = False  # mapping rows name the right profile, as a sample confirmed
    has_in: bool = False  # the profile and mapping tables understand the In function
    has_ranges: bool = True  # the mapping table compares text by ranges
    has_partitions: bool = False  # profiles show their partition
    has_labels: bool = False  # the label of a live link is its CustomerId
    profile_kind: str = "elastic"  # linker.core.capabilities.TableKind
    lookup: str = LOOKUP_SCHEMA_NAME  # logical name of the lookup column


@dataclass(frozen=True, slots=True)
class Counts:
    """Both sides of the ledger, in rows. `rows_read` is counted where rows come in, never summed from the right side."""

    __pydantic_config__ = WIRE
    rows_read: int = 0
    linked: int = 0
    unchanged: int = 0
    unlinked: int = 0
    rejected: int = 0
    deferred: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, name) + getattr(other, name) for name in Counts.__slots__))

    @property
    def outcomes(self) -> int:
        """The right side of the ledger."""
        return self.linked + self.unchanged + self.unlinked + self.rejected + self.deferred


@dataclass(frozen=True, slots=True)
class Touches:
    """Profiles that got newly linked rows, and what their second update came to; counted apart from the ledger of rows.

    After a real run `profiles` = `touched` + `vanished` + `refused`. A dry run knows the first alone.
    """

    __pydantic_config__ = WIRE
    profiles: int = 0
    touched: int = 0
    vanished: int = 0
    refused: int = 0

    def __add__(self, other: Touches) -> Touches:
        return Touches(*(getattr(self, name) + getattr(other, name) for name in Touches.__slots__))


@dataclass(frozen=True, slots=True)
class UnlinkAllowance:
    """What an operator lets one run clear of a table that would otherwise keep its links, so many rows at most.

    Removed rows that the guard holds back, or `orphans`: links that this app did not write and whose profile is gone.
    `empty_mapping`: also when the mapping names no row of the table any more.
    """

    __pydantic_config__ = WIRE
    table: str
    most_rows: int
    empty_mapping: bool = False
    orphans: bool = False
    seen: str = ""  # digest of the rows that were counted (TableRun.held_rows), the only ones to clear; "": any rows


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What was requested. `jobs` are the unification jobs a completed run of it serves.

    `job_start` is when the newest of them began (epoch s), 0 where unknown. `nameless_job`: a signal reported a
    unification and not which one it was.
    """

    __pydantic_config__ = WIRE
    mode: Mode = Mode.INCREMENTAL
    dry_run: bool = False
    tables: tuple[str, ...] = ()  # logical names; empty = all
    jobs: tuple[str, ...] = ()
    job_start: float = 0.0
    trigger: str = "api"
    unlink_allowed: tuple[UnlinkAllowance, ...] = ()
    nameless_job: bool = False

    @property
    def for_unification(self) -> bool:
        """Whether it follows a unification, whose changes may still have to arrive in Dataverse."""
        return bool(self.jobs or self.job_start or self.nameless_job)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A run that was promised to its requesters: its id, and what it has to do."""

    __pydantic_config__ = WIRE
    run: str
    request: RunRequest
    interruptions: int = 0  # how often this work was taken over from a dead run without progress
    resumes: str = ""  # a dead run whose work rested until this one was asked for


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement answered for the environment or for one table. `docs` is the place in the docs that explains it."""

    __pydantic_config__ = WIRE
    requirement: Requirement
    verdict: Verdict
    evidence: str
    advice: str = ""
    question: str = ""
    docs: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run that works shows of the way so far. Rows are source rows.

    `rows_total` is how many its tables have, as the scan counted them; 0 before. `eta_seconds` is the time left as of the run's
    `last_updated`: it includes pauses and the touch of profiles, and is None where it is not known.
    """

    __pydantic_config__ = WIRE
    pages_total: int = 0
    pages_done: int = 0
    width: int = 0
    batch: int = 0
    rows_per_second: float = 0.0
    eta_seconds: float | None = None
    paused_until: str | None = None
    rows_total: int = 0
    rows_done: int = 0
    profiles_total: int = 0  # that are touched


@dataclass(frozen=True, slots=True)
class TableRun:
    """One source table in one run."""

    __pydantic_config__ = WIRE
    table: str
    data_source: str
    status: Status
    detail: str = ""
    mode: Mode | None = None
    mode_reason: str = ""
    counts: Counts = Counts()
    findings: tuple[Finding, ...] = ()
    sources: tuple[Source, ...] = ()
    unsettled: bool = False  # rows wait for a later run that may do better: for profiles, or for a change to be over
    refusal: str = ""  # why nothing is written to it (linker.core.permissions.write_permission)
    column: ColumnState = ""
    automations: tuple[str, ...] = ()  # that its links fire, each with what to do about it
    held_back: int = 0  # removed rows that the guard left linked; an operator may allow a run to clear them
    held_rows: str = ""  # digest of these rows, which an allowance names
    orphans: int = 0  # rows that nothing accounts for and whose link leads to a profile that does not exist
    orphan_rows: str = ""  # digest of these rows
    passing: bool = False  # it failed, or was skipped, for a reason that may pass
    scan: str = ""  # which mapping rows were read, and why
    full_scan: bool = False  # all of them, so that `rows_read` is what the table has
    rows_total: int = 0  # that the scan found to be linked in this run; 0 before it was read whole
    started_at: str | None = None  # when the run began to work on it (linker.core.runs.lifecycle)
    ended_at: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of the task as the API shows it. Times are ISO 8601 in UTC."""

    __pydantic_config__ = WIRE
    id: str
    mode: Mode
    status: Status
    trigger: str = ""
    mode_reason: str = ""
    dry_run: bool = False
    status_detail: str = ""
    requested_at: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    last_updated: str = ""
    steps: Mapping[str, str] = field(default_factory=dict)  # when each began (linker.core.runs.lifecycle)
    service_account: str = ""
    jobs: tuple[str, ...] = ()
    requested_tables: tuple[str, ...] = ()  # empty = all
    unlink_allowed: tuple[UnlinkAllowance, ...] = ()
    counts: Counts = Counts()
    touches: Touches | None = None
    progress: Progress | None = None
    tables: tuple[TableRun, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # informational; no action needed
    findings: tuple[Finding, ...] = ()
    follow_up: str | None = None
    requested_by: tuple[str, ...] = ()  # who asked by hand, first to last; a later request may have merged with it
