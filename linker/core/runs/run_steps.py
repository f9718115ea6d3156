"""The steps of a run, and when each began: derived from the run itself, so that nothing has to report them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from linker.core.model import Run, Status
from linker.core.runs.status import ENDED

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
