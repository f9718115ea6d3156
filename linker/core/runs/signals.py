"""What starts runs: what each signal of a finished unification reported last, and when a timer ticks next. Pure.

Signals make a run start sooner and decide nothing. A schedule is an NCRONTAB expression of six fields, in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

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


def received(before: Signal, detail: str, now: str, *, again: bool = False) -> Signal:
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
