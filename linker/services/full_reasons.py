"""Why a run has to compare every row of a table, or some of them, although the mapping shows no change.

Customer Insights, the stored state, or a sample of confirmed links says so: after a restore or a copy, Dataverse may be older
than the stored state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random

from linker.adapters.dataverse import Dataverse, LiveLink
from linker.adapters.storage import StoredBlock
from linker.core.errors import ChangedError, TransientError
from linker.core.linking.hash_blocks import UNKNOWN, Entry, hash_link, is_confirmed, name_salt, unconfirm
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
from linker.core.linking.shards import Shard, group_by_shard
from linker.core.model import RowKey, Target
from linker.core.runs.activity_values import TableTask
from linker.deps import Deps
from linker.services.fact_gathering import Evidence

MARK_TRIES = 20


async def mark_unconfirmed(deps: Deps, table: str, state: TableState, keys: Iterable[RowKey]) -> int:
    """Mark rows unconfirmed wherever a block names them; return how many. Rows that no block names are left alone."""
    sizes = (state.bits, *state.earlier_bits)
    groups = [(shard, rows) for bits in sizes for shard, rows in group_by_shard(keys, bits).items()]
    return sum([await _mark_shard(deps, table, shard, rows) for shard, rows in groups])


async def _mark_shard(deps: Deps, table: str, shard: Shard, keys: set[RowKey]) -> int:
    for _ in range(MARK_TRIES):
        stored = await deps.blocks.load(table, shard.name)
        entries = stored.block.entries
        believed = {key for key in keys if is_confirmed(entries.get(key, (UNKNOWN,)))}
        if not believed:
            return 0
        marked = {key: unconfirm(row) if key in believed else row for key, row in entries.items()}
        try:
            await deps.blocks.save(table, shard.name, StoredBlock(stored.block.holding(marked), stored.etag))
        except ChangedError:
            continue
        return len(believed)
    raise TransientError(f"A shard of '{table}' keeps changing; its rows could not be marked.")


SAMPLED_SHARDS = 4
SAMPLED_ROWS = 500  # one request
TOLERATED = 0.01  # share of the sample that people may have changed by hand without a full run


async def find_deviations(deps: Deps, dataverse: Dataverse, target: Target, state: TableState) -> str:
    """Return why the table has to be compared as a whole, empty when a sample of confirmed links is as it was confirmed.

    A few that are not are marked, so that this run compares them. Links that are empty now do not count: every run lists them.
    """
    sample = await _sample(deps, target.table, state)
    if not sample:
        return ""
    live, salt = await dataverse.links(target, sorted(sample)), await deps.salt()
    others = [key for key, row in live.items() if row.link and not _is_as_confirmed(key, row, sample, salt)]
    if len(others) <= TOLERATED * len(sample):
        await mark_unconfirmed(deps, target.table, state, others)
        return ""
    return f"{len(others):,} of {len(sample):,} sampled links are not as they were confirmed"


async def _sample(deps: Deps, table: str, state: TableState) -> dict[RowKey, Entry]:
    """Return confirmed rows of a few shards, other ones in each run."""
    chance = Random(deps.new_id())  # noqa: S311 - a sample, not a secret
    numbers = chance.sample(range(1 << state.bits), min(SAMPLED_SHARDS, 1 << state.bits))
    sample: dict[RowKey, Entry] = {}
    for number in numbers:
        block = (await deps.blocks.load(table, Shard(state.bits, number).name)).block
        rows = [(key, row[0]) for key, row in block.entries.items() if len(row) == 1 and row[0].is_confirmed]
        sample |= dict(chance.sample(rows, min(len(rows), SAMPLED_ROWS // len(numbers))))
    return sample


def _is_as_confirmed(key: RowKey, row: LiveLink, sample: Mapping[RowKey, Entry], salt: bytes) -> bool:
    return row.link is not None and hash_link(key, row.link, salt) == sample[key].link


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
    if state.linked and not task.mode.compares_all and not task.full_reason:
        return await find_deviations(deps, dataverse, target, state)
    return task.full_reason


async def _blocks_are_lost(deps: Deps, state: TableState, table: str) -> bool:
    """Return whether a shard of a table that was linked whole has no block that can be read, of its own size or larger."""
    known = {name for name, header in (await deps.blocks.headers(table)).items() if header.known}
    sizes = (state.bits, *state.earlier_bits)
    return any(
        not any(Shard(state.bits, number).at(bits).name in known for bits in sizes) for number in range(1 << state.bits)
    )
