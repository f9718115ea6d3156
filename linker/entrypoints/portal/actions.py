"""The Actions page: what an operator may ask for, and what waits for his decision."""

from __future__ import annotations

from linker.core.model import Mode
from linker.entrypoints.http.messages import Reply
from linker.entrypoints.http.operations import Call, operation
from linker.entrypoints.portal.render import render
from linker.entrypoints.portal.start_run import newest_tables, undecided
from linker.entrypoints.portal.views.actions_view import held_back, held_first_links, work_of


@operation("GET", "/portal/actions")
async def show_actions(call: Call) -> Reply:
    """Show what runs, what waits for a decision, and the form that asks for a run."""
    deps = call.deps
    newest, work = await newest_tables(deps), work_of(await deps.lock.peek())
    allowed = [one for each in work if not each.ticket.request.dry_run for one in each.ticket.request.unlink_allowed]
    return await render(
        call,
        "actions.html",
        work=work,
        held_back=held_back(newest, allowed),
        first_links=await undecided(deps, held_first_links(newest)),
        tables=sorted({*newest, *await deps.states.tables()}),
        modes=tuple(Mode),
        may_start=deps.settings.start_by_api,
    )
