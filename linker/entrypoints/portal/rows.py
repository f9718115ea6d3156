"""The Rows page: one row by table and id, and the rejected and deferred rows of the last runs.

Lists show what people call a row, which is the primary name of its table. Names are kept in memory, for seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field, ValidationError

from linker.adapters.dataverse.response_models import Fields
from linker.core import odata
from linker.core.errors import LinkerError
from linker.core.insight_paths import Reach
from linker.core.keys import digest_rows, row_key
from linker.core.model import Run
from linker.core.records import RowIssue
from linker.deps import ROW_COST, Deps
from linker.entrypoints.api.answers import RowState
from linker.entrypoints.api.lists import ErrorQuery, get_errors
from linker.entrypoints.api.tables import row_reach, row_state
from linker.entrypoints.messages import ProblemError, Reply, first_of, from_continuation, not_found, to_continuation
from linker.entrypoints.operations import PARAMETERS, Call, RunId, operation
from linker.entrypoints.portal.render import HEADERS, again, render
from linker.entrypoints.portal.views.rows_view import (
    GroupSort,
    RunLine,
    fitting_issues,
    groups_of,
    judgement_of,
    lines_of,
)

MAX_NAMED = odata.EQ_TERMS  # rows that one request names
MAX_TABLES = 5
SHAPE_KEPT_S = 3_600.0
type Shape = tuple[str, str, str]
"""Entity set, primary key and primary name column of a table; each may be empty."""


async def names_of(deps: Deps, table: str, rows: Iterable[str]) -> dict[str, str]:
    """Return the names of the first MAX_NAMED rows of a table, by row id; rows without a name are left out.

    A list is worth showing without names, so a refusal gives none.
    """
    keys = list(dict.fromkeys(rows))[:MAX_NAMED]
    known = [key for text in keys if (key := row_key(text)) is not None]
    if not known:
        return {}

    async def read() -> dict[str, str]:
        return await _read(deps, table, keys)

    try:
        return await deps.looks.once(f"names {table} {digest_rows(known)}", ROW_COST, deps.clock(), read)
    except LinkerError:
        return {}


async def names_by_table(deps: Deps, rows: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return the names of some rows by table and row id, of the first MAX_TABLES tables."""
    by_table: dict[str, list[str]] = {}
    for table, row in rows:
        by_table.setdefault(table, []).append(row)
    named = list(by_table.items())[:MAX_TABLES]
    found = await asyncio.gather(*(names_of(deps, table, of_table) for table, of_table in named))
    return {(table, row): name for (table, _), names in zip(named, found, strict=True) for row, name in names.items()}


async def _read(deps: Deps, table: str, keys: list[str]) -> dict[str, str]:
    entity_set, key, name = await _shape(deps, table)
    if not (entity_set and key and name):
        return {}
    (expression,) = odata.any_guid(key, keys, has_in=False)
    path = odata.name(entity_set) + odata.query(select=f"{odata.name(key)},{odata.name(name)}", filter=expression)
    found = await deps.dataverse().first(path, Fields)
    return {str(row[key]): str(row[name]) for row in found if row.get(key) and row.get(name)}


async def _shape(deps: Deps, table: str) -> Shape:
    columns = ("EntitySetName", "PrimaryIdAttribute", "PrimaryNameAttribute")
    path = f"EntityDefinitions(LogicalName={odata.literal(table)})" + odata.query(select=",".join(columns))

    async def read() -> Shape:
        found = await deps.dataverse().one(path, Fields)
        entity_set, key, name = (str(found.get(column) or "") for column in columns)
        return entity_set, key, name

    return await deps.looks.once(f"shape {table}", ROW_COST, deps.clock(), read, kept_s=SHAPE_KEPT_S)


# ---- the page ----

LAST_RUNS = 5
LOOKED_AT = 1_000  # row errors that one page counts: two requests to the storage
DOWNLOADED = 5_000  # of them in one file
SHOWN = 50  # of them in one list
type Text = Annotated[str, Field(max_length=200)]
type Place = Annotated[str, Field(max_length=1_000)]


class RowsQuery(BaseModel):
    """A row by `table` and `row`; or row errors of a `run` from `start` on, listed for a `table` and `code` after `after`.

    Row errors may be those of one `outcome` alone, or with a text to `find` in table, row, code or reason, and in an
    order (`sort`).
    """

    table: Text = ""
    row: Text = ""
    insights: bool = False
    run: RunId | None = None
    code: Text = ""
    start: Place = ""
    after: Place = ""
    outcome: Literal["", "rejected", "deferred"] = ""
    find: Text = ""
    sort: GroupSort = ""


class DownloadQuery(BaseModel):
    """Which file, and from where on."""

    format: Literal["csv", "ndjson"] = "csv"
    start: Place = ""


