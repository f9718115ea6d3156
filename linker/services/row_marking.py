"""Rows whose confirmed links are not trusted any more: the run compares and resolves them again."""

from __future__ import annotations

from collections.abc import Iterable

from linker.adapters.storage import StoredBlock
from linker.core.errors import ChangedError, TransientError
from linker.core.linking.hash_blocks import UNKNOWN, is_confirmed, unconfirm
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import Shard, group_by_shard
from linker.core.model import RowKey
from linker.deps import Deps

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
