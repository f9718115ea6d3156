"""What may be linked: the preflight, and what an operator decides about a source table."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from linker.adapters.storage import FirstLink
from linker.core.model import Run, RunRequest
from linker.core.permissions.preflight_report import Picture
from linker.core.roles import Role
from linker.core.serialization import to_json
from linker.deps import PREFLIGHT_COST, Deps
from linker.entrypoints.api.answers import HeldLink
from linker.entrypoints.api.runs import STRICT, requested
from linker.entrypoints.http.messages import ProblemError, Reply, not_found
from linker.entrypoints.http.operations import Call, operation
from linker.services.preflight_checks import hold, look


class ApproveBody(BaseModel):
    """What is approved: what `GET /api/tables/{table}/first-link` showed, by its digest."""

    model_config = STRICT
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", description="From GET /api/tables/{table}/first-link.")]


@operation("GET", "/tables/{table}/first-link", role=Role.OPERATOR, answer=HeldLink, refusals=(404,))
async def get_first_link(call: Call) -> Reply:
    """Show what the first link of a table fires, with the digest that an approval names."""
    held = await find_held_link(call.deps, call.parameters["table"])
    link = HeldLink(held.table, held.digest, held.waits, held.held_since, held.shown, held.estimate, held.approval)
    return Reply(200, to_json(link))


@operation(
    "POST",
    "/tables/{table}/approve",
    role=Role.OPERATOR,
    body=ApproveBody,
    answer=Run,
    status=202,
    refusals=(404,),
    audited=True,
    asks_for_run=True,
)
async def post_approve(call: Call[ApproveBody]) -> Reply:
    """Allow the first link of a table that was held because it fires automations. The answer is the run that will do it."""
    table = call.parameters["table"]
    if await call.deps.first_links.approve(table, call.caller.name, call.body.digest) is None:
        raise _nothing_waits()
    call.deps.looks.forget()
    return await requested(call, RunRequest(trigger="approval"))


async def find_held_link(deps: Deps, table: str) -> FirstLink:
    """Return the first link of a table as it is held. Raises ProblemError 404 when it is not held.

    A preflight shows a table as held before any run remembers it, so one that is not known is looked at.
    """
    held = await deps.first_links.load(table)
    if held is None or not held.shown:  # an earlier version did not keep what is shown
        await deps.looks.once(f"hold {table}", PREFLIGHT_COST, deps.clock(), lambda: hold(deps, table))
        held = await deps.first_links.load(table)
    if held is None:
        raise _nothing_waits()
    return held


def _nothing_waits() -> ProblemError:
    return not_found("table of this name whose first link waits for an approval", "See GET /api/preflight.")


@operation("GET", "/preflight", answer=Picture)
async def get_preflight(call: Call) -> Reply:
    """Show what may be linked and what would happen. Looks at Dataverse, which takes some seconds, and writes nothing."""
    return Reply(200, to_json(await shared_look(call.deps)))


async def shared_look(deps: Deps) -> Picture:
    """Return the picture that a look of the last seconds gave, or that a new one gives."""
    return await deps.looks.once("preflight", PREFLIGHT_COST, deps.clock(), lambda: look(deps))
