"""Runs: start one, look at it, cancel it, and pause them all. And the webhook that reports a unification."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from typing import Annotated, Any, Self

from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel

from linker.adapters.dataverse.metadata import find_tables
from linker.core.errors import LinkerError
from linker.core.model import MAX_ROWS, Mode, Run, RunRequest, Status, UnlinkAllowance
from linker.core.names import TASK_GROUP, TASK_NAME
from linker.core.roles import Role
from linker.core.runs.lifecycle import end_early
from linker.core.runs.lock_state import MAX_ALLOWED_TABLES, MAX_DAYS, MAX_REASON, MAX_TABLES, Pause, fault_of
from linker.core.runs.run_lock import Cancellation
from linker.core.runs.signals import SignalKind
from linker.core.serialization import dumps, to_json
from linker.deps import ROW_COST, Deps
from linker.entrypoints.api.answers import Resumption, TaskStatus
from linker.entrypoints.messages import ProblemError, Reply, not_found
from linker.entrypoints.operations import Call, TableName, operation
from linker.services.housekeeping import CANCELED, TAKEN_BACK, end_interrupted
from linker.services.run_requests import current_pause, pause_runs, request_run, resume_runs
from linker.settings import triggers_of

KEY = "idempotency-key"  # header; names are lower case
type JobId = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


STRICT = ConfigDict(extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True)


class _StrictBody(BaseModel):
    model_config = STRICT


def _whole(value: object) -> object:
    """JSON has no whole numbers of its own: 5.0 is one."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class AllowanceBody(_StrictBody):
    """Links of a table that this one run may clear: of removed rows that the guard would hold back, or orphaned ones."""

    table: TableName
    most_rows: Annotated[
        int,
        Field(ge=1, le=MAX_ROWS, description="If there are more rows by then, none is cleared."),
        BeforeValidator(_whole),
    ]
    empty_mapping: Annotated[bool, Field(description="Also if the mapping names no row of the table any more.")] = False
    seen: Annotated[
        str,
        Field(
            pattern=r"^([0-9a-f]{16})?$",
            description="heldRows or orphanRows of the run that was looked at: these rows alone.",
        ),
    ] = ""
    orphans: Annotated[
        bool,
        Field(description="Links to profiles that do not exist, on rows that neither the mapping nor the app knows."),
    ] = False

    @model_validator(mode="after")
    def _is_about_one_kind(self) -> Self:
        if self.orphans and self.empty_mapping:
            raise ValueError("emptyMapping is about removed rows, so it does not go with orphans")
        return self


class RunBody(_StrictBody):
    """What a run has to do."""

    mode: Mode = Mode.INCREMENTAL
    dry_run: bool = False
    tables: Annotated[list[TableName], Field(max_length=MAX_TABLES, description="Logical names; empty means all.")] = []
    allow_unlinking: Annotated[list[AllowanceBody], Field(max_length=MAX_ALLOWED_TABLES)] = []

    @model_validator(mode="after")
    def _allows_what_it_runs(self) -> Self:
        if self.tables and any(allowed.table not in self.tables for allowed in self.allow_unlinking):
            raise ValueError("allowUnlinking names a table that tables leaves out")
        return self

    def request(self, trigger: str) -> RunRequest:
        """Return it as the lock takes it."""
        allowed = tuple(
            UnlinkAllowance(one.table, one.most_rows, one.empty_mapping, one.orphans, one.seen)
            for one in self.allow_unlinking
        )
        tables = tuple(dict.fromkeys(self.tables))
        return RunRequest(self.mode, self.dry_run, tables, trigger=trigger, unlink_allowed=allowed)


class UnificationBody(BaseModel):
    """A unification that has completed. A Power Automate flow may send its whole trigger; other members are ignored."""

    model_config = ConfigDict(extra="ignore")
    job_id: Annotated[
        JobId | None, Field(validation_alias=AliasChoices("jobId", "workflowJobId", "unificationJobId"))
    ] = None
    started_at: Annotated[
        AwareDatetime | None,
        Field(validation_alias="startedAt", description="When it began: what is older than this it has not changed."),
    ] = None


@operation(
    "POST",
    "/runs",
    role=Role.OPERATOR,
    body=RunBody,
    answer=Run,
    status=202,
    refusals=(404,),
    audited=True,
    asks_for_run=True,
)
async def post_run(call: Call[RunBody]) -> Reply:
    """Start a run. The answer is the run that will do it, readable at once."""
    _must_be_on("LINKER_START_BY_API", is_on=call.deps.settings.start_by_api)
    await check_tables(call.deps, call.body.tables)
    return await request_and_show(call, call.body.request(call.origin))


@operation(
    "POST",
    "/unification-events",
    role=Role.OPERATOR,
    body=UnificationBody,
    answer=Run,
    status=202,
    audited=True,
    asks_for_run=True,
)
async def post_unification_event(call: Call[UnificationBody]) -> Reply:
    """Report that a unification has completed. The same job again leads to the same run."""
    _must_be_on("LINKER_WEBHOOK", is_on=call.deps.settings.webhook)
    job, began = call.body.job_id, call.body.started_at
    job_start = began.timestamp() if began else 0.0
    jobs = (job,) if job else ()
    await call.deps.signals.receive(
        SignalKind.WEBHOOK, f"Job {job} has merged." if job else "It named no job.", again=True
    )
    return await request_and_show(
        call, RunRequest(jobs=jobs, job_start=job_start, trigger="webhook", nameless_job=not jobs)
    )


