"""A few rows of what a dry run would change (table `linkererrors`), so that people see examples and not only counts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import islice

from linker.adapters.storage.documents import cut, joined
from linker.adapters.storage.issue_store import ERRORS
from linker.core.model import WIRE, PlannedChange
from linker.core.ports import Tables
from linker.core.serialization import dumps, loads

SAMPLE_ROWS = 3  # of one page, of each kind of change


@dataclass(frozen=True, slots=True)
class _Sample:
    __pydantic_config__ = WIRE
    changes: tuple[PlannedChange, ...]


class Samples:
    """Sampled changes of dry runs, an entity a page."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save(self, run: str, page: tuple[str, str], *kinds: Iterable[PlannedChange]) -> None:
        """Save the first changes of each kind on a page, given as table and name."""
        changes = tuple(change for kind in kinds for change in islice(kind, SAMPLE_ROWS))
        if changes:
            await self._tables.replace(ERRORS, _partition(run), "_".join(page), cut(dumps(_Sample(changes))))

    async def of_run(self, run: str, table: str) -> AsyncIterator[PlannedChange]:
        """Yield the sampled changes of a table, page by page."""
        async for entity in self._tables.query(ERRORS, _partition(run), first=f"{table}_", end=f"{table}_~"):
            for change in loads(_Sample, joined(entity)).changes:
                yield change

    async def delete_of_run(self, run: str) -> None:
        """Remove the samples of a run: at most one entity for each of its pages."""
        async for entity in self._tables.query(ERRORS, _partition(run), select=("RowKey",)):
            await self._tables.delete(ERRORS, _partition(run), entity.row)


def _partition(run: str) -> str:
    return f"{run}-sample"
