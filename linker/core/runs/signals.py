"""What starts a run, and when mapping and profiles may be read. Pure.

Signals of a finished unification make a run start sooner and decide nothing. A timer follows an NCRONTAB expression of six
fields, in UTC.

"Merge completed" is not yet "profiles are in Dataverse". The marks are the newest change of mapping and of profiles; None
where Dataverse does not say. They decide, whatever signal started the run: nothing may have changed for a while, and two
looks must have seen the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import Annotated, Final, NamedTuple

from pydantic import PlainSerializer

from linker.core.model import WIRE


class SignalKind(StrEnum):
    """Where news of a unification comes from."""

    WATERMARKS = "watermarks"
    EVENTS = "events"
    WEBHOOK = "webhook"
    INSIGHTS = "insights"
    WORKFLOW = "workflow"


NAMES: Final = {
    SignalKind.WATERMARKS: "Newest changes of mapping and profiles",
    SignalKind.EVENTS: "Diagnostic events of Customer Insights",
    SignalKind.WEBHOOK: "Webhook",
    SignalKind.INSIGHTS: "Customer Insights API",
    SignalKind.WORKFLOW: "Workflow tables in Dataverse",
}


@dataclass(frozen=True, slots=True)
class Signal:
    """What one signal reported last.

    `received_at` (ISO 8601) is when the app learned of it, None before the first time; `detail` says what it was. `note` says
    why the signal says nothing now, since `noted_at`.
    """

    __pydantic_config__ = WIRE
    kind: SignalKind
    received_at: str | None = None
    detail: str = ""
    note: str = ""
    noted_at: str | None = None

    @property
    def name(self) -> str:
        """The name for people."""
        return NAMES[self.kind]


def receive(before: Signal, detail: str, now: str, *, again: bool = False) -> Signal:
    """Return a signal that reported something. The same news counts once, unless it is an `again` that was sent on purpose."""
    same = before.detail == detail and not again and before.received_at is not None
    return Signal(before.kind, before.received_at if same else now, detail)


def silent(before: Signal, note: str, now: str) -> Signal:
    """Return a signal that says nothing now."""
    return before if before.note == note else replace(before, note=note, noted_at=now)


_RANGES: Final = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_PART: Final = re.compile(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?")
_LOOK_AHEAD_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class Trigger:
    """One way for a run to start. `next` is when its timer ticks next (ISO 8601 in UTC), None for one without a timer."""

    __pydantic_config__ = WIRE
    name: str
    is_on: bool
    setting: str  # that switches it
    next: str | None = None
    schedule: str = ""


def next_tick(schedule: str, now: float) -> float | None:
    """Return when a timer with this schedule ticks next after `now` (epoch s).

    None when that is over a year away, and where a field is written in a way that this does not read, such as 'MON'.
    """
    fields = [_values(text, *span) for text, span in zip(schedule.split(), _RANGES, strict=True)]
    if not all(fields):
        return None
    seconds, minutes, hours, days, months, weekdays = fields
    after = datetime.fromtimestamp(now, UTC)
    for ahead in range(_LOOK_AHEAD_DAYS):
        day = (after + timedelta(days=ahead)).replace(hour=0, minute=0, second=0, microsecond=0)
        if day.day not in days or day.month not in months or day.isoweekday() % 7 not in weekdays:
            continue
        for of_day in (h * 3_600 + m * 60 + s for h in sorted(hours) for m in sorted(minutes) for s in sorted(seconds)):
            if (tick := day.timestamp() + of_day) > now:
                return tick
    return None


def _values(text: str, least: int, most: int) -> set[int]:
    """Return what a field allows; nothing where it cannot be read."""
    found: set[int] = set()
    for part in text.split(","):
        if (match := _PART.fullmatch(part)) is None:
            return set()
        first, last, step = match.groups()
        start = int(first) if first else least
        end = int(last) if last else (start if first and not step else most)
        found |= set(range(start, end + 1, int(step or 1) or 1))
    return {value for value in found if least <= value <= most}


CONFIRM_S: Final = 60.0  # between two looks: a read of an elastic table may be some seconds old


class Marks(NamedTuple):
    """The newest change of mapping and of profiles, in epoch seconds, and what tells apart the changes of those seconds.

    Times are whole seconds: without the versions, a change within the second that was seen last would never be seen.
    """

    mapping: float
    profiles: float
    mapping_version: int = 0
    profiles_version: int = 0

    @property
    def newest(self) -> float:
        """The later one of both times."""
        return max(self.mapping, self.profiles)

    def brief(self) -> tuple[float | int, ...]:
        """Return them without versions that are unknown: so they stand in histories from before there were versions."""
        return self if self.mapping_version or self.profiles_version else self[:2]


type WireMarks = Annotated[Marks, PlainSerializer(Marks.brief)]


@dataclass(frozen=True, slots=True)
class SettleRules:
    """How long to wait at most, in seconds: for rest, for a unification's first changes to arrive, for both together."""

    rest_s: float
    arrival_s: float
    most_s: float

    @property
    def confirm_s(self) -> float:
        """How long the marks must stay the same from one look to another."""
        return min(self.rest_s, CONFIRM_S)


