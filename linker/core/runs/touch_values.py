"""The values of the touch phase, in and out of its activities; see values."""

from __future__ import annotations

from dataclasses import dataclass

from linker.core.model import WIRE, Touches
from linker.core.throttling.pace import Load, Pace


@dataclass(frozen=True, slots=True)
class TouchRef:
    """The touch phase of a run."""

    __pydantic_config__ = WIRE
    run: str
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class TouchPlan:
    """In how many parts the waiting profiles are touched, 0 when none waits; `left_out` says why nothing is touched."""

    __pydantic_config__ = WIRE
    parts: int = 0
    left_out: str = ""


@dataclass(frozen=True, slots=True)
class TouchTask:
    """The next profiles of one part, those after the id `after`."""

    __pydantic_config__ = WIRE
    run: str
    part: int
    parts: int
    pace: Pace = Pace()
    dry_run: bool = False
    after: str = ""


@dataclass(frozen=True, slots=True)
class TouchOutcome:
    """What became of these profiles; `after` continues the part, None when it is done.

    `later_s` says when to try again and `later_reason` why, `left_out` why never. `refusal` is Dataverse's word about one.
    """

    __pydantic_config__ = WIRE
    touches: Touches = Touches()
    after: str | None = None
    later_s: float = 0.0
    later_reason: str = ""
    left_out: str = ""
    refusal: str = ""
    load: Load = Load()


@dataclass(frozen=True, slots=True)
class TouchReport:
    """News of the touch phase. When it is over, what waited is forgotten, unless the next run is to try again (`again`)."""

    __pydantic_config__ = WIRE
    run: str
    touches: Touches
    dry_run: bool = False
    over: bool = False
    again: bool = False
    left_out: str = ""
    refusal: str = ""
    paused_s: float = 0.0
