"""How far a run has come, and the last runs side by side: how long each took and still takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from linker.core.model import WIRE, Counts, Mode, Progress, Run, Status, TableRun, Touches
from linker.core.runs.activity_values import Report
from linker.core.serialization import iso, parse_time, seconds_between

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
    requested_by: tuple[str, ...] = ()

    @property
    def rows_per_second(self) -> float | None:
        """See rows_a_second; None before the end."""
        return rows_a_second(self.counts.rows_read, self.seconds)


def rows_a_second(rows: int, seconds: float | None) -> float | None:
    """Return the rows of a run that is over by its whole duration, as runs are compared; None where no row was read."""
    return rows / seconds if seconds and rows else None


def summary(run: Run) -> Run:
    """Return a run with what lists of runs show, and without the rest: some hundred bytes, and as many for each table."""
    tables = tuple(map(_brief, run.tables))
    detail, reason = run.status_detail[:MAX_DETAIL], run.mode_reason[:MAX_DETAIL]
    rest: dict[str, Any] = {"jobs": (), "warnings": (), "notes": (), "findings": (), "progress": None, "steps": {}}
    return replace(run, tables=tables, status_detail=detail, mode_reason=reason, **rest)


def history(runs: Sequence[Run], most: int) -> tuple[PastRun, ...]:
    """Return the first `most` of some runs, newest first; those behind them serve for comparison alone."""
    return tuple(_past(run, _compare_runs(run, runs[place + 1 :])) for place, run in enumerate(runs[:most]))


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
        run.requested_by,
    )


def _compare_runs(run: Run, earlier: Iterable[Run]) -> Change | None:
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


TOUCHES_A_SECOND: Final = 20.0  # 6,000 requests in five minutes (docs/reference/dataverse.md), one for each profile


def linking_progress(news: Report, tables: Iterable[TableRun], now: float, max_touches: int) -> Progress:
    """Return how far the linking is at `now` (epoch s); at most `max_touches` profiles are touched after it, else none."""
    total, done = sum(table.rows_total for table in tables), news.counts.rows_read
    return Progress(
        pages_total=news.pages_total,
        pages_done=news.pages_done,
        width=news.pace.width,
        batch=news.pace.batch,
        rows_per_second=round(done / news.seconds, 1) if news.seconds > 0 else 0.0,
        eta_seconds=_time_left(news, total, max_touches),
        paused_until=iso(now + news.paused_s) if news.paused_s else None,
        rows_total=total,
        rows_done=min(done, total) if total else done,
    )


def touching_progress(old: Progress, touches: Touches, began: str, now: float, paused_s: float) -> Progress:
    """Return how far the touch of profiles is, which began at `began` (ISO 8601)."""
    seconds = now - parse_time(began)
    left = old.profiles_total - touches.profiles
    eta = left * seconds / touches.profiles + paused_s if touches.profiles and left > 0 else None
    return replace(old, eta_seconds=_round_seconds(eta), paused_until=iso(now + paused_s) if paused_s else None)


def _time_left(news: Report, total: int, max_touches: int) -> float | None:
    """Return the seconds until rows are linked and their profiles touched; None where the rows left are not known.

    Time that was spent in pauses counts in the speed so far, so that a run that is often asked to wait is not promised early.
    """
    done, left = news.counts.rows_read, total - news.counts.rows_read
    if news.pages_done >= news.pages_total or not done or left <= 0 or news.seconds <= 0:
        return None
    touched = news.counts.linked * total / done
    touch_s = touched / TOUCHES_A_SECOND if touched <= max_touches else 0.0
    return _round_seconds(left * news.seconds / done + news.paused_s + touch_s)


def _round_seconds(seconds: float | None) -> float | None:
    return None if seconds is None else max(round(seconds, 1), 1.0)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a run that works does now, how far that is, in per cent, and the seconds left; None where it is not known."""

    phase: str
    percent: float | None = None
    seconds_left: float | None = None


def standing(run: Run, now: str) -> Standing | None:
    """Return how a run that works stands at `now` (ISO 8601); None when it does not work."""
    progress = run.progress
    if run.ended_at is not None or run.started_at is None:
        return None
    if run.touches is not None:
        total = progress.profiles_total if progress else 0
        return Standing("Touching profiles", _share(run.touches.profiles, total), _seconds_left(run, now))
    if progress is None or not progress.pages_total:
        return Standing("Preparing")
    if progress.pages_done >= progress.pages_total:
        return Standing("Finishing: removed links and checks", 100.0)
    return Standing("Linking rows", _share(progress.rows_done, progress.rows_total), _seconds_left(run, now))


def _share(done: int, total: int) -> float | None:
    """Return per cent, below 100 until the phase is over."""
    return min(100 * done / total, 99.0) if total else None


def _seconds_left(run: Run, now: str) -> float | None:
    """Return the time left at `now`; None when the last report promised an end that is past.

    How long Dataverse will not answer is not known, so a run that waits for it has none either.
    """
    if (
        run.status is Status.RETRYING
        or run.progress is None
        or run.progress.eta_seconds is None
        or not run.last_updated
    ):
        return None
    passed = seconds_between(run.last_updated, now)
    left = run.progress.eta_seconds - max(passed, 0.0)
    return left if left >= 1 else None
