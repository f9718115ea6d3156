"""When a timer ticks next. Pure: an NCRONTAB expression of six fields in, a time out (UTC, as Functions on Linux keeps it)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from linker.core.model import WIRE

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
