"""Everything that starts a run leads to one question: request a run. The run lock decides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial

from linker.adapters import telemetry
from linker.adapters.customer_insights import NoAnswer
from linker.adapters.dataverse.change_times import workflow_job
from linker.core.errors import LinkerError, TransientError
from linker.core.model import Mode, Run, RunRequest, Status, Ticket
from linker.core.runs.activity_values import UPDATED
from linker.core.runs.lifecycle import PAUSED, WAITING, end_early, named, promise_run, with_request
from linker.core.runs.request_merging import merge_requests
from linker.core.runs.run_lock import MAX_INTERRUPTIONS, LockState, TakeOver, find_grant, pause_at
from linker.core.runs.signals import Marks, SignalKind
from linker.core.runs.workflow_jobs import WorkflowJob, read_events
from linker.core.times import find_time, parse_time
from linker.deps import Deps
from linker.services.watermark_reading import look_at_marks

_LOG = logging.getLogger(__name__)

# A run that failed or skipped a table did not serve its unification. The timer tries again, but not at every tick:
# an administrator has to fix something first, and may ask for a run at once.
UNSERVED_RETRY_S = 3_600.0
PASSING_RETRY_S = 240.0  # after a run that failed, or skipped a table, for a reason that may pass: the next tick
# A row that was deleted and re-created, or a profile that is gone, moves no mark.
MAX_BETWEEN_RUNS_S = 86_400.0

# Hosts and Customer Insights agree on the time to some minutes. What began later than that did not begin.
MAX_AHEAD_S = 300.0
STAND_BY_S = 55.0  # looks come each minute by default, and do not overlap
LEASE_MARGIN_S = 0.5
OPEN_DAYS = 30.0  # among the runs of so many days the watchdog looks for open ones

EVENTS = "event hub"  # who acts in the audit: it does not say who sent an event

INTERRUPTED = "interrupted: the run sent no heartbeat. The app or its storage stopped, or the app was updated."
NEVER_BEGAN = "interrupted: the run was promised and could not be started. Nothing was written."
LOST = "interrupted: the run lock names this run no more. Its storage was deleted or set back."
CANCELED = "Canceled by request."
TAKEN_BACK = "Canceled by request before it began."

type Sleep = Callable[[float], Awaitable[object]]
type Start = Callable[[Ticket], Awaitable[None]]
"""Starts the orchestration of a run; one that runs already is left alone."""


async def request_run(deps: Deps, wanted: RunRequest, start: Start, key: str = "", who: str = "") -> Run:
    """Return the run that does what is wanted: a new one, one that waits, one that runs, or one that did it already.

    The same `key` again is the same request, sent twice. A run that took the lock and was not started, because the app or
    its storage failed in between, is started by the next request. `who` asks by hand: the run names the caller.
    """
    if wanted.job_start > deps.clock() + MAX_AHEAD_S:
        wanted = replace(wanted, job_start=0.0)
    grant = await deps.lock.request(wanted, key)
    run = await deps.runs.create(named(promise_run(grant.ticket), who))
    if grant.unstarted is not None:
        await _start_run(deps, grant.unstarted, start, is_shown=grant.unstarted == grant.ticket)
    if grant.waits:
        what_for = PAUSED if grant.paused else WAITING
        change = partial(as_waiting, request=grant.ticket.request, what_for=what_for)
        return await deps.runs.advance(grant.run, lambda waiting: named(change(waiting), who))
    if named(run, who) == run:
        return run
    return await deps.runs.advance(grant.run, lambda merged_with: named(merged_with, who))


def as_waiting(run: Run, request: RunRequest, what_for: str = WAITING) -> Run:
    """Return a run that waits, with what for and all that it has to do; one that began stays as it is.

    News of several requests may come in any order, so that what it shows only becomes more.
    """
    if run.status is not Status.QUEUED or run.steps:
        return run
    shown = RunRequest(run.mode, run.dry_run, run.requested_tables, run.jobs, unlink_allowed=run.unlink_allowed)
    return replace(with_request(run, merge_requests(shown, request)), status_detail=what_for)


async def unification_events(deps: Deps, bodies: Iterable[bytes], start: Start) -> str:
    """Ask for a run when a batch of Event Hubs messages reports unifications. Returns the run, if any."""
    told = read_events(bodies, deps.settings.insights_instance_id)
    if told.malformed:
        _LOG.warning("%d of the records that arrived are malformed and were left out.", told.malformed)
    _LOG.info("Unifications reported by events: %d; other records: %d.", len(told.jobs), told.ignored)
    if not told.jobs:
        return ""
    await deps.signals.receive(SignalKind.EVENTS, f"Job {told.jobs[-1]} has merged.", again=True)
    await deps.audit.note("unification_events", EVENTS, {"jobs": list(told.jobs)})
    return (await request_run(deps, RunRequest(jobs=told.jobs, job_start=told.job_start, trigger="event"), start)).id


async def watchdog(deps: Deps, start: Start, *, sleep: Sleep | None = None) -> str:
    """End a run whose lease ran out and start its work again; start a run that was promised and not started; end runs that
    the lock names no more. Returns the run that was started, empty when none was.

    With `sleep` it stays while a run holds the lock, and looks again when the lease that it saw has run out: else a run
    that died right after a look would wait for the next one.
    """
    await _end_interrupted(deps)  # of a takeover whose watchdog died; the lock remembers the last one alone
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
    await _end_interrupted(deps)
    if taken.next is None:
        return ""
    return await _start_run(deps, taken.next, start)


async def _start_waiting(deps: Deps, start: Start) -> str:
    """Start the run that holds the lock and has not begun, or that waited for the end of a pause. Returns it, if any."""
    state = await deps.lock.peek()
    waiting = [ticket for ticket in (state.pending, state.pending_dry) if ticket is not None]
    if state.holder is not None or not waiting:
        return await _start_again(deps, state, start)
    if (following := await deps.lock.begin_waiting()) is not None:
        return await _start_run(deps, following, start)
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
    return await _start_run(deps, holder, start)


async def _start_run(deps: Deps, ticket: Ticket, start: Start, *, is_shown: bool = False) -> str:
    """Start a run, which can be read before it begins. Returns its id."""
    if not is_shown:
        await deps.runs.create(promise_run(ticket))
    await start(ticket)
    return ticket.run


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


async def poll(deps: Deps, start: Start) -> str:
    """Ask for a run when something happened that no complete run has seen, and once a day. Returns the run, if any.

    That is a unification that Customer Insights reports, or marks other than those of the last complete run.
    """
    if not deps.settings.poll or pause_at(await deps.lock.peek(), deps.clock()):  # the next tick looks again
        return ""
    wanted = await _unseen(deps)
    if wanted is None or await _was_tried_lately(deps, wanted):
        return ""
    return (await request_run(deps, wanted, start)).id


async def verify(deps: Deps, start: Start) -> str:
    """Ask for the daily verify run, if there is to be one. Returns the run, if any."""
    tables = () if deps.settings.verify else deps.settings.unlisted_tables
    if not deps.settings.verify and not tables:
        return ""
    return (await request_run(deps, RunRequest(Mode.VERIFY, tables=tables, trigger="timer"), start)).id


async def _end_interrupted(deps: Deps) -> None:
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


async def _unseen(deps: Deps) -> RunRequest | None:
    """Return the request for what no complete run has seen, None when there is nothing."""
    state, job = await deps.lock.peek(), await _last_unification(deps)
    if job is not None and job.id not in dict(state.served):
        return RunRequest(jobs=(job.id,), job_start=job.began, trigger="timer")
    if state.holder is not None:  # it looks for itself whether anything moved meanwhile
        return None
    task, last = await deps.runs.task(), await deps.runs.shown()
    if last is not None and last.status is Status.RETRYING and last.ended_at and not (last.dry_run or last.follow_up):
        # Nothing else may have moved since, so that nothing else would ask for it.
        return RunRequest(last.mode, tables=last.requested_tables, jobs=last.jobs, trigger="timer")
    overdue = deps.clock() - task.completed >= MAX_BETWEEN_RUNS_S
    return RunRequest(trigger="timer") if overdue or await _have_moved(deps, task.marks) else None


async def _have_moved(deps: Deps, seen: Marks | None) -> bool:
    """Whether mapping or profiles changed since; also when they are not to be read any more: a run shows what is missing."""
    try:
        return (await look_at_marks(deps, seen)).marks not in (None, seen)
    except TransientError:
        raise
    except LinkerError:
        return True


async def _last_unification(deps: Deps) -> WorkflowJob | None:
    """Return the newest unification that Customer Insights or Dataverse knows of. None is allowed: the marks decide."""
    told = await asyncio.gather(_from_insights(deps), _from_workflow_tables(deps))
    return next((job for job in told if job is not None), None)


async def _from_insights(deps: Deps) -> WorkflowJob | None:
    if deps.insights is None:
        return None
    found = await deps.insights.last_unification()
    if isinstance(found, NoAnswer):
        _LOG.warning("Customer Insights was not asked for unifications: %s", found.reason)
        await deps.signals.miss(SignalKind.INSIGHTS, found.reason)
        return None
    if found is None:
        await deps.signals.miss(SignalKind.INSIGHTS, "It knows of no successful merge among the newest jobs.")
        return None
    await deps.signals.receive(SignalKind.INSIGHTS, f"Job {found.id} has merged.")
    return WorkflowJob(found.id, find_time(found.submitted_at))


async def _from_workflow_tables(deps: Deps) -> WorkflowJob | None:
    found, note = await workflow_job(deps.patient_dataverse(), deps.clock())
    if found is None:
        await deps.signals.miss(SignalKind.WORKFLOW, note)
    else:
        await deps.signals.receive(SignalKind.WORKFLOW, f"Job {found.id} has merged.")
    return found


async def _was_tried_lately(deps: Deps, wanted: RunRequest) -> bool:
    """Whether a run for the same ended a while ago without being complete. One that could not start is tried at once."""
    last = await deps.runs.shown()
    if last is None or last.ended_at is None or last.status is Status.NOT_STARTED:
        return False
    ended_s = parse_time(last.ended_at)
    is_other = last.requested_tables != wanted.tables or not set(wanted.jobs) <= set(last.jobs)
    if last.dry_run or is_other or (last.requested_tables and last.status is not Status.RETRYING):
        return False
    is_complete = ended_s <= (await deps.runs.task()).completed
    is_passing = last.status is Status.RETRYING or any(table.passing for table in last.tables)
    wait_s = PASSING_RETRY_S if is_passing else UNSERVED_RETRY_S
    return not is_complete and deps.clock() - ended_s < wait_s
