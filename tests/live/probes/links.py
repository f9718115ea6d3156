"""P18 and P19: links that lead nowhere, and profiles that this account cannot see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import batched

from linker.core import odata
from linker.core.names import MAPPING_SET, PROFILE_KEY, PROFILE_SET
from tests.live.probes.points import Point, Result, probe
from tests.live.probes.scene import CUSTOMER, LOOKUP, MAPPING_KEY, Scene, need_link, need_rows
from tests.live.probes.wire import Asker

MAX_ROWS = 5_000
CHUNK = 50  # terms of one filter: the In operator may be missing

ORPHANS = Point("orphaned-links", "3", "Do links lead to profiles that do not exist?")


@probe("P18", "Orphaned links", (ORPHANS,))
async def ask_orphans(ask: Asker, scene: Scene) -> Sequence[Result]:
    source, _ = need_link(scene)
    query = odata.query(select=f"{source.key},{LOOKUP}", filter=f"{LOOKUP} ne null")
    pages = await ask.pages(source.entity_set + query, MAX_ROWS)
    linked = {str(row[LOOKUP]).lower() for page in pages for row in page.rows if row.get(LOOKUP)}
    there = await _found(ask, PROFILE_KEY, sorted(linked), quoted=False)
    missing = len(linked - {text.lower() for text in there})
    return (
        ORPHANS.settle("yes" if missing else "no", f"{missing} of {len(linked)} profiles linked from {source.table}"),
    )


GAP = Point("profiles-not-visible", "5", "Does this account see the profile of every CustomerId in the mapping?")


THROTTLE = Point(
    "throttled-by-the-table",
    "2.6",
    "Does the profile table throttle many requests in a row, and does it say how long to wait?",
    "elastic_throttle",
    {"none": "off", "with Retry-After": "wait", "without Retry-After": "bare"},
)


@probe("P19", "Profiles that are not visible", (GAP, THROTTLE))
async def ask_gap(ask: Asker, scene: Scene) -> Sequence[Result]:
    need_rows(scene)
    pages = await ask.pages(MAPPING_SET + odata.query(select=f"{MAPPING_KEY},{CUSTOMER}"), MAX_ROWS)
    named = {str(row[CUSTOMER]) for page in pages for row in page.rows if row.get(CUSTOMER)}
    seen = await _found(ask, CUSTOMER, sorted(named), quoted=True)
    missing = len(named - seen)
    return (
        GAP.settle("no" if missing else "yes", f"{missing} of {len(named)} CustomerIds without a visible profile"),
        THROTTLE.settle(describe_throttles(ask.throttles), f"{len(ask.throttles)} of {len(ask.exchanges)} requests"),
    )


def describe_throttles(waits: Sequence[str | None]) -> str:
    """Return whether answers had status 429, and whether each of them said how long to wait."""
    if not waits:
        return "none"
    return "without Retry-After" if None in waits else "with Retry-After"


async def _found(ask: Asker, column: str, values: Sequence[str], *, quoted: bool) -> set[str]:
    """Return which of some values profiles have."""
    found: set[str] = set()
    for chunk in batched(values, CHUNK):
        query = odata.query(select=column, filter=_any_of(column, chunk, quoted=quoted))
        for page in await ask.pages(PROFILE_SET + query, 10 * CHUNK):
            found |= {str(row[column]) for row in page.rows}
    return found


def _any_of(column: str, values: Iterable[str], *, quoted: bool) -> str:
    return " or ".join(f"{column} eq {odata.literal(value) if quoted else value}" for value in values)


PROBES = (ask_orphans, ask_gap)
