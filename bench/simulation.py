"""Arithmetic of a run at any size, for one table with evenly spread keys. Pure; every constant is the product's own."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from linker.pages import COUNT_CAP, DIGITS, cuts_from_counts

from linker.activities.unlink import PAGES_A_CALL
from linker.core.blocks import pack
from linker.core.pace import Pace
from linker.odata import IN_VALUES
from linker.orchestration.generation import GENERATION_PAGES, REPORTS
from linker.orchestration.run import UNLINK_CALLS
from linker.orchestration.steps import Room

SIZES = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
PAGE_ROWS_READ = 5_000  # one response (dataverse.md 5.1)
PROFILES_PER_ROW = 0.6  # as in the generated data: 40 % of the rows are duplicates
ENTRY_BYTES = len(pack({bytes(16): (0,)}))
# History of one awaited call: scheduled, completed, and the episode's start and end around them.
EVENTS_A_CALL = 4
EVENTS_A_RUN = 6  # execution started and completed, first and last episode
STEPS_OF_A_RUN = 8  # begin, settle, survey, prepare, unlink, end of table, end of run, start of the next
# Table Storage operations of a page: lock and header; or lock, header, block, owner, plan, intents, result, lock.
OPERATIONS_UNCHANGED, OPERATIONS_WRITTEN = 2, 8


@dataclass(frozen=True, slots=True)
class Simulated:
    """One table of `rows` rows. Requests are HTTP requests; operations are what service protection counts (1.6)."""

    rows: int
    pages: int
    counts: int  # requests that planning asks, once in the life of a table
    read_requests: int  # of a run in which nothing changed, without its constant part
    write_requests: int
    link_requests: int  # of a first link: mapping, profiles, writes, read-back
    link_operations: int  # the same, each part of a $batch counted
    unchanged_transactions: int
    link_transactions: int
    state_bytes: int
    generations: int
    generation_events: int
    run_events: int
    departing_events: int  # of the run when a row departed from each page

    @property
    def page_rows(self) -> float:
        """Rows on a page."""
        return self.rows / self.pages

    @property
    def reads_over_least(self) -> float:
        """Mapping reads over the fewest that could serve so many rows."""
        return self.read_requests / ceil(self.rows / PAGE_ROWS_READ)


def simulate(rows: int) -> Simulated:
    """Return what a table of `rows` rows takes."""
    leaves, counts = _leaves(rows)
    pages = len(cuts_from_counts(leaves)) + 1
    page_rows = rows / pages
    reads = pages * ceil(page_rows / PAGE_ROWS_READ)
    batches = pages * ceil(page_rows / Pace().batch)
    profile_parts = pages * ceil(page_rows * PROFILES_PER_ROW / IN_VALUES)
    row_parts = pages * ceil(page_rows / IN_VALUES)
    generations = ceil(pages / GENERATION_PAGES)
    reports = ceil(min(pages, REPORTS) / generations) + 1
    run_events = EVENTS_A_RUN + EVENTS_A_CALL * (STEPS_OF_A_RUN + generations)
    unlinking = ceil(pages / PAGES_A_CALL)
    children = ceil(max(0, unlinking - UNLINK_CALLS) / Room().calls)
    return Simulated(
        rows=rows,
        pages=pages,
        counts=counts,
        read_requests=reads,
        write_requests=batches,
        link_requests=reads + pages + batches + pages,
        link_operations=reads + profile_parts + batches + row_parts,
        unchanged_transactions=pages * OPERATIONS_UNCHANGED,
        link_transactions=pages * OPERATIONS_WRITTEN,
        state_bytes=rows * ENTRY_BYTES,
        generations=generations,
        generation_events=EVENTS_A_RUN + EVENTS_A_CALL * (min(pages, GENERATION_PAGES) + reports),
        run_events=run_events,
        departing_events=run_events + EVENTS_A_CALL * (min(unlinking, UNLINK_CALLS) + children),
    )


def _leaves(rows: int) -> tuple[list[tuple[str, int]], int]:
    """Return the prefixes that planning counts down to, with their rows, and how many counts that takes."""
    depth = 0
    while rows / len(DIGITS) ** depth >= COUNT_CAP:
        depth += 1
    leaves = len(DIGITS) ** depth
    counts = sum(len(DIGITS) ** level for level in range(depth + 1))
    return [(f"{number:0{depth}x}" if depth else "", rows // leaves) for number in range(leaves)], counts
