"""Where the time of a run went: its requests to Dataverse, each with kind, begin and end, over the wall time of the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

WRITES, LOOKUPS, MAPPING, OTHERS = "writes", "profiles and read-back", "mapping", "all else"

type Timed = tuple[str, float, float]
"""Kind, begin and end of a request, in seconds of one clock."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of wall time, by whether a write was under way, and of requests, by kind; many are under way at once."""

    before: float  # the first write
    writing: float  # with one write under way at least
    between: float  # none was: everybody read, saved, or kept a pause
    after: float  # the last write
    at_once: float  # writes, on average while one was
    requests: Mapping[str, float] = field(default_factory=dict)


def kind_of(path: str) -> str:
    """Return what a request to Dataverse is for."""
    if "UpdateMultiple" in path:
        return WRITES
    if "$batch" in path:
        return LOOKUPS
    return MAPPING if "msdynci_alternatekeys" in path else OTHERS


def spent(requests: Sequence[Timed], began: float, ended: float) -> Spent | None:
    """Return where the time from `began` to `ended` went, None for a run that wrote nothing."""
    writes = sorted((max(start, began), min(end, ended)) for kind, start, end in requests if kind == WRITES)
    writes = [(start, end) for start, end in writes if start < end]
    if not writes:
        return None
    first, last, busy = writes[0][0], max(end for _, end in writes), _covered(writes)
    by_kind = Counter[str]()
    for kind, start, end in requests:
        by_kind[kind] += end - start  # type: ignore[assignment]  # seconds
    return Spent(
        before=first - began,
        writing=busy,
        between=last - first - busy,
        after=ended - last,
        at_once=sum(end - start for start, end in writes) / busy,
        requests={kind: round(by_kind[kind], 3) for kind in (WRITES, LOOKUPS, MAPPING, OTHERS)},
    )


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return how much of the time at least one of the spans covers; they are sorted by their begin."""
    covered, until = 0.0, float("-inf")
    for start, end in spans:
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def sentence(found: Spent, seconds: float) -> str:
    """Return it in words."""
    requests = ", ".join(f"{kind} {seconds:,.1f}" for kind, seconds in found.requests.items())
    return (
        f"Of this engine's {seconds:,.1f} s, {found.before:.1f} passed before the first write, {found.writing:.1f} with writes "
        f"under way ({found.at_once:.1f} at once), {found.between:.1f} in between without one (pauses too), and "
        f"{found.after:.1f} after the last. Seconds of its requests, of which many are under way at once: {requests}.\n"
    )
