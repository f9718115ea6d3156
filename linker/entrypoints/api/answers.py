"""What the API answers with, as typed values. Runs and their parts are in linker.core.model and linker.core.runs.history."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from linker.core.capabilities import Capabilities
from linker.core.model import WIRE, Run, Status
from linker.core.permissions.automations import Estimate
from linker.core.permissions.write_permission import Approval
from linker.core.records import AuditEntry, PlannedChange, RowIssue, RowRecord
from linker.core.runs.history import PastRun
from linker.core.runs.lock_state import Pause
from linker.core.runs.signals import Signal, Trigger


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """The task as the product's Status page shows it: its latest real run, and a dry run that began after it.

    Beside them the pause of runs, if one lasts, what starts runs, what the signals of a finished unification reported last,
    and what the profile and the mapping table can do (None before the first look).
    """

    __pydantic_config__ = WIRE
    task: str
    group: str
    status: Status
    last_updated: str | None
    run: Run | None
    dry_run: Run | None = None
    pause: Pause | None = None
    triggers: tuple[Trigger, ...] = ()
    signals: tuple[Signal, ...] = ()
    capabilities: Capabilities | None = None


@dataclass(frozen=True, slots=True)
class Resumption:
    """The pause that was ended, and the run that waited for that and starts now, if any."""

    __pydantic_config__ = WIRE
    ended: Pause
    run: str | None = None


@dataclass(frozen=True, slots=True)
class RunPage:
    """Runs, newest first."""

    __pydantic_config__ = WIRE
    value: tuple[PastRun, ...]
    continuation: str | None = None


@dataclass(frozen=True, slots=True)
class IssuePage:
    """Rejected and deferred rows of a run, by table and row."""

    __pydantic_config__ = WIRE
    value: tuple[RowIssue, ...]
    continuation: str | None = None


@dataclass(frozen=True, slots=True)
class SampleList:
    """What a dry run would change, by example."""

    __pydantic_config__ = WIRE
    value: tuple[PlannedChange, ...]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Actions, newest first."""

    __pydantic_config__ = WIRE
    value: tuple[AuditEntry, ...]
    continuation: str | None = None


@dataclass(frozen=True, slots=True)
class HeldLink:
    """The first link of a table that was held. An approval names the `digest` of what is shown here.

    `automations` says what each link fires and what to do about it; `waits`: an approval is still needed.
    """

    __pydantic_config__ = WIRE
    table: str
    digest: str
    waits: bool
    held_since: str
    automations: tuple[str, ...]
    estimate: Estimate | None
    approval: Approval | None


@dataclass(frozen=True, slots=True)
class LookupNow:
    """The link of a row, read now. `as_confirmed`: it is the one that was last confirmed; None when none was."""

    __pydantic_config__ = WIRE
    exists: bool
    profile: str | None = None
    customer: str | None = None
    as_confirmed: bool | None = None


class Comparison(StrEnum):
    """The link of a row now, beside the one that was last confirmed."""

    EQUAL = "equal"
    DIFFERS = "differs"
    GONE = "gone"  # Dataverse has no such row any more
    UNKNOWN = "unknown"  # none was confirmed, or Dataverse could not be asked


@dataclass(frozen=True, slots=True)
class RowState:
    """What is known of one row. `run` last saved the page that the row stands on, at `confirmed_at`.

    `now` is None when Dataverse could not be asked; `now_detail` says why. `comparison` holds it against what was confirmed.
    """

    __pydantic_config__ = WIRE
    table: str
    row: str
    known: bool
    confirmed: bool
    run: str | None
    confirmed_at: str | None
    now: LookupNow | None
    now_detail: str
    comparison: Comparison
    last_error: RowRecord | None
