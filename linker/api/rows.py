"""One row: what is known of it, what went wrong with it, and its link as it is now."""

from __future__ import annotations

from linker.api.answers import Comparison, LookupNow, RowState
from linker.api.http import Reply, not_found
from linker.api.operation import Call, operation
from linker.blocks import HashBlock, confirmed, names, row_hash
from linker.core.keys import key_text, row_key
from linker.dataverse.column import linked_table
from linker.dataverse.shapes import LiveLink
from linker.deps import Deps
from linker.errors import LinkerError
from linker.model import LOOKUP_SCHEMA_NAME, RowKey
from linker.pages import Plan
from linker.wire import to_json


@operation("GET", "/rows/{table}/{row}", answer=RowState, refusals=(404,))
async def get_row(call: Call) -> Reply:
    """Show one row: what was last confirmed and by which run, its last error, and its link read now."""
    return Reply(200, to_json(await row_state(call.deps, **call.parameters)))


async def row_state(deps: Deps, table: str, row: str) -> RowState:
    """Return what is known of a row, and its link read now. Raises ProblemError 404 when the table is no linked one."""
    key, plan = await linked_row(deps, table, row)
    block = await _block(deps, table, plan, key)
    hashes = block.entries.get(key)
    run = await deps.runs.load(block.header.run)
    now, detail = await _look(deps, table, key, hashes)
    return RowState(
        table=table,
        row=key_text(key),
        known=hashes is not None,
        confirmed=hashes is not None and confirmed(hashes),
        run=block.header.run or None,
        confirmed_at=run.ended_at or run.last_updated if run else None,
        now=now,
        now_detail=detail,
        comparison=compared(now),
        last_error=await deps.issues.last_of(table, key_text(key)),
    )


async def linked_row(deps: Deps, table: str, row: str) -> tuple[RowKey, Plan]:
    """Return the key of a row and the plan of its table. Raises ProblemError 404 when the table is no linked one."""
    key, found = row_key(row), await deps.plans.load(table)
    if key is None or found is None:
        raise not_found("linked table of this name")
    return key, found[0].plan


async def _block(deps: Deps, table: str, plan: Plan, key: RowKey) -> HashBlock:
    """Return the block that names a row: of its own page, or of one with odd spellings; its own page's when none does."""
    pages = [plan.name(plan.page_of(key)), *await deps.strays.names(table)]
    blocks = [(await deps.blocks.load(table, page)).block for page in pages]
    return next((block for block in blocks if key in block.entries), blocks[0])


async def _look(deps: Deps, table: str, key: RowKey, hashes: tuple[int, ...] | None) -> tuple[LookupNow | None, str]:
    try:
        return await _now(deps, table, key, hashes), ""
    except LinkerError as error:  # what is stored is worth an answer without it
        return None, str(error)


async def _now(deps: Deps, table: str, key: RowKey, hashes: tuple[int, ...] | None) -> LookupNow:
    dataverse = deps.dataverse()
    target = await linked_table(dataverse, table)
    link = (await dataverse.links(target, LOOKUP_SCHEMA_NAME, [key])).get(key)
    if link is None:
        return LookupNow(exists=False)
    return LookupNow(True, link.profile, link.customer, await _as_confirmed(deps, link, hashes))


def compared(now: LookupNow | None) -> Comparison:
    """Return how a link that was read now stands to the one that was last confirmed."""
    if now is None or (now.exists and now.as_confirmed is None):
        return Comparison.UNKNOWN
    if not now.exists:
        return Comparison.GONE
    return Comparison.EQUAL if now.as_confirmed else Comparison.DIFFERS


async def _as_confirmed(deps: Deps, link: LiveLink, hashes: tuple[int, ...] | None) -> bool | None:
    if hashes is None or not confirmed(hashes):
        return None
    return link.customer is not None and names(hashes, row_hash(link.customer, await deps.salt()))
