"""The pages that only show: Status, Timeline, About, and Audit.

Status shows the task and its tables as in Settings > System > Status, with the progress details of a run beside them. Timeline
shows runs with their chart, and the last runs of the task or of one table. About shows which app this is, how it is set up, and
what starts its runs, without a secret. Audit shows what people did by hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, model_validator

from linker import VERSION, build
from linker.core.model import Run, Status
from linker.core.names import TASK_NAME
from linker.core.roles import Role
from linker.core.runs.history import PastRun, standing
from linker.core.runs.lock_state import pause_at
from linker.core.serialization import iso
from linker.entrypoints.api.lists import LOOK_BACK, RunFilter
from linker.entrypoints.messages import Reply, first_of, not_found
from linker.entrypoints.operations import Call, RunId, operation
from linker.entrypoints.portal.actions import find_undecided
from linker.entrypoints.portal.render import again, link, render
from linker.entrypoints.portal.views.progress_view import find_pause_end, progress_of, rows_before
from linker.entrypoints.portal.views.rows_view import line_of
from linker.entrypoints.portal.views.status_view import TableSort, list_lines, status_of
from linker.entrypoints.portal.views.timeline_view import (
    Gantt,
    RunSort,
    chart_of,
    gantt_of,
    lines_of,
    modes_of,
    ranges_of,
    sort_lines,
    took_part,
)
from linker.entrypoints.portal.views.words import logs_url, workbooks_url
from linker.services.run_requests import current_pause
from linker.settings import Settings, names, triggers_of

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
        runs.load_mirrored(),
        runs.newest(RECENT),
        call.deps.signals.all(),
        call.deps.capability_store.load(),
        call.deps.lock.peek(),
    )
    view = status_of(shown, recent, dry)
    waiting = await find_undecided(call.deps, view.first_links)
    opened = await _find_opened(call, (shown, dry))
    progress = progress_of(opened, asked.table, now, rows_before(opened, recent)) if opened else None
    paused = find_pause_end(view.current, now) if view.current else None
    triggers = triggers_of(call.deps.settings, call.deps.clock())
    return await render(
        call,
        "status.html",
        asked=asked,
        again=again(call),
        lines=list_lines(view.lines, asked.status, asked.find, asked.sort),
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


# ---- Timeline ----

LINES = 40  # of one page: with all that belongs to it, it stays below 100 kB
SEVERAL = 10  # runs behind a name


class TimelineQuery(RunFilter):
    """Which runs of which days, in which order, after which one, and which one is shown with its steps.

    A form sends each of its fields: an empty one counts as absent.
    """

    days: Annotated[int, Field(ge=1, le=3_650)] = 7
    sort: RunSort = ""
    before: RunId | None = None
    open: RunId | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_empty_fields(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in given.items() if value != ""}


class HistoryQuery(BaseModel):
    """Whose runs: those of the task, or of one table. `open` is shown with its steps."""

    table: Annotated[str, Field(max_length=MAX_NAME)] = ""
    open: RunId | None = None


@operation("GET", "/portal/timeline", query=TimelineQuery)
async def show_timeline(call: Call[None, TimelineQuery]) -> Reply:
    """Show the runs of some days with what changed from one to the next, page by page."""
    asked = call.query
    known = await call.deps.runs.since(asked.days)
    alike = asked.model_copy(update={"status": None})  # the chart and its totals show every status
    runs = [run for run in known if alike.includes(run)]
    wanted = {run.id for run in runs if asked.includes(run)}
    lines = sort_lines((line for line in lines_of(known, len(known)) if line.id in wanted), asked.sort)
    lines, is_more = _page(lines, asked.before)
    here = again(call, "/timeline", before="", open="")
    return await render(
        call,
        "timeline.html",
        asked=asked,
        again=here,
        statuses=tuple(Status),
        ranges=ranges_of(call.deps.settings.keep_days),
        tables=sorted({table.table for run in known for table in run.tables}),
        lines=lines,
        chart=chart_of(runs, asked.days, iso(call.deps.clock())),
        modes=modes_of(runs),
        opened=await _gantt(call, asked.open),
        more=here(before=lines[-1].id) if is_more else "",
    )


@operation("GET", "/portal/history", query=HistoryQuery)
async def show_history(call: Call[None, HistoryQuery]) -> Reply:
    """Show the last several runs of the task, or of one table."""
    table = call.query.table
    runs = await call.deps.runs.newest(SEVERAL + LOOK_BACK)
    lines = lines_of(took_part(runs, table) if table else runs, SEVERAL, table)
    return await render(
        call,
        "history.html",
        name=table or TASK_NAME,
        table=table,
        asked=call.query,
        again=again(call, "/history"),
        lines=lines,
        opened=await _gantt(call, call.query.open),
    )


def _page(lines: list[PastRun], before: str | None) -> tuple[list[PastRun], bool]:
    """Return the lines behind one of them, at most LINES, and whether there are more."""
    start = next((place + 1 for place, line in enumerate(lines) if line.id == before), 0)
    return lines[start : start + LINES], len(lines) > start + LINES


async def _gantt(call: Call[Any, Any], opened: str | None) -> Gantt | None:
    run = await call.deps.runs.load(opened) if opened else None
    return gantt_of(run, iso(call.deps.clock())) if run else None


# ---- About ----


@operation("GET", "/portal/about")
async def show_about(call: Call) -> Reply:
    """Show the version, the identity, the storage, the triggers and the settings in force."""
    deps = call.deps
    run, _ = await deps.runs.load_mirrored()
    return await render(
        call,
        "about.html",
        version=VERSION,
        build=build(),
        workbooks=workbooks_url(deps.settings.workspace_id or ""),
        run=run,
        pause=await current_pause(deps),
        identity=deps.settings.client_id or "system-assigned identity",
        storage=_storage_of(deps.settings),
        triggers=triggers_of(deps.settings, deps.clock()),
        settings=show_settings(deps.settings),
        capabilities=await deps.capability_store.load(),
    )


def show_settings(settings: Settings) -> tuple[tuple[str, str, bool], ...]:
    """Return each setting with its value as text, and whether it differs from the default. A secret is only `set`."""
    fields = type(settings).model_fields
    return tuple(
        (name, _show_value(value := getattr(settings, field)), value != fields[field].default)
        for name, field in zip(names(), fields, strict=True)
    )


def _show_value(value: object) -> str:
    if value is None or value in ("", ()):
        return "not set"
    if isinstance(value, SecretStr):
        return "set"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _storage_of(settings: Settings) -> str:
    if settings.storage_table_service_uri:
        return urlsplit(settings.storage_table_service_uri).netloc
    return "a connection string (LINKER_STORAGE)"


# ---- Audit ----

AUDIT_LINES = 50


class AuditQuery(BaseModel):
    """From which entry on."""

    after: Annotated[str, Field(max_length=200)] = ""


@operation("GET", "/portal/audit", role=Role.ADMIN, query=AuditQuery)
async def show_audit(call: Call[None, AuditQuery]) -> Reply:
    """Show the manual actions, newest first, page by page."""
    entries, more = await first_of(call.deps.audit.entries(call.query.after), AUDIT_LINES)
    following = link("/audit", after=entries[-1].id) if more else ""
    return await render(call, "audit.html", lines=[line_of(entry) for entry in entries], more=following)
