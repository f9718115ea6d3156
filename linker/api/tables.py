"""What an operator decides about a source table."""

from __future__ import annotations

from linker.activities.survey import hold
from linker.api.http import Reply, not_found
from linker.api.operation import Call, operation
from linker.api.runs import requested
from linker.model import Run, RunRequest
from linker.roles import Role


@operation(
    "POST",
    "/tables/{table}/approve",
    role=Role.OPERATOR,
    answer=Run,
    status=202,
    refusals=(404,),
    audited=True,
    asks_for_run=True,
)
async def post_approve(call: Call) -> Reply:
    """Allow the first link of a table that was held because it fires automations. The answer is the run that will do it."""
    first_links, table = call.deps.first_links, call.parameters["table"]
    if await first_links.load(table) is None:
        await hold(call.deps, table)  # a preflight shows it before any run remembers it
    if await first_links.approve(table, call.caller.name) is None:
        raise not_found("table of this name whose first link waits for an approval; see GET /api/preflight")
    return await requested(call, RunRequest(trigger="approval"))
