"""What has to happen to the rows of one shard. Pure: claims and block in, plan out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from linker.core.linking.hash_blocks import Entry, HashBlock
from linker.core.linking.shards import Claim
from linker.core.model import RowKey


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """Every claimed row is in exactly one of `unchanged`, `compare` and `change`.

    `unclaimed` are rows of the block that no claim names: after a full scan they have left the mapping.
    """

    unchanged: frozenset[RowKey]
    compare: Mapping[RowKey, Claim]  # only the live link decides
    change: Mapping[RowKey, Claim]  # known to have no link
    unclaimed: tuple[RowKey, ...]


def diff_shard(
    claims: Mapping[RowKey, Claim],
    wishes: Mapping[RowKey, int],
    block: HashBlock,
    *,
    all_live: bool = False,
    links_empty: bool = False,
) -> ShardPlan:
    """Decide for each row of a shard whether it is unchanged, must be compared with its live link, or changes.

    `wishes` holds the wish hash of each claimed row. `all_live` distrusts every row (full and verify runs); `links_empty` says
    that this run created the column, so links to compare with do not exist yet.
    """
    unchanged: set[RowKey] = set()
    compare: dict[RowKey, Claim] = {}
    change: dict[RowKey, Claim] = {}
    for key, claim in claims.items():
        stored = block.entries.get(key)
        if links_empty:
            change[key] = claim
        elif all_live or not block.known or not _confirms(stored, wishes[key]):
            compare[key] = claim  # a row that changed or joined may have the right link already
        else:
            unchanged.add(key)
    unclaimed = tuple(sorted(key for key in block.entries if key not in claims))
    return ShardPlan(frozenset(unchanged), compare, change, unclaimed)


def _confirms(row: tuple[Entry, ...] | None, wish: int) -> bool:
    return row is not None and len(row) == 1 and row[0].is_confirmed and row[0].wish == wish
