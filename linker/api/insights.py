"""What a row reaches through its link, read live: the point of linking it."""

from __future__ import annotations

from linker.api.http import Reply, not_found
from linker.api.operation import Call, operation
from linker.api.rows import linked_row
from linker.dataverse.column import linked_table
from linker.dataverse.reach import reach
from linker.reach import Reach
from linker.wire import to_json


@operation("GET", "/rows/{table}/{row}/insights", answer=Reach, refusals=(404,))
async def get_insights(call: Call) -> Reply:
    """Show what a row reaches through its link, read now: columns of its profile, measures, and rows of related tables."""
    key, _ = await linked_row(call)
    dataverse = call.deps.dataverse()
    found = await reach(dataverse, await linked_table(dataverse, call.parameters["table"]), key)
    if found is None:
        raise not_found("row with this id in the table")
    return Reply(200, to_json(found))
