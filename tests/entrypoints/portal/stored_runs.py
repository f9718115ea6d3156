"""Stored runs that pages show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from linker.adapters.storage import TaskState
from linker.core.model import Mode, Run, Status, TableRun
from linker.core.serialization import iso
from tests.fakes.world import START, World

SCRIPT = "<script>alert(1)</script>"


CONTACT = TableRun("contact", "crm", Status.REFRESHING, mode=Mode.FULL, mode_reason="first run on this table")


DETAILS = "/api/portal?run={}"


def run_id(hours_ago: float, number: int = 0) -> str:
    return f"{datetime.fromtimestamp(START - hours_ago * 3_600, UTC):%Y%m%dT%H%M%SZ}-{number:08x}"


async def stored(world: World, run: Run, *, shown: bool = True) -> Run:
    """Store a run as it is, and let the task mirror it."""
    await world.deps.runs.create(run)
    saved = await world.deps.runs.advance(run.id, lambda old: replace(run, requested_at=old.requested_at))

    async def show(task: TaskState) -> TaskState:
        return replace(task, run=run.id) if shown else task

    await world.deps.runs.change_task(show)
    return saved


def run_of(status: Status, *tables: TableRun, **values: object) -> Run:
    ended = None if status in (Status.QUEUED, Status.REFRESHING, Status.RETRYING) else iso(START)
    made = Run(run_id(1), Mode.FULL, status, started_at=iso(START - 90), ended_at=ended, tables=tables)
    return replace(made, **values)  # type: ignore[arg-type]
