"""How hard to push Dataverse: a pure controller, applied by the orchestrator after each finished page (design decision 4).

Additive increase, multiplicative decrease: a throttle halves the width, calm pages win it back one by one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from linker.model import WIRE, Pace

FEWEST = 1  # writes in flight
SMALLEST, LARGEST = 50, 1_000  # rows in one UpdateMultiple: documented advice is 100 to 1,000 (dataverse.md 2.4)
TARGET_S = 5.0  # one write request should take about this long: far from the 2 minutes at which Dataverse gives up


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
        return replace(pace, width=max(FEWEST, pace.width // 2), calm=0)
    if pace.calm + 1 >= pace.width and pace.width < pace.ceiling:
        return replace(pace, width=pace.width + 1, calm=0)
    return replace(pace, width=min(pace.width, pace.ceiling), calm=pace.calm + 1)


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
