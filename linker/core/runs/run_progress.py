"""How far a run has come, and how long it will still take. Pure: reports in, values out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from linker.core.model import Progress, Run, TableRun, Touches
from linker.core.runs.activity_values import Report
from linker.core.times import iso, parse_time, seconds_between

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
    return replace(old, eta_seconds=_shown(eta), paused_until=iso(now + paused_s) if paused_s else None)


def _time_left(news: Report, total: int, max_touches: int) -> float | None:
    """Return the seconds until rows are linked and their profiles touched; None where the rows left are not known.

    Time that was spent in pauses counts in the speed so far, so that a run that is often asked to wait is not promised early.
    """
    done, left = news.counts.rows_read, total - news.counts.rows_read
    if news.pages_done >= news.pages_total or not done or left <= 0 or news.seconds <= 0:
        return None
    touched = news.counts.linked * total / done
    touch_s = touched / TOUCHES_A_SECOND if touched <= max_touches else 0.0
    return _shown(left * news.seconds / done + news.paused_s + touch_s)


def _shown(seconds: float | None) -> float | None:
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
        return Standing("Touching profiles", _share(run.touches.profiles, total), _left(run, now))
    if progress is None or not progress.pages_total:
        return Standing("Preparing")
    if progress.pages_done >= progress.pages_total:
        return Standing("Finishing: removed links and checks", 100.0)
    return Standing("Linking rows", _share(progress.rows_done, progress.rows_total), _left(run, now))


def _share(done: int, total: int) -> float | None:
    """Return per cent, below 100 until the phase is over."""
    return min(100 * done / total, 99.0) if total else None


def _left(run: Run, now: str) -> float | None:
    """Return the time left at `now`; None when the last report promised an end that is past."""
    if run.progress is None or run.progress.eta_seconds is None or not run.last_updated:
        return None
    passed = seconds_between(run.last_updated, now)
    left = run.progress.eta_seconds - max(passed, 0.0)
    return left if left >= 1 else None
