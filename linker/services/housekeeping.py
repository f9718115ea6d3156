"""What the timers keep in order: runs that died, runs that were promised and not started, and records that expired.

The watchdog ends the first and starts the second; the run lock decides. Expired records are deleted, a bounded number per tick;
the next tick continues.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from linker.adapters import telemetry
from linker.core.model import Run, RunRequest, Status
from linker.core.runs.activity_values import UPDATED
from linker.core.runs.lifecycle import PAUSED, end_early, promise_run
from linker.core.runs.lock_state import LockState, TakeOver
from linker.core.runs.run_lock import MAX_INTERRUPTIONS, find_grant
from linker.core.serialization import iso, parse_time
from linker.deps import Deps
from linker.services.run_requests import Start, as_waiting, request_run, start_run

_LOG = logging.getLogger(__name__)

STAND_BY_S = 55.0  # looks come each minute by default, and do not overlap
LEASE_MARGIN_S = 0.5
OPEN_DAYS = 30.0  # among the runs of so many days are looked for open ones

INTERRUPTED = "interrupted: the run sent no heartbeat. The app or its storage stopped, or the app was updated."
NEVER_BEGAN = "interrupted: the run was promised and could not be started. Nothing was written."
LOST = "interrupted: the run lock names this run no more. Its storage was deleted or set back."
CANCELED = "Canceled by request."
TAKEN_BACK = "Canceled by request before it began."

type Sleep = Callable[[float], Awaitable[object]]


async def watch_runs(deps: Deps, start: Start, *, sleep: Sleep | None = None) -> str:
    """End a run whose lease ran out and start its work again; start a run that was promised and not started; end runs that
    the lock names no more. Returns the run that was started, empty when none was.

    With `sleep` it stays while a run holds the lock, and looks again when the lease that it saw has run out: else a run
    that died right after a look would wait for the next one.
    """
    await end_interrupted(deps)  # of a takeover whose watchdog died; the lock remembers the last one alone
    found = await _end_lost(deps, start)
    began, until = await _take_over(deps, start), deps.clock() + _stand_by_s(deps)
    telemetry.beat()
    while (
        sleep and not began and (wait_s := _seconds_left(await deps.lock.peek(), deps.clock())) < until - deps.clock()
    ):
        await sleep(wait_s)
        began = await _take_over(deps, start)
    return began or found


def _stand_by_s(deps: Deps) -> float:
    """Return how long a look may last. One that comes once a minute stays until shortly before the next one."""
    return STAND_BY_S if deps.settings.watchdog_schedule.split()[0].isdecimal() else 0.0


def _seconds_left(state: LockState, now: float) -> float:
    """Return after how many seconds the lease as it is now will have run out."""
    return max(state.expires - now, 0.0) + LEASE_MARGIN_S if state.holder else float("inf")


async def _take_over(deps: Deps, start: Start) -> str:
    """End a run whose lease ran out. Returns the run that was started, empty when none was."""
    taken = await deps.lock.take_over()
    if taken is None:
        return await _start_waiting(deps, start)
    await deps.runs.create(promise_run(taken.ended))  # its requester may have died, or sleep, before saving it
    await end_interrupted(deps)
    if taken.next is None:
        return ""
    return await start_run(deps, taken.next, start)


async def _start_waiting(deps: Deps, start: Start) -> str:
    """Start the run that holds the lock and has not begun, or that waited for the end of a pause. Returns it, if any."""
    state = await deps.lock.peek()
    waiting = [ticket for ticket in (state.pending, state.pending_dry) if ticket is not None]
    if state.holder is not None or not waiting:
        return await _start_again(deps, state, start)
    if (following := await deps.lock.begin_waiting()) is not None:
        return await start_run(deps, following, start)
    for ticket in waiting:  # it may have waited for another run, or follow one, that has ended during the pause
        shown = await deps.runs.load(ticket.run)
        if shown is not None and shown.status_detail != PAUSED and not shown.steps:
            await deps.runs.advance(ticket.run, partial(as_waiting, request=ticket.request, what_for=PAUSED))
    return ""


async def _start_again(deps: Deps, state: LockState, start: Start) -> str:
    """Start the run that holds the lock and has not begun yet; one that is about to begin is left alone by `start`."""
    holder = state.holder
    if holder is None or state.unstarted != holder.run:
        return ""
    return await start_run(deps, holder, start)


async def _end_lost(deps: Deps, start: Start) -> str:
    """End the runs that are shown as open and that the lock does not name. Returns the run that does their work again.

    A run is written into the lock before it is shown, and leaves the lock after it was shown as ended. So one that is open
    and not named was canceled while it waited, or the lock was lost.
    """
    shown = [run.id for run in await deps.runs.since(OPEN_DAYS) if run.ended_at is None]
    state = await deps.lock.peek()
    dead = state.taken.ended if state.taken else None
    named = {ticket.run for ticket in (state.holder, state.pending, state.pending_dry, dead) if ticket is not None}
    follower = ""
    for lost in [run for run in shown if run not in named]:
        follower = await _end_one(deps, lost, start, is_dropped=lost in state.dropped) or follower
    return follower


async def _end_one(deps: Deps, lost: str, start: Start, *, is_dropped: bool) -> str:
    run, now = await deps.runs.load(lost), deps.clock()
    if run is None or run.ended_at is not None:
        return ""
    if is_dropped:
        await deps.runs.advance(lost, lambda old: end_early(old, Status.CANCELED, TAKEN_BACK, now))
        return ""
    work = RunRequest(run.mode, tables=run.requested_tables, jobs=run.jobs, trigger=run.trigger)
    follower = "" if run.dry_run else (await request_run(deps, work, start)).id
    rest = f" Its work starts again as run {follower}." if follower else ""
    await deps.runs.advance(
        lost, lambda old: replace(end_early(old, Status.FAILED, f"{LOST}{rest}", now), follow_up=follower or None)
    )
    _LOG.warning("Run %s: %s%s", lost, LOST, rest)
    return follower


async def end_interrupted(deps: Deps) -> None:
    """End the run that was taken over last, unless it has ended: the watchdog that took it over may have died before that."""
    taken = (await deps.lock.peek()).taken
    dead = await deps.runs.load(taken.ended.run) if taken else None
    if taken is None or dead is None or dead.ended_at is not None:
        return
    status = Status.CANCELED if taken.canceled else Status.FAILED
    detail = _how_it_died(taken, dead)
    now = deps.clock()
    if taken.successor:  # the dead run names it, so it must be there to read
        grant = find_grant(await deps.lock.peek(), taken.successor, taken.ended.request)
        await deps.runs.create(promise_run(grant.ticket))
    await deps.runs.advance(
        dead.id, lambda old: replace(end_early(old, status, detail, now), follow_up=taken.successor or None)
    )
    _LOG.warning("Run %s: %s", dead.id, detail)


def _how_it_died(taken: TakeOver, dead: Run) -> str:
    """Say what becomes of the work of a run that was taken over."""
    if taken.canceled:
        return CANCELED
    what = UPDATED if dead.status_detail == UPDATED else INTERRUPTED if taken.begun else NEVER_BEGAN
    if taken.successor:
        return f"{what} Its work starts again as run {taken.successor}."
    rests = "A dry run is given up then" if taken.ended.request.dry_run else "Its work rests until a run is asked for"
    return (
        f"{what} That happened {MAX_INTERRUPTIONS} times without anything newly saved. {rests}; "
        "see the log of the app for why it stopped."
    )


# ---- expired records ----

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
