"""What the Status page shows, as values. Pure: a run in, lines out."""

from __future__ import annotations

from dataclasses import dataclass

from linker.history import seconds_of
from linker.model import TASK_GROUP, TASK_NAME, Run, Status, TableRun
from linker.status import ENDED


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One line of the task list. `table` is empty for the task itself; `run` is None before the first one."""

    name: str
    table: str
    status: Status
    detail: str
    last_updated: str | None
    run: str | None


@dataclass(frozen=True, slots=True)
class StatusView:
    """The Status page. `is_live`: what it shows will change without anybody doing anything."""

    group: str
    lines: tuple[TaskLine, ...]
    last: Run | None
    seconds: float | None
    is_live: bool


def status_of(run: Run | None) -> StatusView:
    """Return the page for the run that the task mirrors, None before the first one."""
    if run is None:
        return StatusView(TASK_GROUP, (TaskLine(TASK_NAME, "", Status.NOT_STARTED, "", None, None),), None, None, False)
    task = TaskLine(TASK_NAME, "", run.status, run.status_detail, run.last_updated, run.id)
    lines = (task, *(_line(run, table) for table in run.tables))
    return StatusView(TASK_GROUP, lines, run, seconds_of(run), is_live(run))


def is_live(run: Run) -> bool:
    """Whether a run goes on."""
    return run.ended_at is None and run.status not in ENDED


def _line(run: Run, table: TableRun) -> TaskLine:
    return TaskLine(table.table, table.table, table.status, table.detail, run.last_updated, run.id)
