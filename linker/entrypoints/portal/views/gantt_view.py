"""The steps and tables of a run over time, as bars on one scale. Pure: a run in, bars out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from linker.core.model import Run, Status, TableRun
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
