"""One row: what is known of it, what went wrong with it, its link as it is now, and what it reaches through the link."""

from __future__ import annotations

from linker.adapters.dataverse.insight_reader import reach
from linker.adapters.dataverse.lookup_column import find_linked_table
from linker.adapters.dataverse.response_models import LiveLink
from linker.core.errors import DataverseError, LinkerError
from linker.core.keys import key_text, row_key
from linker.core.linking.hash_blocks import Entry, hash_link, is_confirmed, names_link
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import shard_of
from linker.core.model import RowKey
from linker.core.profile_insights.insight_paths import Reach
from linker.core.serialization import to_json
from linker.deps import INSIGHTS_COST, ROW_COST, ROW_KEPT_S, Deps
from linker.entrypoints.api.answers import Comparison, LookupNow, RowState
from linker.entrypoints.http.messages import Reply, not_found
from linker.entrypoints.http.operations import Call, operation


@operation("GET", "/rows/{table}/{row}", answer=RowState, refusals=(404,))
async def get_row(call: Call) -> Reply:
    """Show one row: what was last confirmed and by which run, its last error, and its link read now."""
    return Reply(200, to_json(await row_state(call.deps, **call.parameters)))


async def row_state(deps: Deps, table: str, row: str) -> RowState:
    """Return what is known of a row, and its link read now. Raises ProblemError 404 when the table isn't linked."""
    key, state = await linked_row(deps, table, row)
    block = (await deps.blocks.load_or_split(table, shard_of(key, state.bits), state.earlier_bits)).block
    entries = block.entries.get(key)
    run = await deps.runs.load(block.header.run)
    now, detail = await _look(deps, table, key, entries)
    return RowState(
        table=table,
        row=key_text(key),
        known=entries is not None,
        confirmed=entries is not None and is_confirmed(entries),
        run=block.header.run or None,
        confirmed_at=run.ended_at or run.last_updated if run else None,
        now=now,
        now_detail=detail,
        comparison=compare_links(now),
        last_error=await deps.issues.last_of(table, key_text(key)),
    )


async def linked_row(deps: Deps, table: str, row: str) -> tuple[RowKey, TableState]:
    """Return the key of a row and the state of its table. Raises ProblemError 404 when the table is not a linked one."""
    key, found = row_key(row), await deps.states.load(table)
    if key is None or found is None:
        raise not_found("linked table of this name")
    return key, found[0]


async def _look(deps: Deps, table: str, key: RowKey, entries: tuple[Entry, ...] | None) -> tuple[LookupNow | None, str]:
    async def read() -> LookupNow:
        return await _now(deps, table, key, entries)

    try:
        return await deps.looks.once(f"row {table} {key.hex()}", ROW_COST, deps.clock(), read, kept_s=ROW_KEPT_S), ""
    except LinkerError as error:  # what is stored is worth an answer without it
        return None, str(error)


async def _now(deps: Deps, table: str, key: RowKey, entries: tuple[Entry, ...] | None) -> LookupNow:
    dataverse = deps.dataverse()
    target = await find_linked_table(dataverse, table)
    try:
        link = await dataverse.link(target, key)
    except DataverseError as error:
        if error.status != 404:
            raise
        return LookupNow(exists=False)
    profile = link.link.profile if link.link else None
    return LookupNow(True, profile, link.label, await _as_confirmed(deps, key, link, entries))


def compare_links(now: LookupNow | None) -> Comparison:
    """Return how a link that was read now stands to the one that was last confirmed."""
    if now is None or (now.exists and now.as_confirmed is None):
        return Comparison.UNKNOWN
    if not now.exists:
        return Comparison.GONE
    return Comparison.EQUAL if now.as_confirmed else Comparison.DIFFERS


async def _as_confirmed(deps: Deps, key: RowKey, live: LiveLink, entries: tuple[Entry, ...] | None) -> bool | None:
    if entries is None or not is_confirmed(entries):
        return None
    return live.link is not None and names_link(entries, hash_link(key, live.link, await deps.salt()))


@operation("GET", "/rows/{table}/{row}/insights", answer=Reach, refusals=(404,))
async def get_insights(call: Call) -> Reply:
    """Show what a row reaches through its link, read now: columns of its profile, measures, and rows of related tables."""
    return Reply(200, to_json(await row_reach(call.deps, **call.parameters)))


async def row_reach(deps: Deps, table: str, row: str) -> Reach:
    """Return what a row reaches now. Raises ProblemError 404 when the row doesn't exist, or the table isn't linked."""
    key, _ = await linked_row(deps, table, row)
    dataverse = deps.dataverse()

    async def read() -> Reach | None:
        return await reach(dataverse, await find_linked_table(dataverse, table), key)

    found = await deps.looks.once(f"insights {table} {key.hex()}", INSIGHTS_COST, deps.clock(), read, kept_s=ROW_KEPT_S)
    if found is None:
        raise not_found("row with this id in the table")
    return found
