"""Decisions of an operator, each with a page that says what it means: stop a run, allow a first link, let links go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from linker.core.records import GUARDED, RowIssue
from linker.core.roles import Role
from linker.core.runs.history import COMPARABLE
from linker.deps import Deps
from linker.entrypoints.api.lists import samples_of
from linker.entrypoints.api.runs import find_run, post_cancel
from linker.entrypoints.api.tables import ApproveBody, find_held_link, post_approve
from linker.entrypoints.messages import ProblemError, Reply, first_of, not_found
from linker.entrypoints.operations import Call, operation
from linker.entrypoints.portal.actions import KeyForm, newest_tables, with_key
from linker.entrypoints.portal.page_serving import act
from linker.entrypoints.portal.render import redirect, render
from linker.entrypoints.portal.rows import names_by_table
from linker.entrypoints.portal.views.status_view import HeldBack, find_held_back, is_live, work_of

SAMPLE_ROWS: Final = 10
MAX_LOOKED_AT: Final = 500  # row errors of a table among which the held-back ones are looked for


class ApproveForm(KeyForm, ApproveBody):
    """The decision, with what the page showed."""


@operation("GET", "/portal/runs/{run}/cancel", role=Role.OPERATOR)
async def show_cancel(call: Call) -> Reply:
    """Show what stopping a run means."""
    run = await find_run(call)
    work = work_of(await call.deps.lock.peek())
    merged = next((one for one in work if one.ticket.run == run.id), None)
    return await render(call, "cancel.html", run=run, work=merged, key=call.deps.new_id())


@operation("POST", "/portal/runs/{run}/cancel", role=Role.OPERATOR, body=KeyForm)
async def cancel_run(call: Call[KeyForm]) -> Reply:
    """Stop a run, or take a waiting one back. Sent again it finds nothing left to stop, which is as good."""
    run = call.parameters["run"]
    try:
        await act(call, post_cancel, run=run)
    except ProblemError as problem:
        if problem.status != 409:
            raise
        return redirect(run=run, notice="over")
    return redirect(run=run, notice="canceled")


@operation("GET", "/portal/tables/{table}/approve", role=Role.OPERATOR)
async def show_approve(call: Call) -> Reply:
    """Show what the first link of a table sets in motion."""
    table = call.parameters["table"]
    held = await find_held_link(call.deps, table)
    newest = (await newest_tables(call.deps)).get(table)
    return await render(call, "approve.html", held=held, newest=newest, key=call.deps.new_id())


@operation("POST", "/portal/tables/{table}/approve", role=Role.OPERATOR, body=ApproveForm)
async def approve_table(call: Call[ApproveForm]) -> Reply:
    """Allow the first link of a table, and lead to the run that does it."""
    run = await act(with_key(call), post_approve, ApproveBody(digest=call.body.digest), table=call.parameters["table"])
    return redirect(run=run["id"], notice="approved")


@operation("GET", "/portal/tables/{table}/unlink", role=Role.OPERATOR)
async def show_unlink(call: Call) -> Reply:
    """Show the links that the guard held back, and what letting them go means. actions.py asks for the run."""
    deps, table = call.deps, call.parameters["table"]
    held = next((one for one in find_held_back(await newest_tables(deps)) if one.table == table), None)
    if held is None:
        raise not_found("table of this name whose links are held back")
    rows, more = await first_of(_find_held_rows(deps, held), SAMPLE_ROWS)
    names = await names_by_table(deps, ((table, issue.row) for issue in rows))
    return await render(call, "unlink.html", held=held, rows=rows, more=more, names=names, key=deps.new_id())


@operation("GET", "/portal/runs/{run}/changes")
async def show_changes(call: Call) -> Reply:
    """Show what a dry run would have changed: counts, and rows by example."""
    run = await find_run(call)
    if not run.dry_run:
        raise not_found("dry run with this id")
    samples = await samples_of(call.deps, run)
    names = await names_by_table(call.deps, ((one.table, one.row) for one in samples))
    return await render(
        call,
        "changes.html",
        run=run,
        live=is_live(run),
        complete=run.status in COMPARABLE,
        samples=samples,
        names=names,
    )


async def _find_held_rows(deps: Deps, held: HeldBack) -> AsyncIterator[RowIssue]:
    """Yield held-back rows of a table, of the first MAX_LOOKED_AT that have an error."""
    looked_at = 0
    async for _, issue in deps.issues.of_run(held.run, after=f"{held.table}_"):
        looked_at += 1
        if issue.table != held.table or looked_at > MAX_LOOKED_AT:
            return
        if issue.code == GUARDED:
            yield issue


DECISIONS: Final = (show_cancel, cancel_run, show_approve, approve_table, show_unlink, show_changes)
