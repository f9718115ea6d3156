"""Lists, page by page: runs, the rows of a run, and manual actions.

Row errors come as JSON, CSV, or NDJSON. Planned changes are those of a dry run.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)
from pydantic.alias_generators import to_camel

from linker.core.model import Mode, Run, Status, TableRun
from linker.core.records import PlannedChange, RowIssue
from linker.core.roles import Role
from linker.core.runs.history import history
from linker.core.serialization import to_json
from linker.deps import Deps
from linker.entrypoints.api.answers import AuditPage, IssuePage, RunPage, SampleList
from linker.entrypoints.api.runs import find_run
from linker.entrypoints.messages import CSV, JSON, NDJSON, PageQuery, Reply, Request, first_of, to_continuation, to_text
from linker.entrypoints.operations import Call, TableName, operation

LOOK_BACK = 30  # runs behind each one among which the one to compare with is looked for


def _date_first(value: object) -> object:
    """Refuse a bare number, which pydantic would take for seconds since 1970."""
    if isinstance(value, str) and value.replace(".", "").lstrip("+-").isdecimal():
        raise ValueError("a number isn't a time; write it like 2026-11-23T21:00:00Z")
    return value


type Moment = Annotated[AwareDatetime, BeforeValidator(_date_first)]


class RunFilter(BaseModel):
    """Which runs, in the API and on the timeline."""

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
            self.status in (None, run.status)
            and self.mode in (None, run.mode)
            and self.dry_run in (None, run.dry_run)
            and (self.table is None or not tables or self.table in tables)
            and (self.since is None or requested >= self.since)
            and (self.until is None or requested < self.until)
        )


class RunsQuery(RunFilter, PageQuery):
    """One page of some runs."""


@operation("GET", "/runs", query=RunsQuery, answer=RunPage)
async def get_runs(call: Call[None, RunsQuery]) -> Reply:
    """List runs, newest first, each compared with the one before it of the same kind."""
    wanted, runs = call.query, call.deps.runs
    is_first = not wanted.filters and not wanted.after
    known = await (runs.newest(wanted.top + 1 + LOOK_BACK) if is_first else runs.since(None))
    after = wanted.after
    places = [place for place, run in enumerate(known) if wanted.includes(run) and (not after or run.id < after)]
    shown = places[: wanted.top]
    whole = await asyncio.gather(*(runs.load(known[place].id) for place in shown))
    page = [
        past
        for place, run in zip(shown, whole, strict=True)
        for past in history([run or known[place], *known[place + 1 : place + 1 + LOOK_BACK]], 1)
    ]
    more = to_continuation(page[-1].id) if len(places) > len(shown) else None
    return Reply(200, to_json(RunPage(tuple(page), more)))


# ---- rows of a run ----

BYTE_ORDER_MARK = "\ufeff"
Format = Literal["json", "csv", "ndjson"]
MEDIA_TYPES: dict[Format, str] = {"json": JSON, "csv": CSV, "ndjson": NDJSON}
# A spreadsheet takes a text for a formula that begins so, also in full width, after spaces, quotes and control characters.
# It cuts lines at commas, or at what the settings of its user say: a text after such a separator is a cell of its own.
# Row keys and Dataverse's words are not ours.
_FORMULA = re.compile(r"(^|[;|\t\r\n])([\s\x00-\x1f\"']*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])")
_CONTROL = re.compile(r"^(?=[\x00-\x1f])")


class ErrorQuery(PageQuery):
    """Which row errors, and how."""

    top: Annotated[int, Field(ge=1, le=5_000, description="Most entries of one page.")] = 1_000
    format: Annotated[Format | Literal[""], Field(description="Instead of an Accept header.")] = ""


@operation(
    "GET",
    "/runs/{run}/errors",
    query=ErrorQuery,
    answer=IssuePage,
    refusals=(404,),
    media_types=tuple(MEDIA_TYPES.values()),
)
async def get_errors(call: Call[None, ErrorQuery]) -> Reply:
    """List the rejected and deferred rows of a run with code, reason, advice, when each was first seen, and attempts."""
    run = await find_run(call)
    found, more = await first_of(call.deps.issues.of_run(run.id, call.query.after), call.query.top)
    continuation = to_continuation(found[-1][0]) if more else None
    kind = call.query.format or accept_format(call.request)
    headers = {"Link": f'<{_next(call, kind, continuation)}>; rel="next"'} if continuation else {}
    issues = tuple(issue for _, issue in found)
    match kind:
        case "csv":
            return Reply(200, as_csv(issues), headers, CSV)
        case "ndjson":
            return Reply(200, "".join(to_text(to_json(issue)) + "\n" for issue in issues), headers, NDJSON)
        case _:
            return Reply(200, to_json(IssuePage(issues, continuation)), headers)


def accept_format(request: Request) -> Format:
    """Return the first format in the Accept header that there is; JSON without one."""
    wanted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    formats: dict[str, Format] = {media_type: name for name, media_type in MEDIA_TYPES.items()}
    return next((formats[media_type] for media_type in wanted if media_type in formats), "json")


def as_csv(issues: Sequence[RowIssue]) -> str:
    """Return row issues as CSV with a header (RFC 4180), safe to open in a spreadsheet.

    It begins with a byte order mark: without one, Excel reads UTF-8 in the machine's own encoding.
    """
    lines = io.StringIO()
    lines.write(BYTE_ORDER_MARK)
    writer = csv.writer(lines)
    writer.writerow(to_camel(field.name) for field in fields(RowIssue))
    writer.writerows([_cell(value) for value in to_json(issue).values()] for issue in issues)
    return lines.getvalue()


def _cell(value: object) -> object:
    return _CONTROL.sub("'", _FORMULA.sub(r"\1\2'", value)) if isinstance(value, str) else value


def _next(call: Call[None, ErrorQuery], kind: Format, continuation: str) -> str:
    query = f"format={kind}&top={call.query.top}&continuation={continuation}"
    return f"{call.request.base_url}/api/runs/{call.parameters['run']}/errors?{query}"


MAX_SAMPLES = 20  # of one table


@operation("GET", "/runs/{run}/samples", answer=SampleList, refusals=(404,))
async def get_samples(call: Call) -> Reply:
    """List rows that a dry run would change, some of each table; a real run has none."""
    return Reply(200, to_json(SampleList(await samples_of(call.deps, await find_run(call)))))


async def samples_of(deps: Deps, run: Run) -> tuple[PlannedChange, ...]:
    """Return rows that a dry run would change, some of each table."""
    return tuple(chain.from_iterable([await _of_table(deps, run.id, table) for table in run.tables]))


async def _of_table(deps: Deps, run: str, table: TableRun) -> list[PlannedChange]:
    found: list[PlannedChange] = []
    async for change in deps.samples.of_run(run, table.table):
        if change.change == "unlink" and not table.counts.unlinked:
            continue  # pages do not know that the whole table is held back
        found.append(change)
        if len(found) == MAX_SAMPLES:
            break
    return found


# ---- manual actions ----


@operation("GET", "/audit", role=Role.ADMIN, query=PageQuery, answer=AuditPage)
async def get_audit(call: Call[None, PageQuery]) -> Reply:
    """List what people did by hand: who, when and what, newest first."""
    found, more = await first_of(call.deps.audit.entries(call.query.after), call.query.top)
    return Reply(200, to_json(AuditPage(tuple(found), to_continuation(found[-1].id) if more else None)))
