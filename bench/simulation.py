"""Arithmetic of a run at any size, for one table. Pure; every constant is the product's own."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from linker.core.linking.hash_blocks import Entry, pack
from linker.core.linking.shards import bits_for
from linker.core.odata import IN_VALUES
from linker.core.throttling.width import LARGEST
from linker.durable.activities.scan_mapping import SLICE_ROWS
from linker.durable.activities.unlink_table import SHARDS_A_CALL
from linker.durable.orchestrators.activity_calls import Room
from linker.durable.orchestrators.generation import GENERATION_SHARDS, REPORTS
from linker.durable.orchestrators.run import UNLINK_CALLS

SIZES = (10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
PAGE_ROWS_READ = 500  # one response of an elastic table (elastic.md)
PROFILES_PER_ROW = 0.6  # as in the generated data: 40 % of the rows are duplicates
ENTRY_BYTES = len(pack({bytes(16): (Entry(0, 0),)}))
# History of one awaited call: scheduled, completed, and the episode's start and end around them.
EVENTS_A_CALL = 4
EVENTS_A_RUN = 6  # execution started and completed, first and last episode
STEPS_OF_A_RUN = 10  # begin, settle, survey, prepare, scan, plan, unlink, end of table, end of run, start of the next
# Table Storage operations of a shard: lock, header and staged rows; or lock, block, staged rows, intents, scan, profiles to
# touch, result. tests/bench/test_storage_operations.py counts them.
OPERATIONS_UNCHANGED, OPERATIONS_LINKED = 3, 7


@dataclass(frozen=True, slots=True)
class Simulated:
    """One table of `rows` rows. Requests are HTTP requests; operations are what service protection counts (1.6)."""

    rows: int
    shards: int
    read_requests: int  # of a full scan
    slices: int
    write_requests: int  # the fewest: small or slow requests make more
    link_requests: int  # of a first link: mapping, profiles, writes, read-back
    link_operations: int  # the same, each part of a $batch counted
    unchanged_transactions: int  # of shards; a scan has some for each slice besides
    link_transactions: int
    state_bytes: int
    generations: int
    generation_events: int
    run_events: int
    departing_events: int  # of the run when a row departed from each shard

    @property
    def shard_rows(self) -> float:
        """Rows of a shard."""
        return self.rows / self.shards


def simulate(rows: int) -> Simulated:
    """Return what a table of `rows` rows takes."""
    shards = 1 << bits_for(rows)
    shard_rows = rows / shards
    reads = ceil(rows / PAGE_ROWS_READ)
    batches = shards * ceil(shard_rows / LARGEST)
    profile_parts = shards * ceil(shard_rows * PROFILES_PER_ROW / IN_VALUES)
    row_parts = shards * ceil(shard_rows / IN_VALUES)
    generations = ceil(shards / GENERATION_SHARDS)
    reports = ceil(min(shards, REPORTS) / generations) + 1
    run_events = EVENTS_A_RUN + EVENTS_A_CALL * (STEPS_OF_A_RUN + generations)
    unlinking = ceil(shards / SHARDS_A_CALL)
    children = ceil(max(0, unlinking - UNLINK_CALLS) / Room().calls)
    return Simulated(
        rows=rows,
        shards=shards,
        read_requests=reads,
        slices=ceil(rows / SLICE_ROWS),
        write_requests=batches,
        link_requests=reads + shards + batches + shards,
        link_operations=reads + profile_parts + batches + row_parts,
        unchanged_transactions=shards * OPERATIONS_UNCHANGED,
        link_transactions=shards * OPERATIONS_LINKED,
        state_bytes=rows * ENTRY_BYTES,
        generations=generations,
        generation_events=EVENTS_A_RUN + EVENTS_A_CALL * (min(shards, GENERATION_SHARDS) + reports),
        run_events=run_events,
        departing_events=run_events + EVENTS_A_CALL * (min(unlinking, UNLINK_CALLS) + children),
    )
