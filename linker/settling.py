"""When mapping and profiles may be read: "merge completed" is not yet "profiles are in Dataverse" (customer-insights.md 4).

The marks are the newest change of mapping and of profiles; None where the columns do not tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Annotated, Final, NamedTuple

from pydantic import PlainSerializer


class Marks(NamedTuple):
    """The newest change of mapping and of profiles, in epoch seconds, and the versions of those rows, 0 where unknown.

    Times are whole seconds: without the versions, what changes within the second that was seen last would never be seen.
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


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a run waits for. `job_start` is 0 where nobody told when the unification began; times are epoch seconds."""

    for_job: bool = False
    job_start: float = 0.0
    last: Marks | None = None  # of the last complete run


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait before the next look, 0 when there is nothing to wait for, and what for."""

    seconds: float = 0.0
    detail: str = ""


SETTLED: Final = Wait()


def next_wait(marks: Marks | None, awaited: Awaited, rules: SettleRules, *, now: float, waited_s: float) -> Wait:
    """Return how long mapping and profiles still have to be waited for, `waited_s` after the first look.

    A unification is waited for until it has changed something, then everything until nothing changed for `rest_s`; a
    fixed wait of that length where the columns do not tell: from the first look on, since what was told last may have been
    told while the run waited for another one. A `rest_s` of 0 waits for nothing.
    """
    if not rules.rest_s or waited_s >= rules.most_s:
        return SETTLED
    arrival_s = min(rules.arrival_s, rules.most_s) - waited_s
    if awaited.for_job and marks is not None and arrival_s > 0 and not _has_arrived(marks, awaited):
        return Wait(arrival_s, _up_to("Waiting for the first changes of the unification in Dataverse", arrival_s))
    rested_s = waited_s if marks is None else now - marks.newest
    rest_s = min(rules.rest_s - rested_s, rules.most_s - waited_s)
    if rest_s <= 0:
        return SETTLED
    return Wait(rest_s, f"Waiting until mapping and profiles have rested for {_minutes(rules.rest_s / 60)}.")


def _has_arrived(marks: Marks, awaited: Awaited) -> bool:
    """Where nobody told when the unification began, something has to differ from what the last complete run saw."""
    return marks.newest > awaited.job_start if awaited.job_start else marks != awaited.last


def _up_to(what: str, seconds: float) -> str:
    return f"{what}, at most {_minutes(ceil(seconds / 60))}."


def _minutes(number: float) -> str:
    return f"{number:g} minute{'' if number == 1 else 's'}"
