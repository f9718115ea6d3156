"""Whether Dataverse still holds what this app confirmed: after a restore or a copy it may be older than the stored state."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from linker.adapters.dataverse import Dataverse, LiveLink
from linker.core.linking.hash_blocks import Entry, hash_link
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import Shard
from linker.core.model import LOOKUP_SCHEMA_NAME, RowKey, Target
from linker.deps import Deps
from linker.services.row_marking import mark_unconfirmed

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
    live, salt = await dataverse.links(target, LOOKUP_SCHEMA_NAME, sorted(sample)), await deps.salt()
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
