"""The last runs side by side: how long each took, and how that compares with the one before it of the same kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from linker.core.model import WIRE, Counts, Mode, Run, Status, TableRun
from linker.core.times import seconds_between

MAX_DETAIL = 300  # characters of a run's own words in a summary
MAX_TABLE_DETAIL = 200  # of those of a table
COMPARABLE = frozenset({Status.SUCCESSFUL, Status.WARNINGS})


@dataclass(frozen=True, slots=True)
class Change:
    """A run against an earlier one, in per cent of it. None where the earlier figure was 0."""

    __pydantic_config__ = WIRE
    run: str
    seconds: float | None
    rows_read: float | None
    linked: float | None


@dataclass(frozen=True, slots=True)
class PastRun:
    """One run as a line of the history. `seconds` from its start to its end, None before its end, or without a start."""

    __pydantic_config__ = WIRE
    id: str
    mode: Mode
    mode_reason: str
    trigger: str
    dry_run: bool
    requested_tables: tuple[str, ...]
    status: Status
    status_detail: str
    requested_at: str
    started_at: str | None
    ended_at: str | None
    seconds: float | None
    counts: Counts
    change: Change | None
    follow_up: str | None


def summary(run: Run) -> Run:
    """Return a run with what lists of runs show, and without the rest: some hundred bytes, and as many for each table."""
    tables = tuple(map(_brief, run.tables))
    detail, reason = run.status_detail[:MAX_DETAIL], run.mode_reason[:MAX_DETAIL]
    rest: dict[str, Any] = {"jobs": (), "warnings": (), "notes": (), "findings": (), "progress": None, "steps": {}}
    return replace(run, tables=tables, status_detail=detail, mode_reason=reason, **rest)


def history(runs: Sequence[Run], most: int) -> tuple[PastRun, ...]:
    """Return the first `most` of some runs, newest first; those behind them serve for comparison alone."""
    return tuple(_past(run, _compared(run, runs[place + 1 :])) for place, run in enumerate(runs[:most]))


def seconds_of(run: Run) -> float | None:
    """Return how long a run worked."""
    if run.started_at is None or run.ended_at is None:
        return None
    return seconds_between(run.started_at, run.ended_at)


def _brief(table: TableRun) -> TableRun:
    shown: dict[str, Any] = {"counts": table.counts, "refusal": table.refusal, "held_back": table.held_back}
    detail = (
        table.detail
        if len(table.detail) <= MAX_TABLE_DETAIL
        else f"{table.detail[: MAX_TABLE_DETAIL - 1]}\N{HORIZONTAL ELLIPSIS}"
    )
    return TableRun(table.table, table.data_source, table.status, detail, mode=table.mode, **shown)


def _past(run: Run, change: Change | None) -> PastRun:
    return PastRun(
        run.id,
        run.mode,
        run.mode_reason,
        run.trigger,
        run.dry_run,
        run.requested_tables,
        run.status,
        run.status_detail,
        run.requested_at,
        run.started_at,
        run.ended_at,
        seconds_of(run),
        run.counts,
        change,
        run.follow_up,
    )


def _compared(run: Run, earlier: Iterable[Run]) -> Change | None:
    """Return a completed run against the last completed one of the same mode that completed the same tables, None without
    one.
    """
    other = next((old for old in earlier if old.status in COMPARABLE and _kind(old) == _kind(run)), None)
    if other is None or run.status not in COMPARABLE:
        return None
    return Change(
        other.id,
        _per_cent(seconds_of(run), seconds_of(other)),
        _per_cent(run.counts.rows_read, other.counts.rows_read),
        _per_cent(run.counts.linked, other.counts.linked),
    )


def _kind(run: Run) -> tuple[object, ...]:
    done = frozenset(table.table for table in run.tables if table.status in COMPARABLE)
    return run.mode, run.dry_run, frozenset(run.requested_tables), done


def _per_cent(now: float | None, before: float | None) -> float | None:
    if now is None or not before:
        return None
    return round((now - before) / before * 100, 1)
