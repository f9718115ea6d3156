"""The pause of runs: an operator lets no run begin for some time. The run lock keeps it (linker.core.runs.pause)."""

from __future__ import annotations

from linker.core.errors import ConflictError
from linker.core.model import Ticket
from linker.core.runs.lifecycle import promise_run
from linker.core.runs.pause import Pause
from linker.core.runs.run_lock import pause_at
from linker.core.times import iso
from linker.deps import Deps
from linker.services.run_requests import Start


async def current_pause(deps: Deps) -> Pause | None:
    """Return the pause that lasts now, None when runs may begin."""
    return pause_at(await deps.lock.peek(), deps.clock())


async def pause_runs(deps: Deps, until: float, by: str, reason: str) -> Pause:
    """Let no run begin before `until` (epoch s), and return the pause. A run under way continues to its end."""
    pause = Pause(iso(until), deps.now(), by, reason)
    await deps.lock.pause_runs(pause)
    return pause


async def resume_runs(deps: Deps, start: Start) -> tuple[Pause, Ticket | None]:
    """End the pause; return it, and the run that waited for that and starts now. Raises ConflictError without a pause."""
    pause = await current_pause(deps)
    if pause is None:
        raise ConflictError("Runs aren't paused. Nothing was changed.")
    following = await deps.lock.resume()
    if following is not None:
        await deps.runs.create(promise_run(following))
        await start(following)
    return pause, following
