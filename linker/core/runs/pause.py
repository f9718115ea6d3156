"""A pause of the task: no run begins until it ends. Pure. Requests wait meanwhile (docs/decisions/0040)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from linker.core.model import WIRE

MAX_DAYS: Final = 30  # a pause that an operator forgets ends by itself
MAX_REASON: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class Pause:
    """No run begins before `until`. `by` asked for it at `since`. Times are ISO 8601 in UTC."""

    __pydantic_config__ = WIRE
    until: str
    since: str
    by: str
    reason: str = ""

    def lasts(self, now: float) -> bool:
        """Whether it has not ended at `now` (epoch s)."""
        return now < datetime.fromisoformat(self.until).timestamp()


def fault_of(until: float, now: float) -> str:
    """Return what is wrong with the end of a pause that begins `now` (both epoch s), "" for nothing."""
    if until <= now:
        return "The end of the pause is in the past."
    return f"A pause lasts {MAX_DAYS} days at most." if until > now + MAX_DAYS * 86_400 else ""
