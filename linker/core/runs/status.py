"""States of a run and of a table, the moves between them, and the steps of a run with the time each began. Pure.

The table of moves is the rule; a test walks it. Steps are derived from the run itself, so that nothing has to report them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal, get_args

from linker.core.model import Progress, Run, Status, TableRun

ENDED = frozenset({Status.SUCCESSFUL, Status.WARNINGS, Status.FAILED, Status.SKIPPED, Status.CANCELED})

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


def advanced(old: Run, new: Run) -> Run:
    """Return the run after news of it. News may arrive late and twice, and a run never goes back.

    An ended run stays as it is, and so does one whose status may not follow or whose pages would become fewer. A table
    that would go back keeps its state.
    """
    if old.ended_at is not None or not may_move(old.status, new.status) or _is_late(old.progress, new.progress):
        return old
    known = {table.table: table for table in old.tables}
    return replace(new, tables=tuple(_later(known.get(table.table, table), table) for table in new.tables))


def _is_late(old: Progress | None, new: Progress | None) -> bool:
    return old is not None and new is not None and new.pages_done < old.pages_done


def _later(old: TableRun, new: TableRun) -> TableRun:
    return old if _stage(new.status) < _stage(old.status) else new


def _stage(status: Status) -> int:
    """A table waits, then works, then has ended."""
    return 2 if status in ENDED else int(status in (Status.REFRESHING, Status.RETRYING))


def overall(tables: Iterable[TableRun]) -> Status:
    """Return how a run ended whose tables ended so.

    One failed table fails the run; when each of them failed for a reason that may pass, the run is tried again soon. Tables
    skipped, or with rows that need a look, make it end with warnings. When every table was skipped, so was the run.
    """
    tables = list(tables)
    ends = [table.status for table in tables]
    if Status.FAILED in ends:
        failed = [table for table in tables if table.status is Status.FAILED]
        return Status.RETRYING if all(table.passing for table in failed) else Status.FAILED
    if Status.CANCELED in ends:
        return Status.CANCELED
    if ends and all(end is Status.SKIPPED for end in ends):
        return Status.SKIPPED
    if Status.WARNINGS in ends or Status.SKIPPED in ends:
        return Status.WARNINGS
    return Status.SUCCESSFUL


type Step = Literal["settle", "check", "prepare", "link", "finish", "touch"]
STEPS: tuple[Step, ...] = get_args(Step.__value__)

WAITING = "Waiting until the run before it has ended."  # what a run shows that has not begun its first step


def steps_of(run: Run, now: str) -> Mapping[str, str]:
    """Return when each step of a run began (ISO 8601 by step), with the one that it is in at `now`.

    A step that was reached once does not begin again, and none is added behind a later one: pages may be split, and news
    may come late.
    """
    reached = _reached(run)
    known = [STEPS.index(step) for step in STEPS if step in run.steps]
    if reached is None or STEPS.index(reached) <= max(known, default=-1):
        return run.steps
    return {**run.steps, reached: now}


def _reached(run: Run) -> Step | None:
    if run.ended_at is not None or run.status_detail == WAITING:
        return None
    if run.started_at is None:
        return "settle"
    if all(table.status is Status.SKIPPED for table in run.tables):
        return "check"
    if run.touches is not None:
        return "touch"
    if any(table.mode is not None and table.status in ENDED for table in run.tables):
        return "finish"
    waits = any(table.status is Status.QUEUED for table in run.tables)
    return "prepare" if waits and run.progress is None else "link"
