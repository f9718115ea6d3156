"""What the Status page shows, as values. Pure: runs in, lines out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linker.history import seconds_of
from linker.model import TASK_GROUP, TASK_NAME, Run, Status
from linker.status import ENDED


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One line of the task list. `table` is empty for the task itself; `run` is None before the first one."""

    name: str
    table: str
    status: Status
    last_updated: str | None = None
    run: str | None = None


@dataclass(frozen=True, slots=True)
class StatusView:
    """The Status page. `current` goes on or waits; `last` is over, and `seconds` is how long it worked."""

    group: str
    lines: tuple[TaskLine, ...]
    current: Run | None
    last: Run | None
    seconds: float | None

    def place_of(self, table: str) -> int:
        """Return the place of a table's line, from 1; the task's for a table that has none."""
        return next((place for place, line in enumerate(self.lines, 1) if line.table == table), 1)


def status_of(shown: Run | None, recent: Sequence[Run]) -> StatusView:
    """Return the page for the run that the task mirrors and summaries of the recent ones, newest first.

    A table stands there with the newest run that it took part in: not each run looks at every table.
    """
    runs = [run for run in recent if shown is None or run.id != shown.id]
    if shown is not None:
        runs = [shown, *(run for run in runs if run.status is not Status.QUEUED)]
    last = next((run for run in runs if not is_live(run)), None)
    current = shown if shown is not None and is_live(shown) else None
    return StatusView(TASK_GROUP, (_task(shown), *_tables(runs)), current, last, seconds_of(last) if last else None)


def is_live(run: Run) -> bool:
    """Whether a run goes on, or waits to begin."""
    return run.ended_at is None and run.status not in ENDED


def _task(run: Run | None) -> TaskLine:
    if run is None:
        return TaskLine(TASK_NAME, "", Status.NOT_STARTED)
    return TaskLine(TASK_NAME, "", run.status, run.last_updated, run.id)


def _tables(runs: Sequence[Run]) -> list[TaskLine]:
    found: dict[str, TaskLine] = {}
    for run in runs:
        for table in run.tables:
            found.setdefault(
                table.table, TaskLine(table.table, table.table, table.status, run.ended_at or run.last_updated, run.id)
            )
    return sorted(found.values(), key=lambda line: line.name.casefold())