@operation("GET", "/runs/{run}", answer=Run, refusals=(404,))
async def get_run(call: Call) -> Reply:
    """Show a run as it is now."""
    return Reply(200, to_json(await find_run(call)))


@operation("POST", "/runs/{run}/cancel", role=Role.OPERATOR, answer=Run, status=202, refusals=(404, 409), audited=True)
async def post_cancel(call: Call) -> Reply:
    """Stop a run after the pages in flight, or take a waiting one back."""
    deps = call.deps
    outcome = await deps.lock.cancel(call.parameters["run"])
    if outcome is Cancellation.UNKNOWN:
        await end_interrupted(deps)  # else a run whose work another one does by now would be shown as canceled
    found = await find_run(call)  # after the lock: a run is shown as ended before it leaves the lock
    if outcome is Cancellation.RUNNING and found.ended_at is None:
        return Reply(202, to_json(found))
    if found.ended_at is None:  # it waited, or its cancellation was not shown, or the lock was lost
        detail = CANCELED if found.started_at else TAKEN_BACK
        found = await deps.runs.advance(found.id, lambda old: end_early(old, Status.CANCELED, detail, deps.clock()))
        if found.status is Status.CANCELED:
            return Reply(202, to_json(found))
    rest = f" Run {found.follow_up} continues its work." if found.follow_up else ""
    raise ProblemError(409, "Nothing to cancel", f"The run is over: {found.status}.{rest}")


@operation("GET", "/status", answer=TaskStatus)
async def get_status(call: Call) -> Reply:
    """Show the task as the product's Status page does, and its latest real run. A newer dry run stands beside it."""
    deps = call.deps
    (run, dry), signals, can, pause = await asyncio.gather(
        deps.runs.load_mirrored(), deps.signals.all(), deps.capability_store.load(), current_pause(deps)
    )
    status, updated = (run.status, run.last_updated) if run else (Status.NOT_STARTED, None)
    triggers = triggers_of(deps.settings, deps.clock())
    task = TaskStatus(TASK_NAME, TASK_GROUP, status, updated, run, dry, pause, triggers, signals, can)
    return Reply(200, to_json(task))


async def find_run(call: Call[Any, Any]) -> Run:
    """Return the run in the path. Raises ProblemError 404."""
    run = await call.deps.runs.load(call.parameters["run"])
    if run is None:
        raise not_found("run with this id")
    return run


def _must_be_on(setting: str, *, is_on: bool) -> None:
    if not is_on:
        raise ProblemError(403, "Switched off", f"{setting} is false: this starts no runs. Nothing was started.")


async def request_and_show(call: Call[Any], request: RunRequest) -> Reply:
    """Ask for a run; the answer is the run that will do it. A caller's key makes a repetition the same request."""
    run = await request_run(call.deps, request, call.start, _key(call, request), call.caller.name)
    return Reply(202, to_json(run), {"Location": f"{call.request.base_url}/api/runs/{run.id}"})


def _key(call: Call[Any], request: RunRequest) -> str:
    """Return what the lock remembers of the caller's key, empty without one: `key.content`, both short whatever was sent."""
    key = call.request.headers.get(KEY, "")
    content = f"{sorted(call.parameters.items())} {dumps(request)}"
    return f"{_digest(f'{call.caller.id} {key}', 32)}.{_digest(content, 16)}" if key else ""


def _digest(text: str, length: int) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:length]


async def check_tables(deps: Deps, names: Iterable[str]) -> None:
    """Raise ProblemError 404 for a table that neither this app nor Dataverse knows.

    When Dataverse can't be asked, the names pass: the run itself looks again.
    """
    for name in dict.fromkeys(names):
        if await deps.states.load(name) is None and not await _may_exist(deps, name):
            detail = f"Dataverse has no table '{name}'. Nothing was started. Check its logical name."
            raise ProblemError(404, "Unknown table", detail)


async def _may_exist(deps: Deps, name: str) -> bool:
    try:
        found = await deps.looks.once(
            f"table {name}", ROW_COST, deps.clock(), lambda: find_tables(deps.dataverse(), name)
        )
    except LinkerError:
        return True
    return any(table.logical_name == name for table in found)


class PauseBody(BaseModel):
    """How long no run begins, and why."""

    model_config = STRICT
    until: Annotated[AwareDatetime, Field(description=f"When runs may begin again, at most {MAX_DAYS} days from now.")]
    reason: Annotated[
        str, Field(max_length=MAX_REASON, pattern=r"^[^\x00-\x1f\x7f]*$", description="Shown to everyone who looks.")
    ] = ""


@operation("POST", "/pause", role=Role.OPERATOR, body=PauseBody, answer=Pause, refusals=(409,), audited=True)
async def post_pause(call: Call[PauseBody]) -> Reply:
    """Pause runs. None begins until then; requests wait. A run under way continues. Another pause replaces this one."""
    until = call.body.until.timestamp()
    if fault := fault_of(until, call.deps.clock()):
        raise ProblemError(409, "The pause doesn't fit", f"{fault} Nothing was changed. Choose another end.")
    return Reply(200, to_json(await pause_runs(call.deps, until, call.caller.name, call.body.reason)))


@operation("POST", "/resume", role=Role.OPERATOR, answer=Resumption, refusals=(409,), audited=True)
async def post_resume(call: Call) -> Reply:
    """End the pause of runs. A run that waited for its end starts at once."""
    pause, following = await resume_runs(call.deps, call.start)
    return Reply(200, to_json(Resumption(pause, following.run if following else None)))
