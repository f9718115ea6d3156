"""Where pages are cut: from counts of key prefixes, at first and when a page outgrew its requests (decisions 6 and 7)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from linker.activities.values import Split, SplitTask
from linker.blocks import Entries
from linker.dataverse import Dataverse
from linker.deps import Deps
from linker.errors import ConfigurationError, TransientError
from linker.model import KeyRange, RowKey, Target
from linker.odata import MappingColumns
from linker.pages import COUNT_CAP, DIGITS, KEY_DIGITS, Overlap, Plan, cut_text, cuts_from_counts, overlap, prefix_range
from linker.state import StoredBlock, TablePlan

COUNTS_AT_ONCE = 4
EMPTY_AT = ("1", "8", "f")  # rows below or above one of them show when one end of a range is ignored
_MEND = (
    "No page of it was split, and those that are too large were left alone. "
    "Look for keys in braces, for keys that are no guids, or for repeated rows."
)


class Counter:
    """Counts mapping rows of one table below key prefixes, a few at a time."""

    def __init__(self, dataverse: Dataverse, target: Target) -> None:
        self._dataverse, self._target = dataverse, target
        self._columns = MappingColumns(target.name_column)
        self._gate = asyncio.Semaphore(COUNTS_AT_ONCE)

    async def rows(self, keys: KeyRange) -> int:
        """Return the rows in a range over all sources; COUNT_CAP means that many or more."""
        async with self._gate:
            counts = [await self._dataverse.count_mapping(self._columns, s, keys) for s in self._target.sources]
        return min(COUNT_CAP, sum(counts))

    async def leaves(self, within: KeyRange, digits: str = "") -> list[tuple[str, int]]:
        """Return prefixes that cover a range, with their rows; a dense prefix is looked at more closely."""
        place = overlap(within, digits)
        if place is Overlap.OUTSIDE:
            return []
        if place is Overlap.INSIDE:
            rows = await self.rows(prefix_range(digits))
            if rows < COUNT_CAP or len(digits) == KEY_DIGITS:
                return [(digits, rows)]
        parts = await asyncio.gather(*(self.leaves(within, digits + digit) for digit in DIGITS))
        return [leaf for part in parts for leaf in part]


async def new_plan(dataverse: Dataverse, target: Target, version: str) -> Plan:
    """Return cuts that fill pages evenly, after a proof that this environment honours key ranges."""
    counter = Counter(dataverse, target)
    await prove_nothing_is_in_nothing(counter, target)
    leaves = await counter.leaves(KeyRange())
    await prove_ranges(counter, target, leaves)
    return Plan(version, cuts_from_counts(leaves))


async def prove_key_ranges(dataverse: Dataverse, target: Target) -> None:
    """Prove it on the first range that can be counted whole. Raises ConfigurationError as prove_ranges does."""
    counter, digits = Counter(dataverse, target), ""
    await prove_nothing_is_in_nothing(counter, target)
    while (rows := await counter.rows(prefix_range(digits))) == COUNT_CAP and len(digits) < KEY_DIGITS:
        digits += "8"
    await prove_ranges(counter, target, [(digits, rows)])


async def prove_nothing_is_in_nothing(counter: Counter, target: Target) -> None:
    """Count ranges that end where they begin. Raises ConfigurationError when one has rows, before dense prefixes are searched:
    where ranges mean nothing every prefix is dense, and the search would never end.
    """
    for cut in EMPTY_AT:
        if rows := await counter.rows(KeyRange(cut, cut)):
            raise _not_honoured(target, f"{rows:,} mapping rows in a range that holds none")


async def prove_ranges(counter: Counter, target: Target, leaves: Sequence[tuple[str, int]]) -> None:
    """Count one range and its halves. Raises ConfigurationError when they do not add up: pages would lose or repeat rows."""
    digits, rows = max((leaf for leaf in leaves if leaf[1] < COUNT_CAP), key=lambda leaf: leaf[1], default=("", 0))
    middle = cut_text(digits + "8")
    whole = prefix_range(digits)
    halves = [await counter.rows(KeyRange(whole.lower, middle)), await counter.rows(KeyRange(middle, whole.upper))]
    again = await counter.rows(whole)
    if rows == again != sum(halves):
        counts = f"{again:,} mapping rows in one range, {halves[0]:,} and {halves[1]:,} in its halves"
        raise _not_honoured(target, counts)


def _not_honoured(target: Target, counts: str) -> ConfigurationError:
    return ConfigurationError(
        f"Ranges of msdynci_identifier are not honoured for table '{target.table}': {counts}. Nothing was written to the "
        "table. The linker reads pages by such ranges; report this with the environment's region and version."
    )


async def split_pages(deps: Deps, task: SplitTask) -> Split:
    """Cut large pages of a table further: new blocks first, then the plan by ETag, then the old blocks go.

    Entries, unconfirmed bits and epoch move along; a page without a block, or with a damaged one, gets none, so that its
    rows are compared with their live links. Repeating it after a crash does no harm.
    """
    found = await deps.plans.load(task.table)
    if found is None or found[0].plan.version != task.version:
        raise TransientError(f"The plan of '{task.table}' changed while pages were split.", wait_s=1.0)
    stored, etag = found
    target = await deps.target(task.run, task.table)
    counter = Counter(deps.dataverse(), target)
    ranges = [stored.plan.range(page) for page in task.pages]
    leaves = {page: await counter.leaves(keys) for page, keys in zip(task.pages, ranges, strict=True)}
    if any(rows == COUNT_CAP for page in leaves.values() for _, rows in page):
        return Split(
            task.version, failed=f"More than {COUNT_CAP:,} mapping rows of '{task.table}' have one key. {_MEND}"
        )
    cuts = {page: _inner(leaves[page], keys) for page, keys in zip(task.pages, ranges, strict=True)}
    plan = stored.plan.split(deps.new_id()[:8], cuts)
    await _move_blocks(deps, task, stored, plan, ranges)
    await deps.plans.save(task.table, replace(stored, plan=plan), etag)
    for page in task.pages:
        await deps.blocks.delete(task.table, stored.plan.name(page))
    return Split(plan.version, tuple(plan.within(keys) for keys in ranges))


def _inner(leaves: Sequence[tuple[str, int]], keys: KeyRange) -> tuple[str, ...]:
    """Cuts strictly inside of a range; none when the rows have become so few that one page will do."""
    return tuple(cut for cut in cuts_from_counts(leaves) if cut != keys.lower)


async def _move_blocks(deps: Deps, task: SplitTask, stored: TablePlan, plan: Plan, ranges: Sequence[KeyRange]) -> None:
    for page, keys in zip(task.pages, ranges, strict=True):
        parent = await deps.blocks.load(task.table, stored.plan.name(page))
        if parent.block.header.attempt and parent.block.header.until > deps.clock():
            raise TransientError(
                "A page to split is still being worked on.", wait_s=parent.block.header.until - deps.clock()
            )
        if not parent.block.known:
            continue
        header = parent.block.header
        children = range(*plan.within(keys))
        parts = _by_page(plan, parent.block.entries, children)
        for child in children:
            block = parent.block.saved_by(header.run, header.epoch, parts.get(child, {}))
            before = await deps.blocks.header(task.table, plan.name(child))
            await deps.blocks.save(task.table, plan.name(child), StoredBlock(block, before.etag))


def _by_page(plan: Plan, entries: Entries, children: range) -> dict[int, dict[RowKey, tuple[int, ...]]]:
    """Return the entries of each child. Keys in braces stand at one end of all keys, at which one is the environment's
    matter: they go to both ends, and the unlinking pass forgets them at the wrong one.
    """
    parts: dict[int, dict[RowKey, tuple[int, ...]]] = defaultdict(dict)
    for key, hashes in entries.items():
        page = plan.page_of(key)
        for child in {page} if page in children else {children[0], children[-1]}:
            parts[child][key] = hashes
    return parts
