"""Asking for a run on a page: first what it would come to, then the run itself."""

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
from linker.core.runs.lock_state import pause_at
from linker.deps import Deps
from linker.entrypoints.api.runs import KEY, AllowanceBody, RunBody, post_run
from linker.entrypoints.api.tables import shared_look
from linker.entrypoints.http.messages import ProblemError, Reply
from linker.entrypoints.http.operations import Call, operation
from linker.entrypoints.portal.forms import act
from linker.entrypoints.portal.render import link, redirect, render
from linker.entrypoints.portal.views.actions_view import (
    HeldFirstLink,
    Newest,
    at_most,
    expected,
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
    lines = expected(await newest_tables(deps), wanted.tables)
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
        return await shared_look(deps), ""
    except LinkerError as error:  # the page is worth showing without
        return None, str(error)
