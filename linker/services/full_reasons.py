"""Why a run has to compare every row of a table: what Customer Insights says, and what the stored state shows."""

from __future__ import annotations

from linker.adapters.dataverse import Dataverse
from linker.core.linking.hash_blocks import name_salt
from linker.core.linking.mapping_scan import (
    LOST_BLOCKS,
    LOST_STATE,
    OTHER_HASHES,
    OTHER_SCHEMA,
    OTHER_WISHES,
    VERSION_1,
    WENT_BACK,
    TableState,
    because_of_schema,
)
from linker.core.linking.shards import Shard
from linker.core.model import Mode, Target
from linker.core.runs.activity_values import TableTask
from linker.deps import Deps
from linker.services.fact_gathering import Evidence
from linker.services.row_marking import find_deviations


async def full_reason(deps: Deps, seen: Evidence) -> str:
    """Why the run has to be full, as far as Customer Insights says; without an answer nothing follows."""
    if deps.insights is None or seen.insight.fault or await deps.insights.has_never_unified() is not True:
        return ""
    return "Customer Insights knows of no successful merge"


async def reason_for_full(deps: Deps, dataverse: Dataverse, task: TableTask, target: Target, state: TableState) -> str:
    """Return why every row has to be compared with its live link, empty when nothing asks for it."""
    if not (state.linked or state.epoch):
        if await deps.states.is_of_version_1(task.table):
            return VERSION_1
        return LOST_STATE if await deps.blocks.sizes(task.table) else task.full_reason
    reasons = (
        (because_of_schema(state, task.schema), OTHER_SCHEMA),
        (bool(state.secret) and state.secret != name_salt(await deps.salt()), OTHER_HASHES),
        (state.names_profile != target.names_profile, OTHER_WISHES),
        (0 < task.newest < state.watermark, WENT_BACK),
        (state.linked and await _blocks_are_lost(deps, state, task.table), LOST_BLOCKS),
    )
    if reason := next((text for true, text in reasons if true), ""):
        return reason
    if state.linked and task.mode is Mode.INCREMENTAL and not task.full_reason:
        return await find_deviations(deps, dataverse, target, state)
    return task.full_reason


async def _blocks_are_lost(deps: Deps, state: TableState, table: str) -> bool:
    """Return whether a shard of a table that was linked whole has no block that can be read, of its own size or larger."""
    known = {name for name, header in (await deps.blocks.headers(table)).items() if header.known}
    sizes = (state.bits, *state.earlier_bits)
    return any(
        not any(Shard(state.bits, number).at(bits).name in known for bits in sizes) for number in range(1 << state.bits)
    )
