"""Rows whose stored hashes are no longer trusted: a superseded attempt wrote them late, or their profile has another id.

Nothing in the mapping changes when a profile comes back under another id, and an elastic table empties no lookup.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from linker.adapters.dataverse import Dataverse
from linker.adapters.storage import StoredBlock, TaskState
from linker.core.errors import ChangedError, DataverseError, TransientError
from linker.core.linking.claims import fold_customer
from linker.core.linking.hash_blocks import Entry, hash_link, intend, unconfirm
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import Shard, group_by_shard, shard_of
from linker.core.model import Link, RowKey, Target
from linker.core.odata import MappingColumns
from linker.core.times import iso
from linker.deps import Deps
from linker.services.row_marking import mark_unconfirmed

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


MAX_NEW = 5_000  # profiles whose rows are looked up one by one; of more, all links are held against all profiles


async def mark_recreated(deps: Deps, dataverse: Dataverse, run: str, target: Target, state: TableState) -> bool:
    """Mark rows unconfirmed that are linked to another profile than the one that their customer has got since the last run.

    Return whether there are too many new profiles, or no way to ask for them, so that all links have to be looked at.
    """
    if not state.profiles_seen:
        return True
    profiles = await _new_profiles(deps, dataverse, run, target, state.profiles_seen)
    if profiles is None:
        return True
    if profiles:
        await mark_unconfirmed(
            deps, target.table, state, await _linked_elsewhere(deps, dataverse, target, state, profiles)
        )
    return False


async def _new_profiles(
    deps: Deps, dataverse: Dataverse, run: str, target: Target, seen: float
) -> dict[str, Link] | None:
    """Return the profiles that were created since a time, None when they are too many, or cannot be read. The tables of a
    run share the answer.
    """
    known = deps.cache.new_profiles
    if (run, seen) in known:
        return known[run, seen]
    for old in [key for key in known if key[0] != run]:
        del known[old]
    profiles: dict[str, Link] = {}
    try:
        async for some in dataverse.new_profiles(iso(seen), target):
            profiles |= some
            if len(profiles) > MAX_NEW:
                return None
    except DataverseError:  # no such column, or no such filter
        return None
    known[run, seen] = profiles
    return profiles


async def _linked_elsewhere(
    deps: Deps, dataverse: Dataverse, target: Target, state: TableState, profiles: dict[str, Link]
) -> list[RowKey]:
    """Return the rows of these customers that are confirmed on another profile."""
    rows = await dataverse.rows_of_customers(MappingColumns(target.name_column), target, sorted(profiles))
    by_customer = {fold_customer(customer): link for customer, link in profiles.items()}
    links = {
        key: by_customer[fold_customer(customer)]
        for key, customer in rows.items()
        if fold_customer(customer) in by_customer
    }
    salt, elsewhere = await deps.salt(), list[RowKey]()
    for shard, keys in group_by_shard(links, state.bits).items():
        entries = (await deps.blocks.load_or_split(target.table, shard, state.earlier_bits)).block.entries
        for key in keys & entries.keys():
            link = links[key] if target.partition_column else Link(links[key].profile)
            if any(entry.link != hash_link(key, link, salt) for entry in entries[key]):
                elsewhere.append(key)
    return elsewhere
