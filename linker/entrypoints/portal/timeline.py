"""Runs over time: the timeline with its chart, and the last runs of the task or of one table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from linker.core.model import TASK_NAME, Status
from linker.core.times import iso
from linker.entrypoints.api.runs import LOOK_BACK
from linker.entrypoints.http.messages import Reply
from linker.entrypoints.http.operations import Call, RunId, operation
from linker.entrypoints.portal.render import link, render
from linker.entrypoints.portal.status import MAX_NAME
from linker.entrypoints.portal.views.history_view import chart_of, lines_of, took_part

LINES = 50  # of one page
SEVERAL = 10  # runs behind a name
type Days = Annotated[Literal[3, 7, 30, 90], BeforeValidator(lambda text: int(text) if str(text).isdecimal() else text)]


class TimelineQuery(BaseModel):
    """Which days, and from which run on; those of one status alone if that is given."""

    days: Days = 7
    before: RunId | None = None
    status: Status | Literal[""] = ""


class HistoryQuery(BaseModel):
    """Whose runs: those of the task, or of one table."""

    table: Annotated[str, Field(max_length=MAX_NAME)] = ""


@operation("GET", "/portal/timeline", query=TimelineQuery)
async def show_timeline(call: Call[None, TimelineQuery]) -> Reply:
    """Show the runs of some days with what changed from one to the next, page by page."""
    days, before, status = call.query.days, call.query.before, call.query.status
    runs = await call.deps.runs.since(days)
    left = [run for run in runs if before is None or run.id < before]
    found = lines_of(left, len(left) if status else LINES + 1)  # all are compared before some are left out
    chosen = [line for line in found if status in ("", line.status)]
    lines = chosen[:LINES]
    more = link("/timeline", days=str(days), before=lines[-1].id, status=status) if len(chosen) > LINES else ""
    chart = chart_of(runs, days, iso(call.deps.clock()))
    return await render(call, "timeline.html", asked=call.query, days=days, lines=lines, chart=chart, more=more)


@operation("GET", "/portal/history", query=HistoryQuery)
async def show_history(call: Call[None, HistoryQuery]) -> Reply:
    """Show the last several runs of the task, or of one table."""
    table = call.query.table
    runs = await call.deps.runs.newest(SEVERAL + LOOK_BACK)
    lines = lines_of(took_part(runs, table) if table else runs, SEVERAL, table)
    return await render(call, "history.html", name=table or TASK_NAME, table=table, lines=lines)
