"""Writes that came late are never hidden: whatever block names their rows now does not believe them (design decision 10)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from linker.blocks import intend, unconfirm
from linker.deps import Deps
from linker.errors import ChangedError, TransientError
from linker.model import RowKey
from linker.state import TaskState

TRIES, WAIT_S = 20, 3.0  # nobody else knows of these writes, so storage is asked for as long as an attempt may take


async def mark_late(deps: Deps, table: str, page: str, sent: Mapping[RowKey, int]) -> None:
    """Name in the current blocks, unconfirmed, the row hashes that an attempt wrote although it lost its page.

    `page` is the name of its block, which a split may have replaced since. The timer then asks for the run that mends them
    within the hour. Raises TransientError when storage never answers.
    """
    for left in reversed(range(TRIES)):
        try:
            for name, rows in (await _current(deps, table, page, sent)).items():
                await _mark(deps, table, name, rows)
            await deps.runs.change_task(_incomplete)
        except (ChangedError, TransientError) as error:
            if not left:
                raise TransientError("Rows of a late write could not be marked; the page is tried again.") from error
            await asyncio.sleep(0.0 if isinstance(error, ChangedError) else WAIT_S)
        else:
            return


async def _incomplete(task: TaskState) -> TaskState:
    """Return the task as if no run had been complete: what the last one left is right no more."""
    return replace(task, completed=0.0)


async def _current(deps: Deps, table: str, page: str, sent: Mapping[RowKey, int]) -> Mapping[str, Mapping[RowKey, int]]:
    """Return the rows by the names of the blocks that they are in now."""
    found = await deps.plans.load(table)
    if found is None or page in map(found[0].plan.name, range(found[0].plan.pages)):
        return {page: sent}
    plan = found[0].plan
    pages: dict[str, dict[RowKey, int]] = defaultdict(dict)
    for row, written in sent.items():
        pages[plan.name(plan.page_of(row))][row] = written
    return pages


async def _mark(deps: Deps, table: str, page: str, sent: Mapping[RowKey, int]) -> None:
    stored = await deps.blocks.load(table, page)
    if not stored.block.known:
        return  # all its rows are unconfirmed anyway
    entries = dict(stored.block.entries)
    entries |= {key: intend(unconfirm(entries.get(key, ())), written) for key, written in sent.items()}
    await deps.blocks.save(table, page, replace(stored, block=stored.block.holding(entries)))
