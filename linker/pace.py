"""How hard to push Dataverse: a pure controller, applied by the orchestrator after each finished page (design decision 4).

Additive increase, multiplicative decrease: a throttle halves the width, calm pages win it back one by one. A step that made
everything slower is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from linker.model import WIRE

FEWEST = 1  # writes in flight
SMALLEST, LARGEST = 50, 1_000  # rows in one UpdateMultiple: documented advice is 100 to 1,000 (dataverse.md 2.4)
LOSS = 0.9  # of the rows a second before a step: less than that is no noise
BACK, REST = 2, 3  # lanes a step back takes, since pages feel the step before late; rounds of pages before the next try
SMOOTHING = 0.3
TARGET_S = 5.0  # one write request should take about this long: far from the 2 minutes at which Dataverse gives up


@dataclass(frozen=True, slots=True)
class Pace:
    """How hard to push: writes in flight, and rows in one of them."""

    __pydantic_config__ = WIRE
    width: int = 4
    batch: int = 500
    ceiling: int = 16  # most writes in flight, from x-ms-dop-hint
    calm: int = 0  # pages finished since the last throttle or step; below zero after a step back, which rests longer
    row_s: float = 0.0  # what a row takes at this width: slowest write of each page over its rows, smoothed
    narrower_row_s: float = 0.0  # what it took one step narrower, 0 when nobody knows
    most: int = 64  # writes in flight that nobody may exceed (LINKER_WIDTH)


def first_pace(most: int) -> Pace:
    """Return the pace to begin with; `most` is LINKER_WIDTH, 0 leaves the width to Dataverse's hint."""
    return Pace(width=min(Pace().width, most), ceiling=most, most=most) if most else Pace()


@dataclass(frozen=True, slots=True)
class Load:
    """What one page felt of Dataverse."""

    __pydantic_config__ = WIRE
    throttled: bool = False
    timed_out: bool = False
    dop_hint: int = 0  # last x-ms-dop-hint seen, 0 when none was
    slowest_s: float = 0.0  # slowest write request
    slowest_rows: int = 0  # rows in it


def next_pace(pace: Pace, load: Load) -> Pace:
    """Return the pace for the pages that start after this one."""
    pace = replace(pace, ceiling=_ceiling(pace, load), batch=next_batch(pace.batch, load))
    if load.throttled:
        return _step(pace, max(FEWEST, pace.width // 2))
    if pace.width > pace.ceiling:
        return _step(pace, pace.ceiling)
    pace = replace(pace, calm=pace.calm + 1, row_s=_smoothed(pace.row_s, load))
    if pace.calm == pace.width and _is_crowded(pace):
        return _step(pace, max(FEWEST, pace.width - BACK), rest=REST * pace.width)
    if pace.calm >= pace.width and pace.width < pace.ceiling:
        return replace(_step(pace, pace.width + 1), narrower_row_s=pace.row_s)
    return pace


def _step(pace: Pace, width: int, rest: int = 0) -> Pace:
    return replace(pace, width=width, calm=-rest, row_s=0.0, narrower_row_s=0.0)


def _smoothed(row_s: float, load: Load) -> float:
    if not load.slowest_rows:
        return row_s
    felt = load.slowest_s / load.slowest_rows
    return round(row_s + SMOOTHING * (felt - row_s), 6) if row_s else felt


def _is_crowded(pace: Pace) -> bool:
    """Whether one lane more brought less: Dataverse slows down without a throttle (dataverse.md 1.5)."""
    if not (pace.row_s and pace.narrower_row_s):
        return False
    return pace.width / pace.row_s < LOSS * (pace.width - 1) / pace.narrower_row_s


def next_batch(batch: int, load: Load) -> int:
    """Return how many rows the next write requests should carry to take about TARGET_S each."""
    if load.timed_out:
        return max(SMALLEST, batch // 2)
    if not load.slowest_rows or load.slowest_s <= 0:
        return batch
    fitting = int(load.slowest_rows * TARGET_S / load.slowest_s)
    return max(SMALLEST, min(LARGEST, fitting, batch * 2))


def _ceiling(pace: Pace, load: Load) -> int:
    """The hint is for the whole environment; going above it can make things slower, not only throttled (dataverse.md 1.5)."""
    return max(FEWEST, min(pace.most, load.dop_hint or pace.ceiling))
