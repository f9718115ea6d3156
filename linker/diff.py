"""What has to happen to the rows of one page. Pure: mapping and block in, plan out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from linker.blocks import HashBlock, confirmed
from linker.model import CustomerId, RowKey


@dataclass(frozen=True, slots=True)
class PagePlan:
    """Every wanted row is in exactly one of `unchanged`, `compare` and `change`; `departed` are rows of the block alone."""

    unchanged: frozenset[RowKey]
    compare: Mapping[RowKey, CustomerId]  # only the live link tells
    change: Mapping[RowKey, CustomerId]  # known to differ
    departed: tuple[RowKey, ...]


def diff_page(
    wanted: Mapping[RowKey, CustomerId],
    hashes: Mapping[RowKey, tuple[int, ...]],
    block: HashBlock,
    *,
    all_live: bool = False,
    links_empty: bool = False,
) -> PagePlan:
    """Decide for each row of a page whether it is unchanged, must be compared with its live link, or changes.

    `hashes` holds the confirmed entry that each wanted row would have. `all_live` distrusts every row (full and verify runs);
    `links_empty` says that the column was created by this run, so that no link can be there to compare with.
    """
    unchanged: set[RowKey] = set()
    compare: dict[RowKey, CustomerId] = {}
    change: dict[RowKey, CustomerId] = {}
    for key, customer in wanted.items():
        stored = block.entries.get(key)
        if links_empty:
            change[key] = customer
        elif all_live or not block.known or (stored is not None and not confirmed(stored)):
            compare[key] = customer
        elif stored == hashes[key]:
            unchanged.add(key)
        else:
            change[key] = customer
    departed = tuple(sorted(key for key in block.entries if key not in wanted))
    return PagePlan(frozenset(unchanged), compare, change, departed)
