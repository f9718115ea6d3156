"""Profiles that came back under another id: nothing in the mapping changes then, and an elastic table empties no lookup."""

from __future__ import annotations

from datetime import UTC, datetime

from linker.adapters.dataverse import Dataverse
from linker.core.errors import DataverseError
from linker.core.linking.claims import fold_customer
from linker.core.linking.hash_blocks import hash_link
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import group_by_shard
from linker.core.model import Link, RowKey, Target
from linker.core.odata import MappingColumns
from linker.deps import Deps
from linker.services.row_marking import mark_unconfirmed

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
        async for some in dataverse.new_profiles(f"{datetime.fromtimestamp(seen, UTC):%Y-%m-%dT%H:%M:%SZ}", target):
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
