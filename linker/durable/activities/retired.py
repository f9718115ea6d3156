"""Activities of earlier versions that may be in flight when the app is updated.

Their orchestrations do not fit the new code, so the runtime fails them as non-deterministic (docs/decisions/0012). Without
these activities, calls in flight would get no answer, and the run would look as if the app had stopped.
"""

from __future__ import annotations

from dataclasses import replace

from linker.core.model import Run, Status
from linker.core.runs.activity_values import UPDATED, RunRef, Trouble
from linker.deps import Deps


async def give_way(deps: Deps, task: RunRef) -> Trouble:
    """Let a run of an earlier version go: the next tick of the watchdog ends it for this reason and starts its work again."""

    def change(run: Run) -> Run:
        return run if run.ended_at else replace(run, status=Status.RETRYING, status_detail=UPDATED)

    if await deps.lock.let_go(task.run):
        await deps.runs.advance(task.run, change)
    return Trouble(UPDATED)
