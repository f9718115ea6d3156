"""The life of a run around its shards: begin, heartbeat, report, and every way to end."""

from __future__ import annotations

from dataclasses import replace

from linker.adapters.storage import Scan, TaskState
from linker.adapters.storage.record_store import MAX_ISSUES
from linker.core.errors import LinkerError
from linker.core.linking.mapping_scan import TableState
from linker.core.model import Counts, Run, RunRequest, Status, Ticket
from linker.core.names import SKIPPED_MESSAGE
from linker.core.runs.activity_values import UPDATED, Beat, Ended, Ending, Go, Report, RunRef, TableEnd, Trouble
from linker.core.runs.history import linking_progress
from linker.core.runs.lifecycle import (
    OPEN,
    close_table,
    end_status,
    in_trouble,
    promise_run,
    table_verdict,
    why_ended,
    with_request,
)
from linker.core.serialization import iso
from linker.deps import Deps
from linker.durable.boundary import go_of
from linker.services.run_requests import marks_of


async def begin_run(deps: Deps, ticket: Ticket) -> Go:
    """Make sure that this run holds the lock, and show it. A second start of the same run does no harm."""
    renewal = await deps.lock.renew(ticket.run)
    if not renewal.held:
        return Go(held=False)
    request = ticket.request
    await deps.runs.create(promise_run(ticket))
    await _show(deps, ticket)
    if ticket.resumes:
        await deps.runs.lead_on(ticket.resumes, ticket.run)
    await deps.runs.advance(ticket.run, lambda run: replace(with_request(run, request), status_detail=""))
    return go_of(deps, renewal)


async def _show(deps: Deps, ticket: Ticket) -> None:
    """Let the task mirror this run, unless its time is over: a start that was held up must not bring it back.

    A dry run changes nothing, so the task goes on to mirror the real run before it.
    """

    async def change(task: TaskState) -> TaskState:
        if not (await deps.lock.renew(ticket.run)).held:
            return task
        return (
            replace(task, dry_run=ticket.run) if ticket.request.dry_run else replace(task, run=ticket.run, dry_run="")
        )

    await deps.runs.change_task(change)


async def renew(deps: Deps, beat: Beat) -> Go:
    """Keep the lock, return whether to continue, and show what is being tried again."""
    renewal = await deps.lock.renew(beat.run)
    trouble = beat.trouble
    if renewal.held and not renewal.cancel and trouble is not None:
        await deps.runs.advance(beat.run, lambda run: in_trouble(run, trouble))
    return go_of(deps, renewal)


async def report(deps: Deps, news: Report) -> Go:
    """Show how far the run is, keep the lock, and return whether to continue."""
    renewal = await deps.lock.renew(news.run)
    if not renewal.held:
        return Go(held=False)
    trouble = "" if renewal.cancel else news.trouble
    now, most = deps.clock(), deps.settings.touch_max_profiles if deps.settings.touch_profiles else 0

    def change(run: Run) -> Run:
        tables = tuple(
            replace(t, counts=news.tables.get(t.table, t.counts)) if t.status in OPEN else t for t in run.tables
        )
        status = Status.RETRYING if trouble else Status.REFRESHING
        progress = linking_progress(news, tables, now, 0 if run.dry_run else most)
        return replace(run, status=status, status_detail=trouble, counts=news.counts, tables=tables, progress=progress)

    await deps.runs.advance(news.run, change)
    return go_of(deps, renewal)


async def end_table(deps: Deps, end: TableEnd) -> RunRef:
    """Check the table's ledger and show how it ended. Its full run is over only when every page of it was."""
    # Listed before the look at the lock: notes of a successor are not among them.
    noted = await deps.removed.notes(end.table)
    held_rows = await deps.removed_digest(end.table, end.run) if end.guarded else ""
    if not (await deps.lock.renew(end.run)).held:
        return RunRef(end.run)  # the table is a successor's now
    counts = replace(end.totals.counts, rows_read=end.totals.counts.rows_read + end.totals.departed) + end.unlinking
    counts += Counts(rows_read=end.orphans_cleared, unlinked=end.orphans_cleared)
    status, detail = table_verdict(end, counts, held_rows)
    scan = await deps.staging.current(end.table, end.scan, again=True) if end.scan else None
    if scan is not None and status in (Status.SUCCESSFUL, Status.WARNINGS) and not end.dry_run and not end.failed:
        await _close_table(deps, end, scan)

    def change(old: Run) -> Run:
        unsettled = bool(end.totals.counts.deferred) or (bool(end.unlinking.deferred) and not end.guarded)
        held_back = end.totals.departed if end.guarded else 0
        tables = tuple(
            replace(
                t,
                status=status,
                detail=detail,
                counts=counts,
                unsettled=unsettled,
                held_back=held_back,
                held_rows=held_rows or t.held_rows,
                orphans=end.orphans,
                orphan_rows=end.orphan_rows,
                passing=end.passing,
            )
            if t.table == end.table
            else t
            for t in old.tables
        )
        warning = [f"Table '{end.table}': {detail}"] if detail else []
        return replace(old, tables=tables, warnings=tuple(dict.fromkeys((*old.warnings, *warning))))

    await deps.runs.advance(end.run, change)
    # After the table is shown as ended: a second start of this run may still want to unlink, and would miss its rows.
    await deps.removed.forget(end.table, noted)
    if scan is not None:
        await deps.staging.end(end.table, scan)
    return RunRef(end.run)


