"""The list of runs and its filters."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from linker.core.model import Mode, Run, Status
from linker.core.runs.history import history
from linker.core.serialization import to_json
from linker.entrypoints.api.answers import RunPage
from linker.entrypoints.http.messages import Reply, to_continuation
from linker.entrypoints.http.operations import Call, TableName, operation
from linker.entrypoints.http.paging import PageQuery

LOOK_BACK = 30  # runs behind each one among which the one to compare with is looked for


def _date_first(value: object) -> object:
    """Refuse a bare number, which pydantic would take for seconds since 1970."""
    if isinstance(value, str) and value.replace(".", "").lstrip("+-").isdecimal():
        raise ValueError("a number isn't a time; write it like 2026-11-23T21:00:00Z")
    return value


type Moment = Annotated[AwareDatetime, BeforeValidator(_date_first)]


class RunsQuery(PageQuery):
    """Which runs."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_alias=True)
    status: Annotated[Status | None, Field(description="Only runs with this status.")] = None
    mode: Annotated[Mode | None, Field(description="Only runs of this mode.")] = None
    table: Annotated[TableName | None, Field(description="Only runs that this table takes part in.")] = None
    since: Annotated[Moment | None, Field(description="Only runs that were requested then or later.")] = None
    until: Annotated[Moment | None, Field(description="Only runs that were requested before.")] = None
    dry_run: Annotated[bool | None, Field(description="Only dry runs, or only real ones.")] = None

    @property
    def filters(self) -> bool:
        """Whether it leaves out runs."""
        named = (self.status, self.mode, self.table, self.since, self.until, self.dry_run)
        return any(each is not None for each in named)

    def includes(self, run: Run) -> bool:
        """Whether a run is asked for. One whose tables aren't settled yet and that names none may include any table."""
        tables = {table.table for table in run.tables} or set(run.requested_tables)
        requested = datetime.fromisoformat(run.requested_at) if run.requested_at else datetime.min.replace(tzinfo=UTC)
        return (
            (not self.after or run.id < self.after)
            and self.status in (None, run.status)
            and self.mode in (None, run.mode)
            and self.dry_run in (None, run.dry_run)
            and (self.table is None or not tables or self.table in tables)
            and (self.since is None or requested >= self.since)
            and (self.until is None or requested < self.until)
        )


@operation("GET", "/runs", query=RunsQuery, answer=RunPage)
async def get_runs(call: Call[None, RunsQuery]) -> Reply:
    """List runs, newest first, each compared with the one before it of the same kind."""
    wanted, runs = call.query, call.deps.runs
    is_first = not wanted.filters and not wanted.after
    known = await (runs.newest(wanted.top + 1 + LOOK_BACK) if is_first else runs.since(None))
    places = [place for place, run in enumerate(known) if wanted.includes(run)]
    shown = places[: wanted.top]
    whole = await asyncio.gather(*(runs.load(known[place].id) for place in shown))
    page = [
        past
        for place, run in zip(shown, whole, strict=True)
        for past in history([run or known[place], *known[place + 1 : place + 1 + LOOK_BACK]], 1)
    ]
    more = to_continuation(page[-1].id) if len(places) > len(shown) else None
    return Reply(200, to_json(RunPage(tuple(page), more)))
