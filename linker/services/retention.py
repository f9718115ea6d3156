"""Deletes expired records, a bounded number per timer tick; the next tick continues."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from linker.core.model import Run, Status
from linker.core.serialization import iso, parse_time
from linker.deps import Deps

_LOG = logging.getLogger(__name__)

DAY_S: Final = 86_400.0
BEGINNING: Final = datetime(2020, 1, 1, tzinfo=UTC)  # no orchestration of ours is older; the platform requires a time
LONGEST: Final = timedelta(minutes=5)  # of one purge of durable history; the next one continues

type Forget = Callable[[datetime], Awaitable[int]]
"""Deletes the durable history of orchestrations that began before a time and have ended; returns how many."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one purge deletes at most. A row error takes a request, so these are some minutes."""

    runs: int = 500
    issues: int = 20_000
    audit: int = 5_000


async def purge(deps: Deps, forget: Forget, most: Bounds = Bounds()) -> None:
    """Delete durable history, runs with their row errors, what is remembered of rows, and the audit, each at its age."""
    now, settings = deps.clock(), deps.settings
    instances = await forget(datetime.fromtimestamp(now - settings.keep_history_days * DAY_S, UTC))
    runs = await _purge_runs(deps, now, most)
    rows = await _purge_rows(deps, iso(now - settings.keep_days * DAY_S), most)
    entries = await deps.audit.delete_before(now - settings.keep_audit_days * DAY_S, most.audit)
    _LOG.info(
        "Deleted: %d orchestrations, %d runs, what was remembered of %d rows, %d entries of the audit.",
        instances,
        runs,
        rows,
        entries,
    )


async def _purge_runs(deps: Deps, now: float, most: Bounds) -> int:
    deleted, left = 0, most.issues
    async for run in _old_runs(deps, now):
        left -= await deps.issues.delete_of_run(run, left)
        if left <= 0 or deleted == most.runs:
            break
        await deps.samples.delete_of_run(run)
        await deps.runs.delete(run)
        deleted += 1
    return deleted


async def _old_runs(deps: Deps, now: float) -> AsyncIterator[str]:
    """Yield runs whose time is over and that nothing leads to any more, oldest first."""
    needed = await _find_needed(deps)
    for run in reversed(await deps.runs.ids()):
        found = await deps.runs.load(run) if run not in needed else None
        if found is not None and parse_time(found.requested_at) < now - _seconds_to_keep(deps, found):
            yield run


def _seconds_to_keep(deps: Deps, run: Run) -> float:
    """What could not start is tried at every tick, so that such runs are many and say the same."""
    return DAY_S if run.status is Status.NOT_STARTED else deps.settings.keep_days * DAY_S


async def _find_needed(deps: Deps) -> set[str]:
    """Return the run that the task shows, and those that the lock leads requesters to."""
    state = await deps.lock.peek()
    tickets = (state.holder, state.pending, state.pending_dry, state.parked)
    led_to = {run for _, run in (*state.served, *state.asked)} | {
        ticket.run for ticket in tickets if ticket is not None
    }
    return led_to | {(await deps.runs.task()).run}


async def _purge_rows(deps: Deps, before: str, most: Bounds) -> int:
    deleted = 0
    for table in await deps.states.tables():
        deleted += await deps.issues.delete_seen_before(table, before, most.issues - deleted)
    return deleted
