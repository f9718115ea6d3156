"""Runs over time: the timeline with its chart, and the last runs of the task or of one table."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, model_validator

from linker.core.model import Status
from linker.core.names import TASK_NAME
from linker.core.runs.history import PastRun
from linker.core.serialization import iso
from linker.entrypoints.api.runs import LOOK_BACK, RunFilter
from linker.entrypoints.http.messages import Reply
from linker.entrypoints.http.operations import Call, RunId, operation
from linker.entrypoints.portal.render import again, render
from linker.entrypoints.portal.status import MAX_NAME
from linker.entrypoints.portal.views.gantt_view import Gantt, gantt_of
from linker.entrypoints.portal.views.history_view import (
    RunSort,
    chart_of,
    lines_of,
    modes_of,
    ranges_of,
    sorted_lines,
    took_part,
)

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
    lines = sorted_lines((line for line in lines_of(known, len(known)) if line.id in wanted), asked.sort)
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
