"""What a row reaches through its link, read live: the point of linking it."""

from __future__ import annotations

from linker.adapters.dataverse.insight_reader import reach
from linker.adapters.dataverse.lookup_column import linked_table
from linker.adapters.looks import INSIGHTS_COST, ROW_KEPT_S
from linker.core.profile_insights.insight_paths import Reach
from linker.core.serialization import to_json
from linker.deps import Deps
from linker.entrypoints.api.rows import linked_row
from linker.entrypoints.http.messages import Reply, not_found
from linker.entrypoints.http.operations import Call, operation


@operation("GET", "/rows/{table}/{row}/insights", answer=Reach, refusals=(404,))
async def get_insights(call: Call) -> Reply:
    """Show what a row reaches through its link, read now: columns of its profile, measures, and rows of related tables."""
    return Reply(200, to_json(await row_reach(call.deps, **call.parameters)))


async def row_reach(deps: Deps, table: str, row: str) -> Reach:
    """Return what a row reaches now. Raises ProblemError 404 when there is no such row, or the table isn't linked."""
    key, _ = await linked_row(deps, table, row)
    dataverse = deps.dataverse()

    async def read() -> Reach | None:
        return await reach(dataverse, await linked_table(dataverse, table), key)

    found = await deps.looks.once(f"insights {table} {key.hex()}", INSIGHTS_COST, deps.clock(), read, kept_s=ROW_KEPT_S)
    if found is None:
        raise not_found("row with this id in the table")
    return found
