"""Where activities meet the durable runtime: JSON in, JSON out, and expected failures as values instead of exceptions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from linker import telemetry
from linker.activities.values import Trouble
from linker.deps import Deps
from linker.errors import LinkerError, TransientError
from linker.wire import from_json, to_json

_LOG = logging.getLogger(__name__)
RENEWALS = 3  # a lease is renewed so many times in its length while an activity works


async def run_activity[T](
    work: Callable[[Deps, T], Awaitable[object]], kind: type[T], deps: Deps, data: Any
) -> dict[str, Any]:
    """Run one activity and return its answer, or the Trouble that kept it from its work. The run's lock is kept meanwhile."""
    task = from_json(kind, data)
    try:
        with telemetry.activity(work.__name__, task):
            async with _keeping_lock(deps, str(getattr(task, "run", ""))):
                answer = await work(deps, task)
            telemetry.answered(answer, task)
            return to_json(answer)
    except TransientError as error:
        _LOG.warning("%s: %s", work.__name__, error)
        return to_json(Trouble(str(error)[:1000], max(error.wait_s, 1.0)))
    except LinkerError as error:
        _LOG.error("%s: %s", work.__name__, error)
        return to_json(Trouble(str(error)[:1000]))


@contextlib.asynccontextmanager
async def _keeping_lock(deps: Deps, run: str) -> AsyncIterator[None]:
    """Renew the lock of `run` for as long as the work inside takes."""
    beat = asyncio.create_task(_renew_often(deps, run)) if run else None
    try:
        yield
    finally:
        if beat is not None:
            beat.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beat


async def _renew_often(deps: Deps, run: str) -> None:
    while True:
        await asyncio.sleep(deps.settings.lease_seconds / RENEWALS)
        with contextlib.suppress(LinkerError):  # the next renewal may succeed; without one the watchdog decides
            await deps.lock.renew(run)
