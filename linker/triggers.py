"""Everything that starts a run leads to one question: request a run. The run lock decides (design decision 3)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from linker.activities.life import asked_for, ended, promised
from linker.dataverse.http import parse_time
from linker.deps import Deps
from linker.model import Run, RunRequest, Status, Ticket

_LOG = logging.getLogger(__name__)

# A run that failed or skipped a table did not serve its unification. The timer tries again, but not at every tick:
# somebody has to mend something first, and may ask for a run at once.
UNSERVED_RETRY_S = 3_600.0

type Start = Callable[[Ticket], Awaitable[None]]
"""Starts the orchestration of a run; one that runs already is left alone."""


async def request_run(deps: Deps, wanted: RunRequest, start: Start) -> Run:
    """Return the run that does what is wanted: a new one, one that waits, one that runs, or one that did it already."""
    grant = await deps.lock.request(wanted)
    ticket = await _ticket(deps, grant.run, wanted)
    await deps.runs.create(promised(ticket))
    if grant.starts:
        await start(ticket)
    elif not grant.served:
        await deps.runs.advance(grant.run, lambda run: run if run.started_at else asked_for(run, ticket.request))
    run = await deps.runs.load(grant.run)
    if run is None:
        raise AssertionError("the run was created above")
    return run


async def watchdog(deps: Deps, start: Start) -> str:
    """End a run whose lease ran out and start its work again. Returns the run that was started, empty when none was."""
    taken = await deps.lock.take_over()
    if taken is None:
        return ""
    status = Status.CANCELED if taken.canceled else Status.FAILED
    detail = "Canceled by request." if taken.canceled else "interrupted: the app stopped while the run was under way."

    def change(old: Run) -> Run:
        return replace(ended(old, status, detail, deps.clock()), follow_up=taken.successor or None)

    if taken.successor:  # the dead run names it, so it must be there to read
        await deps.runs.create(promised(await _ticket(deps, taken.successor, taken.ended.request)))
    if await deps.runs.load(taken.ended.run) is not None:
        await deps.runs.advance(taken.ended.run, change)
    _LOG.warning("Run %s was %s", taken.ended.run, detail)
    if taken.next is None:
        return ""
    await deps.runs.create(promised(taken.next))
    await start(taken.next)
    return taken.next.run


async def poll(deps: Deps, start: Start) -> str:
    """Ask for a run when Customer Insights tells of a unification that no run has served. Returns the run, if any."""
    if deps.insights is None or not deps.settings.poll:
        return ""
    job = await deps.insights.last_unification()
    if job is None or any(served == job.id for served, _ in (await deps.lock.peek()).served):
        return ""
    last = await deps.runs.shown()
    ended_at = last.ended_at if last is not None and job.id in last.jobs else None
    if ended_at is not None and deps.clock() - parse_time(ended_at) < UNSERVED_RETRY_S:
        return ""
    return (await request_run(deps, RunRequest(jobs=(job.id,), trigger="timer"), start)).id


async def _ticket(deps: Deps, run: str, wanted: RunRequest) -> Ticket:
    """Return the ticket of a run that runs or waits: it may have to do more than was asked for now."""
    state = await deps.lock.peek()
    tickets = (state.holder, state.pending, state.pending_dry)
    return next((ticket for ticket in tickets if ticket is not None and ticket.run == run), Ticket(run, wanted))
