"""Runs over time, as values: the steps of one run as bars, the last runs as lines, and the timeline with its chart.

Pure: runs and their summaries in, bars and lines out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median
from typing import Final, Literal

from linker.core.model import Mode, Run, Status, TableRun
from linker.core.runs.history import COMPARABLE, PastRun, history, seconds_of
from linker.core.runs.lifecycle import STEPS, Step
from linker.core.serialization import iso
from linker.entrypoints.portal.views.words import look

TITLES: Final[dict[Step, str]] = {
    "settle": "Wait until data settles",
    "check": "Check requirements",
    "prepare": "Prepare tables",
    "link": "Link rows",
    "finish": "Finish tables",
    "touch": "Touch profiles",
}
TICKS: Final = 3  # of the axis: its two ends and the middle


@dataclass(frozen=True, slots=True)
class TimeBar:
    """A step or a table of a run over time. `start` and `width` are in per cent of the time that the run took so far.

    `status` is that of a table, None for a step. `seconds` last until its end, or until now for the current one.
    """

    title: str
    began: str
    seconds: float
    is_current: bool
    start: float
    width: float
    status: Status | None = None

    @property
    def look(self) -> str:
        """How its bar looks: one of words.LOOKS, or "" for a step."""
        return look(self.status) if self.status else ""


@dataclass(frozen=True, slots=True)
class Gantt:
    """A run over time. `ticks` are times (ISO 8601) at equal distances from the first begin to the end, or to now."""

    steps: tuple[TimeBar, ...]
    tables: tuple[TimeBar, ...]
    ticks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Scale:
    start: str
    end: str

    def bar(self, title: str, began: str, ended: str | None, status: Status | None = None) -> TimeBar:
        whole = seconds_between(self.start, self.end) or 1.0
        seconds = seconds_between(began, ended or self.end)
        start = min(seconds_between(self.start, began) / whole * 100, 100.0)
        width = min(seconds / whole * 100, 100.0 - start)
        return TimeBar(title, began, seconds, ended is None, round(start, 2), round(width, 2), status)

    def ticks(self) -> tuple[str, ...]:
        gap_s = seconds_between(self.start, self.end) / (TICKS - 1)
        start = datetime.fromisoformat(self.start)
        return tuple(iso((start + timedelta(seconds=gap_s * place)).timestamp()) for place in range(TICKS))


def gantt_of(run: Run, now: str, tables: tuple[TableRun, ...] | None = None) -> Gantt | None:
    """Return a run over time, with some of its tables or all of them, at `now` (ISO 8601); None before its first step.

    A step ends where the next one begins. Tables without times were skipped, or an earlier version of the app ran them.
    """
    reached = [step for step in STEPS if step in run.steps]
    if not reached:
        return None
    scale = _Scale(run.steps[reached[0]], run.ended_at or now)
    shown = run.tables if tables is None else tables
    return Gantt(tuple(_steps(run, reached, scale)), tuple(_tables(shown, run, scale)), scale.ticks())


def _steps(run: Run, reached: list[Step], scale: _Scale) -> Iterator[TimeBar]:
    ends = [*(run.steps[step] for step in reached[1:]), run.ended_at]
    for step, ended in zip(reached, ends, strict=True):
        yield scale.bar(TITLES[step], run.steps[step], ended)


def _tables(tables: tuple[TableRun, ...], run: Run, scale: _Scale) -> Iterator[TimeBar]:
    for table in tables:
        if table.started_at:
            yield scale.bar(table.table, table.started_at, table.ended_at or run.ended_at, table.status)


def seconds_between(start: str, end: str) -> float:
    """Return the seconds from one time (ISO 8601) to another, at least 0."""
    return max((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds(), 0.0)


# ---- the timeline ----

LEAST = 2.0  # height of the shortest run, which may be the one that failed
COLUMNS = 60  # of the chart, whatever its range
LABELS = 5
LAST_LABEL = 88  # per cent: one behind it would not be on the paper as a whole
HEIGHT = 40.0
SHORTEST: Final = timedelta(minutes=2)  # of what a chart shows
RANGES: Final = (3, 7, 30, 90)  # days
type RunSort = Literal["", "failures", "duration", "rows", "errors"]
type Precision = Literal["day", "minute", "clock"]


@dataclass(frozen=True, slots=True)
class ChartPart:
    """Runs that were asked for in one span of time and ended alike: a rectangle in 100 x HEIGHT, as high as they took time."""

    status: Status
    runs: int
    seconds: float
    x: float
    y: float
    height: float

    @property
    def look(self) -> str:
        """How it looks: one of words.LOOKS."""
        return look(self.status)


@dataclass(frozen=True, slots=True)
class Chart:
    """Runs by outcome over time, and how many there were of each. `labels` are (place in per cent, ISO 8601 time).

    `most` is the time in s that the highest column stands for; `precision` says how exactly a label is to be written.
    """

    parts: tuple[ChartPart, ...]
    labels: tuple[tuple[float, str], ...]
    precision: Precision
    width: float
    most: float
    totals: tuple[tuple[Status, int], ...]


@dataclass(frozen=True, slots=True)
class ModeLine:
    """Completed runs of one mode over the same tables. `seconds` and `rows_per_second` are medians, rows are sums."""

    mode: Mode
    tables: tuple[str, ...]
    runs: int
    seconds: float | None
    rows_per_second: float | None
    rejected: int
    deferred: int


def ranges_of(keep_days: float) -> tuple[int, ...]:
    """Return the ranges in days that a timeline offers: up to all that is kept."""
    kept = max(round(keep_days), 1)
    return (*(days for days in RANGES if days < kept), kept)


def lines_of(runs: Sequence[Run], most: int, table: str = "") -> tuple[PastRun, ...]:
    """Return the first `most` of some runs, newest first, as lines; those of one table with its own status and counts."""
    return history([_of_table(run, table) for run in runs] if table else runs, most)


def took_part(runs: Sequence[Run], table: str) -> list[Run]:
    """Return the runs that a table took part in."""
    return [run for run in runs if any(one.table == table for one in run.tables)]


def sort_lines(lines: Iterable[PastRun], sort: RunSort) -> list[PastRun]:
    """Return lines in the order that is asked for; those that are equal in it stay newest first."""
    return sorted(lines, key=_SORTS[sort])


def modes_of(runs: Iterable[Run]) -> tuple[ModeLine, ...]:
    """Return the completed real runs by mode and by the tables that they completed, the most frequent first."""
    found: dict[tuple[Mode, tuple[str, ...]], list[Run]] = {}
    for run in runs:
        done = tuple(sorted(table.table for table in run.tables if table.status in COMPARABLE))
        if done and run.status in COMPARABLE and not run.dry_run:
            found.setdefault((run.mode, done), []).append(run)
    lines = [_mode_line(mode, tables, some) for (mode, tables), some in found.items()]
    return tuple(sorted(lines, key=lambda line: (-line.runs, line.mode.strength, line.tables)))


def chart_of(runs: Sequence[Run], days: int, now: str) -> Chart:
    """Return the chart of the last so many days before `now` (ISO 8601), or since the first run if that is later."""
    end = datetime.fromisoformat(now)
    start = _start(runs, end, timedelta(days=days))
    columns: dict[int, dict[Status, list[float]]] = {}
    for run in runs:
        columns.setdefault(_place(run, start, end), {}).setdefault(run.status, []).append(seconds_of(run) or 0.0)
    most = max((sum(map(sum, column.values())) for column in columns.values()), default=0.0) or 1.0
    parts = [part for place, column in sorted(columns.items()) for part in _column(place, column, most)]
    totals = Counter(run.status for run in runs)
    ordered = tuple((status, totals[status]) for status in Status if totals[status])
    precision, labels = _labels(start, end)
    return Chart(tuple(parts), labels, precision, 100 / COLUMNS, most, ordered)


_TROUBLE: Final = (Status.FAILED, Status.RETRYING, Status.SKIPPED, Status.WARNINGS)
_SORTS: Final[Mapping[RunSort, Callable[[PastRun], float]]] = {
    "": lambda _: 0,
    "failures": lambda line: _TROUBLE.index(line.status) if line.status in _TROUBLE else len(_TROUBLE),
    "duration": lambda line: -(line.seconds or 0.0),
    "rows": lambda line: -line.counts.rows_read,
    "errors": lambda line: -(line.counts.rejected + line.counts.deferred),
}


def _mode_line(mode: Mode, tables: tuple[str, ...], runs: Sequence[Run]) -> ModeLine:
    lines = history(runs, len(runs))
    seconds = [line.seconds for line in lines if line.seconds is not None]
    rates = [line.rows_per_second for line in lines if line.rows_per_second is not None]
    rejected, deferred = sum(run.counts.rejected for run in runs), sum(run.counts.deferred for run in runs)
    middle = median(seconds) if seconds else None
    return ModeLine(mode, tables, len(runs), middle, median(rates) if rates else None, rejected, deferred)


def _of_table(run: Run, table: str) -> Run:
    one = next(each for each in run.tables if each.table == table)
    return replace(
        run, status=one.status, status_detail=one.detail, mode=one.mode or run.mode, counts=one.counts, tables=(one,)
    )


def _start(runs: Sequence[Run], end: datetime, whole: timedelta) -> datetime:
    """Return where a chart begins: an app that has just been set up would show all its runs in the last column."""
    first = min((datetime.fromisoformat(run.requested_at) for run in runs), default=end - whole)
    room = max((end - first) * 0.05, timedelta(seconds=1))
    return max(end - whole, min(first - room, end - SHORTEST))


def _place(run: Run, start: datetime, end: datetime) -> int:
    share = (datetime.fromisoformat(run.requested_at) - start) / (end - start)
    return min(max(int(share * COLUMNS), 0), COLUMNS - 1)


def _column(place: int, column: Mapping[Status, Sequence[float]], most: float) -> list[ChartPart]:
    parts, x, y = [], round(place * 100 / COLUMNS, 2), HEIGHT
    for status in filter(column.__contains__, Status):  # one order in every column
        took = column[status]
        seconds = sum(took)
        height = max(seconds / most * HEIGHT, LEAST)
        y -= height
        parts.append(ChartPart(status, len(took), seconds, x, round(y, 2), round(height, 2)))
    return parts


def _labels(start: datetime, end: datetime) -> tuple[Precision, tuple[tuple[float, str], ...]]:
    """Return times with their places, at most LABELS of them: whole days before the end, or equal parts of a short range.

    No two of them read alike.
    """
    whole = end - start
    days = whole.days
    gap = timedelta(days=-(-days // LABELS)) if days >= LABELS - 2 else whole / (LABELS - 2)
    times = [end - gap * number for number in range(LABELS, 0, -1)]
    places = [(round((each - start) / whole * 100, 2), iso(each.timestamp())) for each in times if each >= start]
    precision: Precision = "day" if gap >= timedelta(days=1) else "minute" if gap >= timedelta(minutes=1) else "clock"
    return precision, tuple(one for one in places if one[0] <= LAST_LABEL)
