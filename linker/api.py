"""The HTTP API without its transport: bodies in, answers out. function_app.py puts them on routes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel

from linker.activities.life import ended
from linker.blocks import confirmed
from linker.deps import Deps
from linker.errors import ConfigurationError, LinkerError
from linker.lock import Cancellation
from linker.model import TASK_GROUP, TASK_NAME, Mode, Run, RunRequest, Status
from linker.pages import key_text, row_key
from linker.triggers import Start, request_run
from linker.wire import to_json

MOST_BODY_BYTES = 64 * 1024
MOST_ERRORS = 1_000
type Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", to_lower=True)]
type Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class RunBody(BaseModel):
    """Body of POST /api/runs."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)
    mode: Mode = Mode.INCREMENTAL
    dry_run: bool = False
    tables: Annotated[list[Name], Field(max_length=200)] = []


class UnificationBody(BaseModel):
    """Body of POST /api/unification-events. A Power Automate flow may send its whole trigger; other members are ignored."""

    model_config = ConfigDict(extra="ignore")
    job_id: Annotated[
        Text | None, Field(validation_alias=AliasChoices("jobId", "workflowJobId", "unificationJobId"))
    ] = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """Media type of the body."""
        return "application/problem+json" if self.status >= 400 else "application/json"


def problem(status: int, title: str, detail: str) -> Reply:
    """Return an error answer (RFC 9457)."""
    return Reply(status, {"type": "about:blank", "title": title, "status": status, "detail": detail})


async def post_run(deps: Deps, body: bytes, start: Start, base_url: str) -> Reply:
    """POST /api/runs: ask for a run. 202 with the id of the run that will do it, readable at once."""
    asked = _parse(RunBody, body)
    if isinstance(asked, Reply):
        return asked
    request = RunRequest(asked.mode, asked.dry_run, tuple(asked.tables), trigger="api")
    return _accepted(await request_run(deps, request, start), base_url)


async def post_unification_event(deps: Deps, body: bytes, start: Start, base_url: str) -> Reply:
    """POST /api/unification-events: unification completed. The same job again leads to the same run."""
    event = _parse(UnificationBody, body)
    if isinstance(event, Reply):
        return event
    request = RunRequest(jobs=(event.job_id,) if event.job_id else (), trigger="webhook")
    return _accepted(await request_run(deps, request, start), base_url)


async def get_run(deps: Deps, run: str) -> Reply:
    """GET /api/runs/{id}."""
    found = await deps.runs.load(run) if _is_run_id(run) else None
    return problem(404, "Not found", "There is no run with this id.") if found is None else Reply(200, to_json(found))


async def get_status(deps: Deps) -> Reply:
    """GET /api/status: the task as the product's Status page shows it, and its latest run."""
    run = await deps.runs.shown()
    return Reply(
        200,
        {
            "task": TASK_NAME,
            "group": TASK_GROUP,
            "status": run.status if run else Status.NOT_STARTED,
            "lastUpdated": run.last_updated if run else None,
            "run": to_json(run) if run else None,
        },
    )


async def post_cancel(deps: Deps, run: str) -> Reply:
    """POST /api/runs/{id}/cancel: stop a run after the pages in flight, or take a waiting one back."""
    found = await deps.runs.load(run) if _is_run_id(run) else None
    if found is None:
        return problem(404, "Not found", "There is no run with this id.")
    what = await deps.lock.cancel(run)
    if what is Cancellation.UNKNOWN:
        return problem(409, "Nothing to cancel", f"The run is over: {found.status}.")
    if what is Cancellation.PENDING:
        detail = "Canceled by request before it began."
        found = await deps.runs.advance(run, lambda old: ended(old, Status.CANCELED, detail, deps.clock()))
    return Reply(202, to_json(found))


async def get_errors(deps: Deps, run: str) -> Reply:
    """GET /api/runs/{id}/errors: rejected and deferred rows with code, reason and advice; at most MOST_ERRORS."""
    if not _is_run_id(run) or await deps.runs.load(run) is None:
        return problem(404, "Not found", "There is no run with this id.")
    issues: list[dict[str, Any]] = []
    async for issue in deps.issues.of_run(run):
        if len(issues) == MOST_ERRORS:
            return Reply(200, {"value": issues, "more": True})
        issues.append(to_json(issue))
    return Reply(200, {"value": issues, "more": False})


async def get_row(deps: Deps, table: str, row: str) -> Reply:
    """GET /api/rows/{table}/{id}: what was last confirmed on a row, and by which run at the latest."""
    key = row_key(row)
    found = await deps.plans.load(table) if key and _is_name(table) else None
    if key is None or found is None:
        return problem(404, "Not found", "There is no linked table of this name, or the id is no guid.")
    plan = found[0].plan
    pages = [plan.name(plan.page_of(key)), *await deps.strays.names(table)]
    blocks = [(await deps.blocks.load(table, page)).block for page in pages]
    block = next((block for block in blocks if key in block.entries), blocks[0])
    hashes = block.entries.get(key)
    body = {
        "table": table,
        "row": key_text(key),
        "known": hashes is not None,
        "confirmed": hashes is not None and confirmed(hashes),
        "run": block.header.run or None,
    }
    return Reply(200, body)


def failure(error: LinkerError) -> Reply:
    """Return the answer to a request that could not be served."""
    if isinstance(error, ConfigurationError):
        return problem(503, "The app is not set up", str(error))
    return problem(503, "Try again later", str(error))


def _accepted(run: Run, base_url: str) -> Reply:
    return Reply(202, to_json(run), {"Location": f"{base_url}/api/runs/{run.id}"})


def _parse[T: BaseModel](kind: type[T], body: bytes) -> T | Reply:
    if len(body) > MOST_BODY_BYTES:
        return problem(413, "Too large", f"A body has at most {MOST_BODY_BYTES:,} bytes.")
    try:
        return kind.model_validate(json.loads(body or b"{}"))
    except (ValueError, RecursionError) as error:
        return problem(400, "This is no valid body", _why(error))


def _why(error: Exception) -> str:
    """Say which members are wrong without repeating what was sent."""
    if not isinstance(error, ValidationError):
        return "The body is no JSON object."
    faults = error.errors(include_input=False)
    members = {
        "" if fault["type"] == "extra_forbidden" else ".".join(str(part) for part in fault["loc"]): fault["msg"]
        for fault in faults
    }
    return "; ".join(f"{name or 'body'}: {text}" for name, text in members.items())[:500]


def _is_name(text: str) -> bool:
    return 0 < len(text) <= 128 and text.isascii() and text.replace("_", "").isalnum()


def _is_run_id(text: str) -> bool:
    return len(text) <= 64 and text.replace("-", "").isalnum() and text.isascii()
