"""Links on rows that neither the mapping nor a block names: a verify run reports them and leaves them alone (decision 12)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from linker.activities.life import go_on
from linker.activities.values import Strays, TableTask
from linker.dataverse import Dataverse
from linker.deps import Deps
from linker.model import LOOKUP_SCHEMA_NAME, RowKey, Target
from linker.odata import MappingColumns, chunks
from linker.pages import Plan

KEYS_HELD = 500_000  # keys held at once: 16 bytes each, and as much again while they are sorted into pages
KEYS_ASKED = 1_000  # keys of one look into the mapping


async def find_strays(deps: Deps, task: TableTask) -> Strays:
    """Count the rows of a table that hold a link nobody knows of. Reads only."""
    dataverse = deps.dataverse()
    target = await deps.target(task.run, task.table)
    found = await deps.plans.load(task.table)
    if found is None or not target.navigation:
        return Strays()
    strays = 0
    held: list[RowKey] = []
    async for keys in dataverse.keys_by_link(target, LOOKUP_SCHEMA_NAME, empty=False):
        await go_on(deps, task.run)
        held += keys
        if len(held) >= KEYS_HELD:
            strays += await _count(deps, dataverse, target, found[0].plan, held)
            held = []
    return Strays(strays + await _count(deps, dataverse, target, found[0].plan, held))


async def _count(deps: Deps, dataverse: Dataverse, target: Target, plan: Plan, keys: Sequence[RowKey]) -> int:
    unnamed: list[RowKey] = []
    for page, of_page in by_page(plan, keys).items():
        block = (await deps.blocks.load(target.table, plan.name(page))).block
        unnamed += [key for key in of_page if key not in block.entries]
    columns = MappingColumns(target.name_column)
    mapped = [len(await dataverse.still_mapped(columns, target.sources, some)) for some in chunks(unnamed, KEYS_ASKED)]
    return len(unnamed) - sum(mapped)


def by_page(plan: Plan, keys: Sequence[RowKey]) -> dict[int, set[RowKey]]:
    """Return the keys sorted into the pages where their canonical texts stand, pages ascending."""
    pages: dict[int, set[RowKey]] = defaultdict(set)
    for key in keys:
        pages[plan.page_of(key)].add(key)
    return dict(sorted(pages.items()))
