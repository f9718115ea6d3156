"""What a run hands to its generations and gets back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from linker.activities.values import Totals
from linker.model import WIRE, Counts, Mode
from linker.pace import Pace


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
    tries: int = 0  # that each of these pages has behind it


def joined(pages: Iterable[Share]) -> tuple[Share, ...]:
    """Return single pages as the fewest shares, so that they fit into one value however many there are."""
    shares: list[Share] = []
    for page in sorted(pages, key=lambda page: (page.table, page.first)):
        last = shares[-1] if shares else None
        if (
            last is not None
            and replace(page, first=last.first) == replace(last, end=page.end)
            and page.first == last.end
        ):
            shares[-1] = replace(last, end=page.end)
        else:
            shares.append(page)
    return tuple(shares)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What the tables came to that a generation has no pages of: their number must not make its values grow."""

    __pydantic_config__ = WIRE
    counts: Counts = Counts()
    pages: int = 0


@dataclass(frozen=True, slots=True)
class GenerationTask:
    """The pages of one generation, of `pages_total` of the run, and the totals of their tables so far.

    `elsewhere` is what other tables came to. It begins with a pause of `rest_s` that is not over.
    """

    __pydantic_config__ = WIRE
    run: str
    shares: tuple[Share, ...]
    pages_total: int
    pace: Pace
    totals: dict[str, Totals] = field(default_factory=dict)
    seconds: float = 0.0
    dry_run: bool = False
    rest_s: float = 0.0
    elsewhere: Elsewhere = Elsewhere()


@dataclass(frozen=True, slots=True)
class GenerationOutcome:
    """Totals of its tables so far, the pace to go on with, and why to stop, if so."""

    __pydantic_config__ = WIRE
    totals: dict[str, Totals]
    pace: Pace
    seconds: float
    stop: str = ""
    left: tuple[Share, ...] = ()  # pages that one history had no room for; the next generation has them
    rest_s: float = 0.0  # of a pause that is not over
