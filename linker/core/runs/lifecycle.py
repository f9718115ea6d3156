"""How a run begins, meets trouble, and ends, as values: its states, the moves between them, and its steps. Pure.

The table of moves is the rule; a test walks it. Steps are derived from the run itself, so that nothing has to report them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final, Literal, get_args

from linker.core.model import Counts, Progress, Run, RunRequest, Status, TableRun, Ticket
from linker.core.runs.activity_values import Ending, TableEnd
from linker.core.serialization import iso

ENDED = frozenset({Status.SUCCESSFUL, Status.WARNINGS, Status.FAILED, Status.SKIPPED, Status.CANCELED})
# A run that retries works. A table that is tried again ended in this run: a later run tries it.
TABLE_ENDED = ENDED | {Status.RETRYING}

MOVES: dict[Status, frozenset[Status]] = {
    Status.NOT_STARTED: frozenset({Status.QUEUED, Status.SKIPPED, Status.FAILED, Status.CANCELED}),
    Status.QUEUED: frozenset(
        {Status.NOT_STARTED, Status.REFRESHING, Status.RETRYING, Status.SKIPPED, Status.FAILED, Status.CANCELED}
    ),
    Status.REFRESHING: frozenset({Status.RETRYING, Status.NOT_STARTED, *ENDED}),
    Status.RETRYING: frozenset({Status.REFRESHING, Status.NOT_STARTED, *ENDED}),
    **{ended: frozenset() for ended in ENDED},
}


def may_move(now: Status, then: Status) -> bool:
    """Whether a status may follow another; the same status again is a refresh of its details. An ended run stays ended."""
    return now == then or then in MOVES[now]


def advance_run(old: Run, new: Run) -> Run:
    """Return the run after news of it. News may arrive late and twice, and a run never goes back.

    An ended run stays as it is, and so does one whose status may not follow or whose pages would become fewer. A table
    that would go back keeps its state, and so does one that has ended.
    """
    if old.ended_at is not None or not may_move(old.status, new.status) or _is_late(old.progress, new.progress):
        return old
    known = {table.table: table for table in old.tables}
    return replace(new, tables=tuple(_later(known.get(table.table, table), table) for table in new.tables))


def _is_late(old: Progress | None, new: Progress | None) -> bool:
    return old is not None and new is not None and new.pages_done < old.pages_done


def _later(old: TableRun, new: TableRun) -> TableRun:
    return old if old.status in TABLE_ENDED or _stage(new.status) < _stage(old.status) else new


def _stage(status: Status) -> int:
    """A table waits, then works, then has ended."""
    return 2 if status in TABLE_ENDED else int(status is Status.REFRESHING)


def overall(tables: Iterable[TableRun]) -> Status:
    """Return how a run ended whose tables ended so.

    One failed table fails the run; when each of them is tried again, so is the run. Tables
    skipped, or with rows that need a look, make it end with warnings. When every table was skipped, so was the run.
    """
    tables = list(tables)
    ends = [table.status for table in tables]
    for worst in (Status.FAILED, Status.RETRYING, Status.CANCELED):
        if worst in ends:
            return worst
    if ends and all(end is Status.SKIPPED for end in ends):
        return Status.SKIPPED
    if Status.WARNINGS in ends or Status.SKIPPED in ends:
        return Status.WARNINGS
    return Status.SUCCESSFUL


type Step = Literal["settle", "check", "prepare", "link", "finish", "touch"]
STEPS: tuple[Step, ...] = get_args(Step.__value__)

# What a run shows that has not begun its first step.
WAITING = "Waiting until the run before it has ended."
PAUSED = "Waiting until the pause of runs has ended."


def steps_of(run: Run, now: str) -> Mapping[str, str]:
    """Return when each step of a run began (ISO 8601 by step), with the one that it is in at `now`.

    A step that was reached once does not begin again, and none is added behind a later one: pages may be split, and news
    may come late.
    """
    reached = _find_step(run)
    known = [STEPS.index(step) for step in STEPS if step in run.steps]
    if reached is None or STEPS.index(reached) <= max(known, default=-1):
        return run.steps
    return {**run.steps, reached: now}


def with_times(run: Run, old: Run, now: str) -> Run:
    """Return a run that follows `old` with the times of its steps and tables, as of `now` (ISO 8601)."""
    known = {table.table: table for table in old.tables}
    tables = tuple(_table_with_times(table, known.get(table.table, table), now) for table in run.tables)
    return replace(run, last_updated=now, steps=steps_of(run, now), tables=tables)


def _table_with_times(table: TableRun, old: TableRun, now: str) -> TableRun:
    """Return a table with when the run began to work on it, and when that ended. A table that was skipped has neither."""
    if table.status is Status.QUEUED or table.mode is None:
        return table
    ended_at = old.ended_at or (now if table.status in TABLE_ENDED else None)
    return replace(table, started_at=old.started_at or now, ended_at=ended_at)


def _find_step(run: Run) -> Step | None:
    if run.ended_at is not None or run.status_detail in (WAITING, PAUSED):
        return None
    if run.started_at is None:
        return "settle"
    if all(table.status is Status.SKIPPED for table in run.tables):
        return "check"
    if run.touches is not None:
        return "touch"
    if any(table.mode is not None and table.status in TABLE_ENDED for table in run.tables):
        return "finish"
    waits = any(table.status is Status.QUEUED for table in run.tables)
    return "prepare" if waits and run.progress is None else "link"


OPEN: Final = frozenset({Status.QUEUED, Status.REFRESHING})  # of a table
MAX_NAMED: Final = 5  # callers of one run
_FAILED: Final = frozenset({Status.FAILED, Status.RETRYING})


def promise_run(ticket: Ticket) -> Run:
    """Return a run as its requester sees it first."""
    request = ticket.request
    return with_request(Run(ticket.run, request.mode, Status.QUEUED, trigger=request.trigger), request)


def with_request(run: Run, request: RunRequest) -> Run:
    """Return a run with what it has to do: a request that merged with it may have made it more."""
    return replace(
        run,
        mode=request.mode,
        dry_run=request.dry_run,
        jobs=request.jobs,
        requested_tables=request.tables,
        unlink_allowed=request.unlink_allowed,
    )


def add_requester(run: Run, who: str) -> Run:
    """Return a run with one more caller who asked for it; "" names none. The first MAX_NAMED of them are kept."""
    if not who or who in run.requested_by:
        return run
    return replace(run, requested_by=(*run.requested_by, who)[:MAX_NAMED])


def in_trouble(run: Run, trouble: str) -> Run:
    """Return a run that tries something again, or is over it with ""; one that waits to begin keeps waiting."""
    status = Status.RETRYING if trouble else Status.REFRESHING
    return replace(run, status=run.status if run.status is Status.QUEUED else status, status_detail=trouble)


def table_verdict(end: TableEnd, counts: Counts, held_rows: str = "") -> tuple[Status, str]:
    """Return how a table ended, and what to say about it; `held_rows` is the digest of rows that were held back."""
    failed = end.failed or end.totals.failed
    if end.canceled and not failed:
        return Status.CANCELED, "Canceled; the next run continues from here."
    if failed:
        # A later run tries it again. Nothing repeats a dry run.
        return (Status.RETRYING if end.passing and not end.dry_run else Status.FAILED), failed
    if end.totals.lost:
        return (
            Status.FAILED,
            f"Dataverse accepted {end.totals.lost:,} changes of links and did not store them. Run again.",
        )
    if counts.rows_read != counts.outcomes:
        return (
            Status.FAILED,
            f"{counts.rows_read:,} rows were read, {counts.outcomes:,} are accounted for. Report this.",
        )
    return _needs_a_look(end, counts, held_rows)


def _needs_a_look(end: TableEnd, counts: Counts, held_rows: str) -> tuple[Status, str]:
    others = end.strays - end.orphans - end.orphans_cleared
    told = [
        (end.held_back, f"Links of departed rows were left alone: {end.held_back}.{_how_to_allow(end, held_rows)}"),
        (counts.rejected, f"Rejected rows: {counts.rejected:,}; see the run's row errors."),
        (
            counts.deferred and not end.held_back,
            f"Rows deferred to a later run: {counts.deferred:,}; see the run's row errors.",
        ),
        (end.totals.drift, f"{_drift_of(end)}: {end.totals.drift:,}."),
        (
            end.orphans,
            f"Links that lead to no profile, on rows that the mapping does not name: {end.orphans:,}.{_on_orphans(end)}",
        ),
        (not end.orphans and end.orphans_kept, end.orphans_kept),
        (others, f"Rows with a link that neither the mapping nor this app knows, left alone: {others:,}."),
        (
            end.totals.conflicts,
            f"Rows claimed for several customers, of which the lowest CustomerId won: {end.totals.conflicts:,}.",
        ),
    ]
    details = [text for true, text in told if true]
    return (Status.WARNINGS if details else Status.SUCCESSFUL), " ".join(details)


def _drift_of(end: TableEnd) -> str:
    if end.dry_run:
        return "Links that another writer changed and that a run would set right"
    return "Links that another writer had changed and that were set right"


def _how_to_allow(end: TableEnd, held_rows: str) -> str:
    """Say what to do about links that the guard held back; the rows are named so that no other ones are cleared."""
    if not end.guarded:
        return ""
    nothing_left = "" if end.totals.counts.rows_read else " --empty-mapping"
    seen = f"@{held_rows}" if held_rows else ""
    option = f"--allow-unlinking {end.table}={end.totals.departed}{seen}{nothing_left}"
    return f" If they were right to leave, run with '{option}' (See docs/operations.md)."


def _on_orphans(end: TableEnd) -> str:
    """Say why orphaned links stay, and how to clear exactly these."""
    why = f" They stay, since {end.orphans_kept}." if end.orphans_kept else ""
    option = f"--clear-orphans {end.table}={end.orphans}@{end.orphan_rows}"
    return f"{why} If the links may go, run with '{option}' (See docs/operations.md)."


UNFINISHED: Final = "The run ended before the work on this table did. The next run continues from here; report this."


def close_table(table: TableRun, ending: Ending) -> TableRun:
    """Return a table as it ends with its run. One that is still open says so, unless the run says what ended it."""
    if table.status not in OPEN:
        return table
    status = ending.status or Status.FAILED
    why = UNFINISHED if status in _FAILED and not ending.detail else ""
    return replace(table, status=status, detail=table.detail or why)


def why_ended(run: Run, status: Status) -> str:
    """Return why a run ended so, shortest first: the first table that failed, else what came of rows and tables, else the
    first warning. The tables and the warnings of the run say the rest.
    """
    failed = [t for t in run.tables if t.status in _FAILED] if status in _FAILED else []
    is_held = any(table.refusal == "held" for table in run.tables)
    if status is Status.SKIPPED and not is_held:
        failed = [t for t in run.tables if t.detail]
    if failed:
        more = (
            f" {len(failed) - 1} more {'tables' if len(failed) > 2 else 'table'} did not succeed." if failed[1:] else ""
        )
        return f"Table '{failed[0].table}': {failed[0].detail}{more}"
    clauses = [*_of_rows(run.tables), *filter(None, map(_of_table, run.tables))]
    if clauses and (is_held or status is not Status.SKIPPED):
        text = "; ".join(clauses)
        return f"{text[0].upper()}{text[1:]}."
    return run.warnings[0] if run.warnings else ""


def _of_rows(tables: Sequence[TableRun]) -> list[str]:
    """Return what came of rows that need a look, such as '12 rows were rejected and 4 deferred'.

    Rows that were held back count as deferred; the clause of their table names them.
    """
    rejected, deferred = sum(t.counts.rejected for t in tables), sum(t.counts.deferred - t.held_back for t in tables)
    kinds = [(rejected, "rejected"), (deferred, "deferred")]
    (first, *rest) = [(rows, kind) for rows, kind in kinds if rows] or [(0, "")]
    if not first[0]:
        return []
    rows = f"{first[0]:,} {'rows were' if first[0] > 1 else 'row was'} {first[1]}"
    return [" and ".join([rows, *(f"{some:,} {kind}" for some, kind in rest)])]


def _of_table(table: TableRun) -> str:
    """Return what is left to decide or to fix about a table, "" for nothing."""
    if table.held_back:
        return f"{table.held_back:,} rows of '{table.table}' left unification and kept their links"
    if table.refusal == "held":
        return f"the first link of '{table.table}' waits for approval"
    return f"table '{table.table}' was skipped" if table.status is Status.SKIPPED else ""


def end_status(ending: Ending, tables: Sequence[TableRun], *, ready: bool) -> Status:
    """A run that fails before it knows its tables has not started, while none ever came further: something is missing."""
    status = ending.status or overall(tables)
    return Status.NOT_STARTED if status is Status.FAILED and not tables and not ready else status


def end_early(run: Run, status: Status, detail: str, now: float) -> Run:
    """Return a run that ended before its own end: open tables end with it."""
    tables = tuple(close_table(table, Ending(run.id, status, detail)) for table in run.tables)
    return replace(run, status=status, status_detail=detail, ended_at=iso(now), tables=tables, progress=None)
