"""The pause of runs: begin one, end it. GET /api/status shows it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, Field

from linker.core.roles import Role
from linker.core.runs.lock_state import MAX_DAYS, MAX_REASON, Pause, fault_of
from linker.core.serialization import to_json
from linker.entrypoints.api.answers import Resumption
from linker.entrypoints.api.runs import STRICT
from linker.entrypoints.http.messages import ProblemError, Reply
from linker.entrypoints.http.operations import Call, operation
from linker.services.run_requests import pause_runs, resume_runs


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
