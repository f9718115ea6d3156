"""The Status page: the task and its tables as in Settings > System > Status, and the progress details of a run beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from linker.core.model import Run, Status
from linker.core.runs.history import standing
from linker.core.runs.lock_state import pause_at
from linker.core.serialization import iso
from linker.entrypoints.http.messages import Reply, not_found
from linker.entrypoints.http.operations import Call, RunId, operation
from linker.entrypoints.portal.render import again, render
from linker.entrypoints.portal.start_run import find_undecided
from linker.entrypoints.portal.views.azure_links import logs_url
from linker.entrypoints.portal.views.progress_view import paused_until, progress_of, rows_before
from linker.entrypoints.portal.views.status_view import TableSort, listed, status_of
from linker.settings import triggers_of

RECENT = 20  # runs among which a table's newest one is looked for
MAX_NAME = 200


class StatusQuery(BaseModel):
    """Which progress details are open: those of a run, or of one table in it.

    `status` and `find`: which tables alone are listed, by status and by a part of the name; `sort`: in which order.
    """

    run: RunId | None = None
    table: Annotated[str, Field(max_length=MAX_NAME)] = ""
    status: Status | Literal[""] = ""
    find: Annotated[str, Field(max_length=MAX_NAME)] = ""
    sort: TableSort = ""


@operation("GET", "/portal", query=StatusQuery)
async def show_status(call: Call[None, StatusQuery]) -> Reply:
    """Show the task, its tables, and the progress details that are asked for."""
    runs, now, asked = call.deps.runs, iso(call.deps.clock()), call.query
    (shown, dry), recent, signals, can, state = await asyncio.gather(
        runs.mirrored(),
        runs.newest(RECENT),
        call.deps.signals.all(),
        call.deps.capability_store.load(),
        call.deps.lock.peek(),
    )
    view = status_of(shown, recent, dry)
    waiting = await find_undecided(call.deps, view.first_links)
    opened = await _find_opened(call, (shown, dry))
    progress = progress_of(opened, asked.table, now, rows_before(opened, recent)) if opened else None
    paused = paused_until(view.current, now) if view.current else None
    triggers = triggers_of(call.deps.settings, call.deps.clock())
    return await render(
        call,
        "status.html",
        asked=asked,
        again=again(call),
        lines=listed(view.lines, asked.status, asked.find, asked.sort),
        view=view,
        waiting=waiting,
        progress=progress,
        paused=paused,
        canceling=state.cancel if view.current else "",
        standing=standing(view.current, now) if view.current else None,
        triggers=triggers,
        logs=logs_url(call.deps.settings.workspace_id or "", opened.id) if opened else "",
        pause=pause_at(state, call.deps.clock()),
        signals=signals,
        capabilities=can,
    )


async def _find_opened(call: Call[None, StatusQuery], loaded: Sequence[Run | None]) -> Run | None:
    wanted = call.query.run
    if wanted is None:
        return None
    known = next((run for run in loaded if run is not None and run.id == wanted), None)
    found = known or await call.deps.runs.load(wanted)
    if found is None:
        raise not_found("run with this id", "Runs are kept for LINKER_KEEP_DAYS days.")
    return found