@dataclass(frozen=True, slots=True)
class Look:
    """Marks as they were seen, and since when every look has seen the same (epoch s)."""

    __pydantic_config__ = WIRE
    marks: WireMarks | None
    since: float


def look_again(before: Look | None, marks: Marks | None, now: float) -> Look:
    """Return the look that follows another one."""
    return before if before is not None and before.marks == marks and before.since <= now else Look(marks, now)


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a run waits for. `job_start` is 0 where it is unknown when the unification began; times are epoch seconds."""

    for_job: bool = False
    job_start: float = 0.0
    last: Marks | None = None  # of the last complete run


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait before the next look, 0 when there is nothing to wait for, and what for."""

    seconds: float = 0.0
    detail: str = ""


SETTLED: Final = Wait()
UNKNOWN: Final = "Dataverse does not say when mapping and profiles last changed."


def next_wait(look: Look, awaited: Awaited, rules: SettleRules, *, now: float, waited_s: float) -> Wait:
    """Return how long to wait for mapping and profiles before the next look, `waited_s` after the first look of the run.

    A run waits for the first change of its unification, then until nothing has changed for `rest_s`, and in any case until two
    looks `confirm_s` apart have seen the same: a single read may be older than the last change. Where Dataverse does not say
    what changed, the run waits for `rest_s` from its first look on. It never waits longer than `most_s`, and not at all when
    `rest_s` is 0.
    """
    marks, left_s = look.marks, rules.most_s - waited_s
    if not rules.rest_s or left_s <= 0:
        return SETTLED
    if marks is None:
        return _wait(min(rules.rest_s - waited_s, left_s), f"{UNKNOWN} Waiting {_minutes(rules.rest_s / 60)} instead.")
    arrival_s = min(rules.arrival_s, rules.most_s) - waited_s
    if awaited.for_job and arrival_s > 0 and not _has_arrived(marks, awaited):
        return Wait(arrival_s, _up_to("Waiting for the first changes of the unification in Dataverse", arrival_s))
    same_s = now - look.since
    rested_s = max(now - marks.newest, same_s)  # the clock of Dataverse may be ahead of ours
    if rested_s < rules.rest_s:
        resting = f"Waiting until mapping and profiles have rested for {_minutes(rules.rest_s / 60)}."
        return _wait(min(rules.rest_s - rested_s, left_s), resting)
    return _wait(
        min(rules.confirm_s - same_s, left_s), "Waiting for a second look that finds mapping and profiles unchanged."
    )


def _wait(seconds: float, detail: str) -> Wait:
    return Wait(seconds, detail) if seconds > 0 else SETTLED


def _has_arrived(marks: Marks, awaited: Awaited) -> bool:
    """Whether the unification changed something. Where its beginning is unknown, what the last complete run saw decides."""
    return marks.newest > awaited.job_start if awaited.job_start else marks != awaited.last


def _up_to(what: str, seconds: float) -> str:
    return f"{what}, at most {_minutes(ceil(seconds / 60))}."


def _minutes(number: float) -> str:
    return f"{number:g} minute{'' if number == 1 else 's'}"
