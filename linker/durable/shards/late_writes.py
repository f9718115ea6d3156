"""Writes that came late are never hidden: the block that names their rows now stops trusting them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from linker.adapters.storage import StoredBlock, TaskState
from linker.core.errors import ChangedError, TransientError
from linker.core.linking.hash_blocks import Entry, intend, unconfirm
from linker.core.linking.shards import Shard, shard_of
from linker.core.model import RowKey
from linker.deps import Deps

TRIES, WAIT_S = (
    20,
    3.0,
)  # only this attempt knows of these writes, so storage is asked for as long as an attempt may take


async def mark_late(deps: Deps, table: str, shard: Shard, sent: Mapping[RowKey, Entry]) -> None:
    """Name in the current blocks, unconfirmed, the entries that an attempt wrote although it lost its shard.

    The table may have grown to smaller shards since. The timer then asks for the run that corrects these rows within the hour.
    Raises TransientError when storage never answers.
    """
    for left in reversed(range(TRIES)):
        try:
            for current, rows in (await _current(deps, table, shard, sent)).items():
                await _mark(deps, table, current, rows)
            await deps.runs.change_task(_reopen)
        except (ChangedError, TransientError) as error:
            if not left:
                raise TransientError("Rows of a late write could not be marked; the shard is tried again.") from error
            await asyncio.sleep(0.0 if isinstance(error, ChangedError) else WAIT_S)
        else:
            return


async def _reopen(task: TaskState) -> TaskState:
    """Return the task as if no run had been complete: what the last one left is not right now."""
    return replace(task, completed=0.0)


async def _current(
    deps: Deps, table: str, shard: Shard, sent: Mapping[RowKey, Entry]
) -> Mapping[Shard, Mapping[RowKey, Entry]]:
    """Return the rows by the shards that hold them now. A shard that still is to be split keeps its own, too."""
    found = await deps.states.load(table)
    if found is None or found[0].bits == shard.bits:
        return {shard: sent}
    groups: dict[Shard, dict[RowKey, Entry]] = {shard: dict(sent)}
    for row, entry in sent.items():
        groups.setdefault(shard_of(row, found[0].bits), {})[row] = entry
    return groups


async def _mark(deps: Deps, table: str, shard: Shard, sent: Mapping[RowKey, Entry]) -> None:
    stored = await deps.blocks.load(table, shard.name)
    if not stored.block.known:
        return  # every row of it is compared anyway, or is marked in the larger shard from which it comes
    entries = dict(stored.block.entries)
    entries |= {key: intend(unconfirm(entries.get(key, ())), written) for key, written in sent.items()}
    await deps.blocks.save(table, shard.name, StoredBlock(stored.block.holding(entries), stored.etag))
