"""The run: from its ticket to the run that follows. Holds counts only, never rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from durabletask.task import OrchestrationContext, TaskFailedError

from linker.core.model import Counts, Status, Ticket, UnlinkAllowance
from linker.core.runs.activity_values import (
    UPDATED,
    Ended,
    Ending,
    Go,
    Prepared,
    RunRef,
    Settled,
    SettleTask,
    Shards,
    ShardsTask,
    Survey,
    TableEnd,
    TableTask,
    Totals,
)
from linker.core.runs.generation_values import (
    Elsewhere,
    GenerationOutcome,
    GenerationTask,
    Share,
    Strays,
    StraysTask,
    UnlinkTask,
)
from linker.core.serialization import from_json, to_json
from linker.core.throttling.pace import Pace
from linker.durable.orchestrators.activity_calls import (
    Room,
    RunFailedError,
    RunStopped,
    Steps,
    call,
    call_child,
    is_canceled,
    pause,
    stop_unless,
)
from linker.durable.orchestrators.generation import GENERATION, NEWS_S, cut_generations
from linker.durable.orchestrators.scanning import ScanShare, scan_all
from linker.durable.orchestrators.touching import touch
from linker.durable.orchestrators.unlinking import unlink

ORCHESTRATOR = "customerid_backstamping_hydration"
# A solution import locks definitions for minutes (docs/reference/dataverse.md 8.4), and a failed run waits for an hour.
PREPARE_TRIES = 8
PREPARE_CALLS = 100  # in the run's own history, of all tables together
MAX_PREPARE_WAIT_S = 300.0  # 18 minutes in all where the first wait is 15 s
UNLINK_CALLS = 100  # in the run's own history, of all tables together; more go into children


def customerid_backstamping_hydration(ctx: OrchestrationContext, request: dict[str, Any]) -> Steps[dict[str, Any]]:
    """One run of the task, from its ticket to the run that follows. Input: a Ticket."""
    ticket = from_json(Ticket, request)
    try:
        ending = yield from _run(ctx, ticket)
    except RunStopped as stopped:
        if not stopped.canceled:
            return {"run": ticket.run, "status": "superseded"}
        ending = Ending(ticket.run, Status.CANCELED, "Canceled by request; the next run continues from here.")
    except (RunFailedError, TaskFailedError) as error:
        status = Status.RETRYING if isinstance(error, RunFailedError) and error.passing else Status.FAILED
        ending = Ending(ticket.run, status, f"{error}"[:1500], dry_run=ticket.request.dry_run)
    ended = yield from call(ctx, "end_run", ending, Ended, renewing="")
    if ended.next is not None:
        yield from call(ctx, "start_run", ended.next, RunRef, renewing="")
    return to_json(ended)


def _run(ctx: OrchestrationContext, ticket: Ticket) -> Steps[Ending]:
    dry_run = ticket.request.dry_run
    stop_unless((yield from call(ctx, "begin_run", ticket, Go, renewing=ticket.run)))
    settled = yield from _settle(ctx, ticket)
    survey = yield from call(ctx, "survey", RunRef(ticket.run), Survey, renewing=ticket.run)
    if survey.status is not None:
        return Ending(ticket.run, survey.status, dry_run=dry_run)
    tables: list[Prepared] = []
    room = Room(PREPARE_CALLS)
    for name in survey.tables:
        task = _table_task(ticket, name, survey, settled)
        tables += [(yield from _prepare(ctx, task, room))]
    tables = yield from _scan(ctx, ticket.run, tables)
    strays = yield from _hold_links_against_profiles(ctx, ticket, tables)
    tables, shares = yield from _plan(ctx, ticket, tables)
    linked = yield from _link(ctx, ticket, tables, shares, survey.pace)
    room = Room(UNLINK_CALLS)
    for number, table in enumerate(tables):
        departed = _unlink_task(ticket, table, linked, settled)
        end = yield from _unlink_rows(ctx, departed, _end_of(ticket, table, linked), f"{ticket.run}-u{number}", room)
        end = _with_strays(end, strays.get(table.table, Strays()))
        yield from call(ctx, "end_table", end, RunRef, renewing=ticket.run)
        if end.canceled and not linked.stop:
            raise RunStopped(canceled=True)
    if linked.stop:
        raise RunStopped(canceled=linked.stop == "canceled")
    if survey.touch:
        yield from touch(ctx, ticket.run, linked.pace, dry_run=dry_run)
    return Ending(ticket.run, marks=settled.marks, dry_run=dry_run)


def _settle(ctx: OrchestrationContext, ticket: Ticket) -> Steps[Settled]:
    run, request = ticket.run, ticket.request
    began = ctx.current_utc_datetime
    while True:
        waited_s = (ctx.current_utc_datetime - began).total_seconds()
        look = SettleTask(run, waited_s, request.for_unification, request.job_start)
        settled = yield from call(ctx, "settle", look, Settled, renewing=run)
        if settled.stop:
            raise RunStopped(canceled=(yield from is_canceled(ctx, run)))
        if not settled.wait_s:
            return settled
        yield ctx.create_timer(timedelta(seconds=settled.wait_s))


def _prepare(ctx: OrchestrationContext, task: TableTask, room: Room) -> Steps[Prepared]:
    """Make one table ready. One that cannot be does not stop the others, which share the `room` for waiting."""
    for tries in range(PREPARE_TRIES):
        try:
            prepared = yield from call(ctx, "prepare_table", task, Prepared, renewing=task.run)
        except RunFailedError as error:
            return Prepared(task.table, failed=f"{error}"[:1000], passing=error.passing)
        if not prepared.failed and not prepared.scan:  # an earlier version answered, which knew no scans
            return replace(prepared, failed=UPDATED)
        if not prepared.retry_s or tries + 1 == PREPARE_TRIES or not room.is_left:
            return replace(prepared, passing=bool(prepared.retry_s))
        wait_s = max(prepared.retry_s, min(prepared.retry_s * 2**tries, MAX_PREPARE_WAIT_S))
        yield from pause(ctx, task.run, wait_s, trouble=prepared.failed, room=room)
    raise AssertionError("the last try returns")


def _scan(ctx: OrchestrationContext, run: str, tables: list[Prepared]) -> Steps[list[Prepared]]:
    """Read the mapping of all tables; return the tables, with a reason those whose mapping could not be read."""
    shares = [ScanShare(t.table, t.scan, 0, t.streams) for t in tables if t.streams and not t.failed]
    done = yield from scan_all(ctx, run, shares)
    return [
        replace(t, failed=done.failed[t.table], passing=t.table in done.passing) if t.table in done.failed else t
        for t in tables
    ]


def _plan(
    ctx: OrchestrationContext, ticket: Ticket, tables: list[Prepared]
) -> Steps[tuple[list[Prepared], list[Share]]]:
    """Name the shards of each table that was scanned."""
    shares: list[Share] = []
    planned: list[Prepared] = []
    for table in tables:
        if not table.failed:
            task = ShardsTask(ticket.run, table.table, table.scan, ticket.request.dry_run)
            try:
                shards = yield from call(ctx, "plan_shards", task, Shards, renewing=ticket.run)
            except RunFailedError as error:
                table = replace(table, failed=f"{error}"[:1000], passing=error.passing)  # noqa: PLW2901 - the table with what became of it
            else:
                mine = Share(table.table, table.scan, 0, shards.count, table.mode, table.epoch, canary=shards.canary)
                shares += [mine] if shards.count else []
        planned.append(table)
    return planned, shares


def _link(
    ctx: OrchestrationContext, ticket: Ticket, tables: list[Prepared], shares: list[Share], pace: Pace
) -> Steps[GenerationOutcome]:
    """Link the shards of all tables, generation after generation, until none is left."""
    ready = [table for table in tables if not table.failed]
    done = GenerationOutcome({table.table: Totals() for table in ready}, pace, 0.0)
    total, started = sum(share.end - share.first for share in shares), 0
    while shares and not done.stop:
        left: list[Share] = []
        for generation in cut_generations(shares):
            task = _task(ticket, generation, total, done)
            child = f"{ticket.run}-g{started}"
            outcome = yield from call_child(ctx, GENERATION, task, GenerationOutcome, instance=child)
            started, done = started + 1, replace(outcome, totals={**done.totals, **outcome.totals})
            left += done.left
            if done.stop:
                break
        shares = left
    return done


def _task(ticket: Ticket, shares: tuple[Share, ...], shards_total: int, done: GenerationOutcome) -> GenerationTask:
    names = [share.table for share in shares]
    mine = {name: totals for name, totals in done.totals.items() if name in names}
    others = [totals for name, totals in done.totals.items() if name not in names]
    elsewhere = Elsewhere(sum((one.counts for one in others), Counts()), sum(one.pages for one in others))
    dry_run = ticket.request.dry_run
    return GenerationTask(
        ticket.run, shares, shards_total, done.pace, mine, done.seconds, dry_run, done.rest_s, elsewhere, NEWS_S
    )


def _end_of(ticket: Ticket, table: Prepared, linked: GenerationOutcome) -> TableEnd:
    totals = linked.totals.get(table.table, Totals())
    return TableEnd(
        ticket.run,
        table.table,
        totals,
        failed=table.failed,
        canceled=bool(linked.stop),
        dry_run=ticket.request.dry_run,
        epoch=table.epoch,
        scan=table.scan,
        passing=table.passing or totals.passing,
    )


def _unlink_task(ticket: Ticket, table: Prepared, linked: GenerationOutcome, settled: Settled) -> UnlinkTask:
    totals, request = linked.totals.get(table.table, Totals()), ticket.request
    allowed = _find_allowances(ticket, table.table, orphans=False)
    rows = totals.counts.rows_read + totals.departed
    return UnlinkTask(ticket.run, table.table, totals.departed, rows, settled.marks, request.dry_run, allowed=allowed)


def _unlink_rows(ctx: OrchestrationContext, task: UnlinkTask, end: TableEnd, child: str, room: Room) -> Steps[TableEnd]:
    """Unlink the departed rows of a table whose pages are all done."""
    if end.canceled or end.failed or end.totals.failed or not task.departed:
        return end
    done = yield from unlink(ctx, task, child, room)
    if done.stop == "superseded":
        raise RunStopped(canceled=False)
    totals = replace(end.totals, lost=end.totals.lost + done.lost)
    return replace(
        end,
        totals=totals,
        unlinking=done.counts,
        held_back=done.held_back,
        guarded=done.guarded,
        failed=done.failed,
        passing=done.passing,
        canceled=bool(done.stop),
    )


def _hold_links_against_profiles(
    ctx: OrchestrationContext, ticket: Ticket, tables: list[Prepared]
) -> Steps[dict[str, Strays]]:
    """Hold all links against all profiles where it is due, before links are written: what is marked is resolved again.

    A table on which it fails is linked anyway; the next run tries again.
    """
    found: dict[str, Strays] = {}
    for table in tables:
        if table.failed or not table.links_due:
            continue
        allowed = _find_allowances(ticket, table.table, orphans=True)
        task = StraysTask(ticket.run, table.table, ticket.request.dry_run, allowed)
        try:
            found[table.table] = yield from call(ctx, "find_strays", task, Strays, renewing=ticket.run)
        except RunFailedError as error:
            if allowed:  # the operator who allowed it waits for an answer
                found[table.table] = Strays(kept=f"Orphaned links could not be found: {error}"[:500])
    return found


def _with_strays(end: TableEnd, found: Strays) -> TableEnd:
    return replace(
        end,
        strays=found.rows,
        orphans=found.orphans,
        orphans_cleared=found.cleared,
        orphan_rows=found.digest,
        orphans_kept=found.kept,
    )


def _find_allowances(ticket: Ticket, table: str, *, orphans: bool) -> tuple[UnlinkAllowance, ...]:
    return tuple(one for one in ticket.request.unlink_allowed if one.table == table and one.orphans is orphans)


def _table_task(ticket: Ticket, name: str, survey: Survey, settled: Settled) -> TableTask:
    return TableTask(
        ticket.run,
        name,
        ticket.request.mode,
        ticket.request.dry_run,
        survey.full_reason,
        survey.schema,
        newest=settled.marks.mapping if settled.marks else 0.0,
        newest_profile=settled.marks.profiles if settled.marks else 0.0,
        clears_orphans=bool(_find_allowances(ticket, name, orphans=True)),
        allowed=bool(_find_allowances(ticket, name, orphans=False)),
    )
