"""The Actions page and what leads on from it: the preflight, the review of a run and the run itself, and the pause of runs.

Asking for a run first shows what it would come to. What waits for a decision about a table is in table_decisions.py.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from linker.core.errors import LinkerError
from linker.core.model import Mode, Run
from linker.core.permissions.preflight_report import Picture
from linker.core.roles import Role
from linker.core.runs.lock_state import MAX_DAYS, MAX_REASON, pause_at
from linker.core.serialization import iso
from linker.deps import Deps
from linker.entrypoints.api.lists import Moment
from linker.entrypoints.api.runs import KEY, AllowanceBody, PauseBody, RunBody, post_pause, post_resume, post_run
from linker.entrypoints.api.tables import share_look
from linker.entrypoints.messages import ProblemError, Reply
from linker.entrypoints.operations import Call, operation
from linker.entrypoints.portal.page_serving import act
from linker.entrypoints.portal.render import link, redirect, render
from linker.entrypoints.portal.views.progress_view import by_verdict
from linker.entrypoints.portal.views.status_view import (
    HeldFirstLink,
    Newest,
    at_most,
    expect_tables,
    find_held_back,
    find_held_first_links,
    newest_by_table,
    work_of,
)

RECENT: Final = 20  # runs among which the newest of each table is looked for
_ALLOWANCE: Final = re.compile(r"(\w+)=(\d{1,12})(?:@([0-9a-f]{16}))?(,empty|,orphans)?")


class KeyForm(BaseModel):
    """A form that asks for something. Its `key` is its own, so that sending it twice is asking once."""

    key: Annotated[str, Field(max_length=100)] = ""


def _allowance(value: object) -> object:
    """Read 'contact=250@<digest of the rows>', with ',empty' where the mapping names no row of the table any more, or with
    ',orphans' where it is about orphaned links.
    """
    found = _ALLOWANCE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError("it names no table with a number of rows")
    table, rows, seen, kind = found.groups(default="")
    kinds = {"empty_mapping": kind == ",empty", "orphans": kind == ",orphans"}
    return {"table": table, "most_rows": int(rows), "seen": seen} | kinds


class RunForm(KeyForm, RunBody):
    """What a run has to do. `look`: Dataverse is to be looked at before."""

    allow_unlinking: Annotated[list[Annotated[AllowanceBody, BeforeValidator(_allowance)]], Field(max_length=20)] = []
    look: bool = False

    def body(self) -> RunBody:
        """Return it as the API takes it."""
        return RunBody.model_validate(self.model_dump(include=set(RunBody.model_fields)))


class ReviewQuery(BaseModel):
    """The same run in an address: tables with commas between them, allowances with semicolons."""

    mode: Mode = Mode.INCREMENTAL
    dry_run: bool = False
    tables: Annotated[str, Field(max_length=4_000)] = ""
    allow_unlinking: Annotated[str, Field(max_length=4_000)] = ""
    look: bool = False

    def form(self) -> RunForm:
        """Return it as the form that is reviewed. Raises ProblemError 400."""
        parts = {"tables": self.tables.split(","), "allow_unlinking": self.allow_unlinking.split(";")}
        chosen = {name: [one for one in some if one] for name, some in parts.items()}
        try:
            return RunForm.model_validate(self.model_dump(exclude=set(chosen)) | chosen)
        except ValidationError:
            raise ProblemError(400, "This address does not fit", "Choose the run again. Nothing was started.") from None


@operation("POST", "/portal/actions/review", role=Role.OPERATOR, body=RunForm)
async def choose_run(call: Call[RunForm]) -> Reply:
    """Redirect to the review of a run. Its address says what was chosen, so that Back leads there again."""
    return redirect("/actions/review", **_query_of(call.body), look="true" if call.body.look else "")


def _query_of(wanted: RunForm) -> dict[str, str]:
    """Return what an address says of a run."""
    return {
        "mode": wanted.mode,
        "dry_run": "true" if wanted.dry_run else "",
        "tables": ",".join(wanted.tables),
        "allow_unlinking": ";".join(map(_allowance_text, wanted.allow_unlinking)),
    }


def _allowance_text(one: AllowanceBody) -> str:
    kind = ",empty" if one.empty_mapping else ",orphans" if one.orphans else ""
    return f"{one.table}={one.most_rows}{f'@{one.seen}' if one.seen else ''}{kind}"


@operation("GET", "/portal/actions/review", role=Role.OPERATOR, query=ReviewQuery)
async def review_run(call: Call[None, ReviewQuery]) -> Reply:
    """Show what a run would come to. Nothing is asked for yet."""
    deps, wanted = call.deps, call.query.form()
    lines = expect_tables(await newest_tables(deps), wanted.tables)
    picture, fault = await _try_look(deps) if wanted.look else (None, "")
    state = await deps.lock.peek()
    return await render(
        call,
        "review.html",
        wanted=wanted,
        here=link("/actions/review", **_query_of(wanted)),
        lines=lines,
        most=at_most(lines, touches=deps.settings.touch_profiles),
        rewrites=deps.settings.full == "rewrite",
        work=work_of(state),
        pause=pause_at(state, deps.clock()),
        picture=picture,
        fault=fault,
        key=deps.new_id(),
    )


@operation("POST", "/portal/actions/run", role=Role.OPERATOR, body=RunForm)
async def ask_for_run(call: Call[RunForm]) -> Reply:
    """Ask for a run, and lead to its progress details."""
    run = await act(with_key(call), post_run, call.body.body())
    return redirect(run=run["id"], notice="asked")


def with_key[Body: KeyForm](call: Call[Body, Any]) -> Call[Body, Any]:
    """Return the call with the key of its form, by which the API knows it again."""
    return replace(call, request=replace(call.request, headers={**call.request.headers, KEY: call.body.key}))


async def newest_tables(deps: Deps, recent: Sequence[Run] | None = None) -> dict[str, Newest]:
    """Return how each table stands by the newest run that shows it, with all that the run knows of it.

    `recent` are summaries of the newest runs where they are known already.
    """
    newest = newest_by_table(await deps.runs.newest(RECENT) if recent is None else recent).values()
    ids = sorted({one.run.id for one in newest}, reverse=True)
    found = await asyncio.gather(*(deps.runs.load(run) for run in ids))
    return newest_by_table(run for run in found if run is not None)


async def find_undecided(deps: Deps, tables: Sequence[str]) -> tuple[HeldFirstLink, ...]:
    """Return the first links of these tables that are not allowed yet; the run that links them may still be waiting."""
    held = await asyncio.gather(*(deps.first_links.load(table) for table in tables))
    return tuple(
        HeldFirstLink(table, first.estimate if first else None)
        for table, first in zip(tables, held, strict=True)
        if first is None or first.waits
    )


async def _try_look(deps: Deps) -> tuple[Picture | None, str]:
    try:
        return await share_look(deps), ""
    except LinkerError as error:  # the page is worth showing without
        return None, str(error)


# ---- the page ----


@operation("GET", "/portal/actions")
async def show_actions(call: Call) -> Reply:
    """Show what runs, what waits for a decision, and the form that asks for a run."""
    deps = call.deps
    recent, state, known = await asyncio.gather(deps.runs.newest(RECENT), deps.lock.peek(), deps.states.tables())
    newest, work = await newest_tables(deps, recent), work_of(state)
    modes = {run.id: run.mode for run in recent}  # a run may have become a full one since it was asked for
    allowed = [one for each in work if not each.ticket.request.dry_run for one in each.ticket.request.unlink_allowed]
    return await render(
        call,
        "actions.html",
        work=work,
        shown=modes,
        held_back=find_held_back(newest, allowed),
        first_links=await find_undecided(deps, find_held_first_links(newest)),
        tables=sorted({*(table.table for run in recent for table in run.tables), *known}),
        modes=tuple(Mode),
        pause=pause_at(state, deps.clock()),
        may_start=deps.settings.start_by_api,
    )


# ---- preflight ----


@operation("GET", "/portal/preflight")
async def show_preflight(call: Call) -> Reply:
    """Show what may be linked and what would happen."""
    picture = await share_look(call.deps)
    tables = [(table, by_verdict([("", table.findings)])) for table in picture.tables]
    findings = by_verdict([("", picture.findings)])
    return await render(call, "preflight.html", picture=picture, findings=findings, tables=tables)


# ---- pauses ----

DAY_S, MINUTES = 86_400, len("2026-11-23T21:00")


def _in_utc(value: object) -> object:
    """Add the offset that a field for a local time leaves out: the page says that it is UTC."""
    is_local = isinstance(value, str) and "T" in value and not value.endswith("Z") and "+" not in value
    return f"{value}Z" if is_local else value


class PauseForm(KeyForm, PauseBody):
    """The end of a pause, in UTC, and its reason."""

    until: Annotated[Moment, BeforeValidator(_in_utc)]

    def body(self) -> PauseBody:
        """Return it as the API takes it."""
        return PauseBody(until=self.until, reason=self.reason)


@operation("GET", "/portal/pause", role=Role.OPERATOR)
async def show_pause(call: Call) -> Reply:
    """Show what a pause of runs means, with the form that begins one."""
    now, state = call.deps.clock(), await call.deps.lock.peek()
    return await render(
        call,
        "pause.html",
        pause=pause_at(state, now),
        work=work_of(state),
        tomorrow=iso(now + DAY_S)[:MINUTES],
        first=iso(now)[:MINUTES],
        last=iso(now + MAX_DAYS * DAY_S)[:MINUTES],
        most_days=MAX_DAYS,
        most_reason=MAX_REASON,
        key=call.deps.new_id(),
    )


@operation("POST", "/portal/pause", role=Role.OPERATOR, body=PauseForm)
async def begin_pause(call: Call[PauseForm]) -> Reply:
    """Pause runs, and lead to the status page, which shows it."""
    await act(call, post_pause, call.body.body())
    return redirect(notice="paused")


@operation("POST", "/portal/resume", role=Role.OPERATOR, body=KeyForm)
async def end_pause(call: Call[KeyForm]) -> Reply:
    """End the pause, and lead to the status page."""
    await act(call, post_resume)
    return redirect(notice="resumed")
