"""What a run hands to its generations and gets back."""

from __future__ import annotations

from dataclasses import dataclass, field

from linker.activities.values import Totals
from linker.model import WIRE, Mode, Pace


@dataclass(frozen=True, slots=True)
class Share:
    """Pages `first` to `end` (exclusive) of one table in one version of its plan."""

    __pydantic_config__ = WIRE
    table: str
    version: str
    first: int
    end: int
    mode: Mode
    epoch: str


@dataclass(frozen=True, slots=True)
class GenerationTask:
    """The pages of one generation, of `pages_total` of the run."""

    __pydantic_config__ = WIRE
    run: str
    shares: tuple[Share, ...]
    pages_total: int
    pace: Pace
    totals: dict[str, Totals] = field(default_factory=dict)
    seconds: float = 0.0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class GenerationOutcome:
    """Totals so far, the pace to go on with, and why to stop, if so."""

    __pydantic_config__ = WIRE
    totals: dict[str, Totals]
    pace: Pace
    seconds: float
    stop: str = ""
    left: tuple[Share, ...] = ()  # pages that were tried too often for one history; the next generation has them
