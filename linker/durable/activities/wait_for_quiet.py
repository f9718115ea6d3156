"""Waiting until mapping and profiles may be read."""

from __future__ import annotations

from dataclasses import replace

from linker.core.model import Run, Status
from linker.core.runs.activity_values import Settled, SettleTask
from linker.core.runs.watermarks import Awaited, SettleRules, next_wait
from linker.core.times import iso
from linker.deps import Deps
from linker.durable.activities.run_lifecycle import slice_s
from linker.services import write_permits
from linker.services.watermark_reading import look_at_marks
from linker.settings import Settings


async def settle(deps: Deps, task: SettleTask) -> Settled:
    """Say whether mapping and profiles rest, or how long to wait before the next look (less than half a lease)."""
    run = task.run
    renewal = await deps.lock.renew(run)
    if not renewal.held or renewal.cancel:
        return Settled(stop=True)
    last = (await deps.runs.task()).marks
    with write_permits.naming("of this app"):
        look = await look_at_marks(deps, last)
    awaited = Awaited(task.for_job, task.job_start, last)
    wait = next_wait(look, awaited, _rules(deps.settings), now=deps.clock(), waited_s=task.waited_s)
    if not wait.seconds:
        began = iso(deps.clock())
        await deps.runs.advance(run, lambda old: _begun(old, began))
        return Settled(marks=look.marks)
    await deps.runs.advance(run, lambda old: replace(old, status=Status.QUEUED, status_detail=wait.detail))
    return Settled(wait_s=min(wait.seconds, slice_s(deps)), detail=wait.detail)


def _begun(run: Run, now: str) -> Run:
    return replace(run, status=Status.REFRESHING, status_detail="", started_at=run.started_at or now)


def _rules(settings: Settings) -> SettleRules:
    minutes = (settings.settle_minutes, settings.arrival_minutes, settings.settle_most_minutes)
    return SettleRules(*(minute * 60 for minute in minutes))
