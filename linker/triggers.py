"""Everything that starts a run leads to one question: request a run. The run lock decides (design decision 3)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace

from linker.activities.life import ended
from linker.deps import Deps
from linker.model import Run, RunRequest, Status, Ticket

_LOG = logging.getLogger(__name__)

type Start = Callable[[Ticket], Awaitable[None]]
"""Starts the orchestration of a run; one that runs already is left alone."""


async def request_run(deps: Deps, wanted: RunRequest, start: Start) -> Run:
    """Return the run that does what is wanted: a new one, one that waits, one that runs, or one that did it already."""
    grant = await deps.lock.request(wanted)
    await deps.runs.create(
        Run(
            grant.run,
            wanted.mode,
            Status.QUEUED,
            trigger=wanted.trigger,
            dry_run=wanted.dry_run,
            jobs=wanted.jobs,
            requested_tables=wanted.tables,
        )
    )
    if grant.starts:
        await start(await _ticket(deps, grant.run, wanted))
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

    if await deps.runs.load(taken.ended.run) is not None:
        await deps.runs.advance(taken.ended.run, change)
    _LOG.warning("Run %s was %s", taken.ended.run, detail)
    if taken.next is None:
        return ""
    await start(taken.next)
    return taken.next.run


async def poll(deps: Deps, start: Start) -> str:
    """Ask for a run when Customer Insights tells of a unification that no run has served. Returns the run, if any."""
    if deps.insights is None or not deps.settings.poll:
        return ""
    job = await deps.insights.last_unification()
    if job is None or any(served == job.id for served, _ in (await deps.lock.peek()).served):
        return ""
    return (await request_run(deps, RunRequest(jobs=(job.id,), trigger="timer"), start)).id


async def _ticket(deps: Deps, run: str, wanted: RunRequest) -> Ticket:
    """Return the ticket of a run that just took the lock: it may do more than was asked for now."""
    holder = (await deps.lock.peek()).holder
    return holder if holder is not None and holder.run == run else Ticket(run, wanted)
