"""Everything that starts a run leads to `request_run`; the run lock decides. It keeps pauses as well.

The marks are the newest change of mapping and of profiles, by which a run knows whether it has seen what is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial

from linker.adapters.customer_insights import NoAnswer
from linker.adapters.dataverse.change_times import newest_change, workflow_job
from linker.adapters.dataverse.patient_reads import Unread, answer_or_reason
from linker.core.errors import ConflictError, LinkerError, TransientError
from linker.core.model import Mode, Run, RunRequest, Status, Ticket
from linker.core.names import MAPPING_SET, PROFILE_SET
from linker.core.permissions.privileges import find_refused
from linker.core.runs.lifecycle import PAUSED, WAITING, add_requester, promise_run, with_request
from linker.core.runs.lock_state import Pause, merge_requests, pause_at
from linker.core.runs.signals import UNKNOWN, Look, Marks, SignalKind, look_again
from linker.core.runs.workflow_jobs import WorkflowJob, read_events
from linker.core.serialization import find_time, iso, parse_time
from linker.deps import Deps

MARKS_S = 60.0  # both tables, with the pauses that Dataverse asks for


async def look_at_marks(deps: Deps, since: Marks | None) -> Look:
    """Return the marks and since when every look has seen the same; the looks of the timer count too."""
    marks, before = await marks_of(deps, since), await deps.signals.look()
    look = look_again(before, marks, deps.clock())
    if look != before:
        await deps.signals.save_look(look)
        if marks is None:
            await deps.signals.miss(SignalKind.WATERMARKS, UNKNOWN)
        else:
            await deps.signals.receive(
                SignalKind.WATERMARKS, f"Mapping {iso(marks.mapping)}, profiles {iso(marks.profiles)}."
            )
    return look


async def marks_of(deps: Deps, since: Marks | None) -> Marks | None:
    """Return the newest change of mapping and of profiles, None where Dataverse does not say, refuses or does not answer.

    A profile that this app touched last does not count. It may have been the newest one before, so the mark of profiles
    never falls below the one in `since`, the marks that these are compared with. The mapping is looked at last, so that
    this is the moment up to which its changes are seen: one request asks for both, in this order.
    """
    dataverse, we = deps.patient_dataverse(), await deps.user()
    found = await answer_or_reason(
        dataverse,
        lambda: asyncio.gather(
            newest_change(dataverse, PROFILE_SET, besides=we), newest_change(dataverse, MAPPING_SET)
        ),
        MARKS_S,
    )
    if isinstance(found, Unread):
        if found.refusal and find_refused(found.refusal):  # of a privilege that every run needs
            raise found.refusal
        if found.refusal:
            await dataverse.user()  # raises when Dataverse refuses everything: a run then shows why
        return None
    profiles, mapping = found
    if mapping is None or profiles is None:
        return None
    seconds, version = max(profiles, (since.profiles, since.profiles_version)) if since else profiles
    return Marks(mapping.seconds, seconds, mapping.version, version)


# ---- requests ----

_LOG = logging.getLogger(__name__)

# A run that failed or skipped a table did not serve its unification. The timer tries again, but not at every tick:
# an administrator has to fix something first, and may ask for a run at once.
UNSERVED_RETRY_S = 3_600.0
PASSING_RETRY_S = 240.0  # after a run that failed, or skipped a table, for a reason that may pass: the next tick
# A row that was deleted and re-created, or a profile that is gone, moves no mark.
MAX_BETWEEN_RUNS_S = 86_400.0

# Hosts and Customer Insights agree on the time to some minutes. What began later than that did not begin.
MAX_AHEAD_S = 300.0
EVENTS = "event hub"  # who acts in the audit: it does not say who sent an event

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
    run = await deps.runs.create(add_requester(promise_run(grant.ticket), who))
    if grant.unstarted is not None:
        await start_run(deps, grant.unstarted, start, is_shown=grant.unstarted == grant.ticket)
    if grant.waits:
        what_for = PAUSED if grant.paused else WAITING
        change = partial(as_waiting, request=grant.ticket.request, what_for=what_for)
        return await deps.runs.advance(grant.run, lambda waiting: add_requester(change(waiting), who))
    if add_requester(run, who) == run:
        return run
    return await deps.runs.advance(grant.run, lambda merged_with: add_requester(merged_with, who))


async def start_run(deps: Deps, ticket: Ticket, start: Start, *, is_shown: bool = False) -> str:
    """Start a run, which can be read before it begins. Returns its id."""
    if not is_shown:
        await deps.runs.create(promise_run(ticket))
    await start(ticket)
    return ticket.run


def as_waiting(run: Run, request: RunRequest, what_for: str = WAITING) -> Run:
    """Return a run that waits, with what for and all that it has to do; one that began stays as it is.

    News of several requests may come in any order, so that what it shows only becomes more.
    """
    if run.status is not Status.QUEUED or run.steps:
        return run
    shown = RunRequest(run.mode, run.dry_run, run.requested_tables, run.jobs, unlink_allowed=run.unlink_allowed)
    return replace(with_request(run, merge_requests(shown, request)), status_detail=what_for)


# ---- pauses (linker.core.runs.lock_state) ----


async def current_pause(deps: Deps) -> Pause | None:
    """Return the pause that lasts now, None when runs may begin."""
    return pause_at(await deps.lock.peek(), deps.clock())


async def pause_runs(deps: Deps, until: float, by: str, reason: str) -> Pause:
    """Let no run begin before `until` (epoch s), and return the pause. A run under way continues to its end."""
    pause = Pause(iso(until), deps.now(), by, reason)
    await deps.lock.pause_runs(pause)
    return pause


async def resume_runs(deps: Deps, start: Start) -> tuple[Pause, Ticket | None]:
    """End the pause; return it, and the run that waited for that and starts now. Raises ConflictError without a pause."""
    pause = await current_pause(deps)
    if pause is None:
        raise ConflictError("Runs aren't paused. Nothing was changed.")
    following = await deps.lock.resume()
    if following is not None:
        await start_run(deps, following, start)
    return pause, following


# ---- what asks for runs ----


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


async def poll(deps: Deps, start: Start) -> str:
    """Ask for a run when something happened that no complete run has seen, and once a day. Returns the run, if any.

    That is a unification that Customer Insights reports, or marks other than those of the last complete run.
    """
    if not deps.settings.poll or await current_pause(deps):  # the next tick looks again
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


async def _unseen(deps: Deps) -> RunRequest | None:
    """Return the request for what no complete run has seen, None when there is nothing."""
    state, job = await deps.lock.peek(), await _last_unification(deps)
    if job is not None and job.id not in dict(state.served):
        return RunRequest(jobs=(job.id,), job_start=job.began, trigger="timer")
    if state.holder is not None:  # it looks for itself whether anything moved meanwhile
        return None
    task, last = await deps.runs.task(), await deps.runs.load_shown()
    if last is not None and state.parked is None and is_tried_again(last):
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


def is_tried_again(run: Run) -> bool:
    """Whether the timer asks again for the work of a run that ended: it failed for a reason that may pass, or a table did."""
    retries = Status.RETRYING in (run.status, *(table.status for table in run.tables))
    may_be = run.status is not Status.CANCELED and not (run.dry_run or run.follow_up)
    return bool(run.ended_at) and retries and may_be


async def _was_tried_lately(deps: Deps, wanted: RunRequest) -> bool:
    """Whether a run for the same ended a while ago without being complete. One that could not start is tried at once."""
    last = await deps.runs.load_shown()
    if last is None or last.ended_at is None or last.status is Status.NOT_STARTED:
        return False
    ended_s = parse_time(last.ended_at)
    is_other = last.requested_tables != wanted.tables or not set(wanted.jobs) <= set(last.jobs)
    if last.dry_run or is_other or (last.requested_tables and not is_tried_again(last)):
        return False
    is_complete = ended_s <= (await deps.runs.task()).completed
    is_passing = is_tried_again(last) or any(table.passing for table in last.tables)
    wait_s = PASSING_RETRY_S if is_passing else UNSERVED_RETRY_S
    return not is_complete and deps.clock() - ended_s < wait_s