@dataclass(frozen=True, slots=True)
class RowFound:
    """One row as it was looked for. Without a `state`, `problem` says why; without a `reach`, `reach_problem` may."""

    table: str
    row: str
    state: RowState | None = None
    problem: Literal["", "name", "table"] = ""
    reach: Reach | None = None
    reach_problem: str = ""


@dataclass(frozen=True, slots=True)
class Looked:
    """Row errors of one run that were looked at. `next` is where the others begin, None when these are all."""

    issues: tuple[tuple[str, RowIssue], ...]
    next: str | None


@operation("GET", "/portal/rows", query=RowsQuery)
async def show_rows(call: Call[None, RowsQuery]) -> Reply:
    """Show one row when one is asked for, else the row errors of a run."""
    asked, deps = call.query, call.deps
    runs = await _last_runs(deps, asked.run)
    tables = sorted({table.table for run in runs for table in run.tables if table.mode})
    if asked.table and asked.row:
        found = await _find_row(deps, asked)
        judged = judgement_of(found.state) if found.state else None
        exists = found.state and found.state.now and found.state.now.exists
        names = await names_of(deps, found.table, [found.row]) if exists else {}
        name = names.get(found.row, "")
        return await render(call, "row.html", tables=tables, asked=asked, found=found, judged=judged, name=name)
    lines = lines_of(runs, asked.run or "")
    opened = next((line for line in lines if line.is_open), None)
    looked = await _look_at(deps, opened, asked.start)
    fitting = replace(looked, issues=fitting_issues(looked.issues, asked.outcome, asked.find))
    listed = _select_list(fitting, asked)
    return await render(
        call,
        "rows.html",
        tables=tables,
        asked=asked,
        lines=lines,
        opened=opened,
        again=again(call, "/rows", table="", code="", after=""),
        groups=groups_of((issue for _, issue in fitting.issues), asked.sort),
        listed=listed,
        names=await names_by_table(deps, ((issue.table, issue.row) for _, issue in listed.issues)),
        looked=looked,
        downloaded=DOWNLOADED,
    )


@operation("GET", "/portal/rows/{run}/download", query=DownloadQuery)
async def download_rows(call: Call[None, DownloadQuery]) -> Reply:
    """Download row errors from where the page begins, as CSV or NDJSON."""
    kind, anything = call.query.format, cast("Call[Any, Any]", call)
    wanted = ErrorQuery(top=DOWNLOADED, continuation=call.query.start, format=kind)
    reply = await get_errors.handle(replace(anything, query=wanted))
    name = f"row-errors-{call.parameters['run']}.{kind}"
    return replace(reply, headers={**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'})


async def _last_runs(deps: Deps, wanted: str | None) -> list[Run]:
    """Return the last runs, and behind them the wanted one if it is an older one. Raises ProblemError 404 without it."""
    found = await deps.runs.newest(LAST_RUNS)
    if wanted is None or wanted in {run.id for run in found}:
        return found
    older = await deps.runs.load(wanted)
    if older is None:
        raise not_found("run with this id", "Runs are kept for LINKER_KEEP_DAYS days.")
    return [*found, older]


async def _find_row(deps: Deps, asked: RowsQuery) -> RowFound:
    try:
        table = PARAMETERS["table"].validate_python(asked.table.strip())
        row = PARAMETERS["row"].validate_python(asked.row.strip())
        state = await row_state(deps, table, row)
    except ValidationError:
        return RowFound(asked.table, asked.row, problem="name")
    except ProblemError:
        return RowFound(asked.table, asked.row, problem="table")
    found = RowFound(table, row, state)
    return await _with_reach(deps, found) if asked.insights else found


async def _with_reach(deps: Deps, found: RowFound) -> RowFound:
    try:
        return replace(found, reach=await row_reach(deps, found.table, found.row))
    except ProblemError:
        return replace(found, reach_problem="Dataverse has no row with this id in the table.")
    except LinkerError as error:
        return replace(found, reach_problem=str(error))


async def _look_at(deps: Deps, opened: RunLine | None, start: str) -> Looked:
    if opened is None:
        return Looked((), None)
    found, more = await first_of(deps.issues.of_run(opened.run.id, from_continuation(start)), LOOKED_AT)
    return Looked(tuple(found), to_continuation(found[-1][0]) if more else None)


def _select_list(looked: Looked, asked: RowsQuery) -> Looked:
    """Return one list of the chosen group."""
    after = from_continuation(asked.after)
    chosen = [
        (key, issue)
        for key, issue in looked.issues
        if key > after and issue.code == asked.code and issue.table == asked.table
    ]
    some = tuple(chosen[:SHOWN])
    return Looked(some, to_continuation(some[-1][0]) if len(chosen) > SHOWN else None)