async def _close_table(deps: Deps, end: TableEnd, scan: Scan) -> None:
    """Remember what a complete run over a table makes true: how far the mapping was seen, and that a full run is over.

    After a full scan every shard has a block of its own, so those of larger shards and of version 1 can go.
    """
    streams = await deps.staging.planned_streams(end.table, scan)
    due = _why_due(end)

    def close(state: TableState) -> TableState:
        if state.epoch != end.epoch:
            return state
        state = replace(state, epoch="", linked=state.linked or bool(end.epoch), watermark=scan.watermark, due=due)
        state = replace(state, profiles_seen=scan.newest_profile)
        if not scan.full:
            return state
        read = sum(stream.read for stream in streams)
        return replace(state, scanned_at=scan.began, rows=read, sources=scan.sources, earlier_bits=())

    state = await deps.change_state(end.table, close)
    if not scan.full or state.scanned_at != scan.began:
        return
    await deps.issues.note_look(end.table, end.run)
    await deps.blocks.delete_others(end.table, state.bits)
    await deps.states.forget_version_1(end.table)


def _why_due(end: TableEnd) -> str:
    """Return why the next run has to read every mapping row although little changed."""
    if end.unlinking.deferred and not end.guarded:
        return "removed rows waited for the mapping to rest"
    open_rows = end.totals.counts.rejected + end.totals.counts.deferred
    return "more rows were rejected or deferred than are remembered" if open_rows > MAX_ISSUES else ""


async def end_run(deps: Deps, ending: Ending) -> Ended:
    """Show how the run ended, hand the lock on, and name the run to start next. Repeating it gives the same answer."""
    ready = (await deps.runs.task()).ready
    if ending.dry_run and ending.status is Status.RETRYING:  # nothing repeats a dry run
        ending = replace(ending, status=Status.FAILED)

    def change(old: Run) -> Run:
        tables = tuple(close_table(table, ending) for table in old.tables)
        counts = sum((t.counts for t in tables), Counts())
        status = end_status(ending, tables, ready=ready)
        # A survey says why a run cannot begin. Of one that came to its end, the words of a step say nothing any more.
        surveyed = old.status_detail if ending.status is not None else ""
        why = ending.detail or surveyed or why_ended(replace(old, tables=tables), status)
        detail = "" if status is Status.SUCCESSFUL else why
        if status is Status.SKIPPED and SKIPPED_MESSAGE not in detail:
            detail = f"{SKIPPED_MESSAGE}. {detail}"
        now = iso(deps.clock())
        return replace(
            old, status=status, status_detail=detail, ended_at=now, counts=counts, tables=tables, progress=None
        )

    follow_up = await _follow_up(deps, ending)
    run = await deps.runs.advance(ending.run, lambda old: replace(change(old), follow_up=follow_up))
    skipped = any(table.status is Status.SKIPPED for table in run.tables)
    completed = run.status in (Status.SUCCESSFUL, Status.WARNINGS) and not skipped and not ending.dry_run
    passed = run.status not in (Status.NOT_STARTED, Status.CANCELED)
    await _remember(deps, ending, ready=passed, seen=completed and not run.requested_tables)
    return Ended(run.status, await deps.lock.finish(ending.run, completed=completed))


async def _remember(deps: Deps, ending: Ending, *, ready: bool, seen: bool) -> None:
    """Keep with the task what the runs to come have to know of this one, while it still holds the lock."""
    now = deps.clock()

    async def change(task: TaskState) -> TaskState:
        if not (await deps.lock.renew(ending.run)).held:
            return task
        task = replace(task, ready=task.ready or ready)
        return replace(task, marks=ending.marks, completed=now) if seen else task

    await deps.runs.change_task(change)


async def _follow_up(deps: Deps, ending: Ending) -> str | None:
    """Ask for one more run when rows were deferred, or mapping or profiles moved meanwhile; a follow-up asks for none.

    The request waits behind the run that ends now, so both are one hand-over.
    """
    run = await deps.runs.load(ending.run)
    if run is None or ending.status is not None or ending.dry_run or run.trigger == FOLLOW_UP or run.ended_at:
        return run.follow_up if run else None
    if not any(table.unsettled for table in run.tables) and not await _have_moved(deps, ending):
        return None
    grant = await deps.lock.request(RunRequest(trigger=FOLLOW_UP))
    await deps.runs.create(promise_run(grant.ticket))
    return grant.run


async def _have_moved(deps: Deps, ending: Ending) -> bool:
    """Whether mapping or profiles changed since settling. A run ends also when Dataverse does not answer."""
    try:
        return ending.marks is not None and await marks_of(deps, ending.marks) != ending.marks
    except LinkerError:
        return False


FOLLOW_UP = "follow-up"


async def give_way(deps: Deps, task: RunRef) -> Trouble:
    """Let a run of an earlier version go: the next tick of the watchdog ends it for this reason and starts its work again."""

    def change(run: Run) -> Run:
        return run if run.ended_at else replace(run, status=Status.RETRYING, status_detail=UPDATED)

    if await deps.lock.let_go(task.run):
        await deps.runs.advance(task.run, change)
    return Trouble(UPDATED)
