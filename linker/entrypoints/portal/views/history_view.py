"""Lists of runs: the last ones of the task or of a table, and the timeline with its chart. Pure: summaries in, lines out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from linker.core.model import Run, Status
from linker.core.runs.history import PastRun, history, seconds_of
from linker.entrypoints.portal.views.words import look

LEAST = 2.0  # height of the shortest run, which may be the one that failed
COLUMNS = 60  # of the chart, whatever its range
LABELS = 6
LAST_LABEL = 92  # per cent: one behind it would not be on the paper as a whole
HEIGHT = 40.0


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
    """Runs by outcome over time, and how many there were of each. `labels` are (place in per cent, date in UTC).

    `most` is the time in s that the highest column stands for.
    """

    parts: tuple[ChartPart, ...]
    labels: tuple[tuple[float, str], ...]
    width: float
    most: float
    totals: tuple[tuple[Status, int], ...]


def lines_of(runs: Sequence[Run], most: int, table: str = "") -> tuple[PastRun, ...]:
    """Return the first `most` of some runs, newest first, as lines; those of one table with its own status and counts."""
    return history([_of_table(run, table) for run in runs] if table else runs, most)


def took_part(runs: Sequence[Run], table: str) -> list[Run]:
    """Return the runs that a table took part in."""
    return [run for run in runs if any(one.table == table for one in run.tables)]


def chart_of(runs: Sequence[Run], days: int, now: str) -> Chart:
    """Return the chart of the last so many days before `now` (ISO 8601)."""
    end = datetime.fromisoformat(now)
    start = end - timedelta(days=days)
    columns: dict[int, dict[Status, list[float]]] = {}
    for run in runs:
        columns.setdefault(_place(run, start, end), {}).setdefault(run.status, []).append(seconds_of(run) or 0.0)
    most = max((sum(map(sum, column.values())) for column in columns.values()), default=0.0) or 1.0
    parts = [part for place, column in sorted(columns.items()) for part in _column(place, column, most)]
    totals = Counter(run.status for run in runs)
    ordered = tuple((status, totals[status]) for status in Status if totals[status])
    return Chart(tuple(parts), _labels(start, end), 100 / COLUMNS, most, ordered)


def _of_table(run: Run, table: str) -> Run:
    one = next(each for each in run.tables if each.table == table)
    return replace(
        run, status=one.status, status_detail=one.detail, mode=one.mode or run.mode, counts=one.counts, tables=(one,)
    )


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


def _labels(start: datetime, end: datetime) -> tuple[tuple[float, str], ...]:
    """Return midnights in UTC with their places, at most LABELS of them."""
    first = datetime(start.year, start.month, start.day, tzinfo=start.tzinfo) + timedelta(days=1)
    days = (end - first).days + 1
    every = -(-days // LABELS)
    midnights = [first + timedelta(days=day) for day in range(0, days, every)]
    places = [(round((each - start) / (end - start) * 100, 2), f"{each:%d %b}") for each in midnights]
    return tuple((place, date) for place, date in places if place <= LAST_LABEL)
