"""The Actions page: what an operator may request, and what waits for a decision."""

from __future__ import annotations

import asyncio

from linker.core.model import Mode
from linker.core.runs.lock_state import pause_at
from linker.entrypoints.http.messages import Reply
from linker.entrypoints.http.operations import Call, operation
from linker.entrypoints.portal.render import render
from linker.entrypoints.portal.start_run import RECENT, find_undecided, newest_tables
from linker.entrypoints.portal.views.actions_view import held_back, held_first_links, work_of


@operation("GET", "/portal/actions")
async def show_actions(call: Call) -> Reply:
    """Show what runs, what waits for a decision, and the form that asks for a run."""
    deps = call.deps
    recent, state, known = await asyncio.gather(deps.runs.newest(RECENT), deps.lock.peek(), deps.states.tables())
    newest, work = await newest_tables(deps, recent), work_of(state)
    modes = {run.id: run.mode for run in recent}  # a run may have become a full one since it was asked for
    allowed = [one for each in work if not each.ticket.request.dry_run for one in each.ticket.request.unlink_allowed]
    return await render(
        call,
        "actions.html",
        work=work,
        shown=modes,
        held_back=held_back(newest, allowed),
        first_links=await find_undecided(deps, held_first_links(newest)),
        tables=sorted({*(table.table for run in recent for table in run.tables), *known}),
        modes=tuple(Mode),
        pause=pause_at(state, deps.clock()),
        may_start=deps.settings.start_by_api,
    )
