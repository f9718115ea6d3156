"""The state that the page shows, written as the app writes it, so that each state can be looked at without waiting for it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from linker.adapters.storage import Documents, FirstLinks, Issues, Runs, Samples, TaskState
from linker.adapters.storage.documents import STATUS
from linker.adapters.storage.lock_store import ROW as LOCK
from linker.adapters.storage.lock_store import RunLock
from linker.adapters.storage.record_store import AUDIT, ERRORS
from linker.adapters.storage.table_client import AzureTables
from linker.bootstrap import environment_key
from linker.core.model import Counts, Run, RunRequest, Status, TableRun
from linker.core.permissions.automations import Estimate
from linker.core.records import PlannedChange, RowIssue
from linker.core.serialization import iso
from tests.system.world import World

_LEASE_S = 3600.0  # longer than any test
KEPT = ("salt", "table-")  # the app remembers them, and they belong to no run


@dataclass(slots=True)
class Stage:
    """The state of one environment. `now` is the time that is written down next, ISO 8601 in UTC."""

    tables: AzureTables
    partition: str
    now: str = ""
    documents: Documents = field(init=False)
    runs: Runs = field(init=False)

    def __post_init__(self) -> None:
        self.documents = Documents(self.tables, self.partition)
        self.runs = Runs(self.documents, lambda: self.now)

    async def clear(self) -> None:
        """Forget every run and what belongs to one."""
        ids = await self.runs.ids()
        await self._empty(STATUS, self.partition, kept=(*KEPT, LOCK))
        await self.tables.delete(STATUS, self.partition, LOCK)  # last: a watchdog would end a run that no lock names
        await self._empty(AUDIT, self.partition)
        for run in ids:
            await self._empty(ERRORS, run)
            await self._empty(ERRORS, f"{run}-sample")

    async def play(self, *runs: Run) -> None:
        """Let runs happen, oldest first: each is promised, and goes its way as far as it says.

        The task shows the last real one, and the last dry one beside it.

        Runs that have not ended hold the run lock or wait behind it, as in the app.
        """
        await self._lock(*sorted((run for run in runs if run.ended_at is None), key=lambda run: run.started_at is None))
        for run in runs:
            for moment in _moments(run):
                await self.go_on(moment)
            await self.runs.change_task(partial(_showing, run=run))

    async def remember(self, *runs: Run) -> None:
        """Let runs have happened, without the way that each of them went."""
        for run in runs:
            self.now = run.requested_at
            await self.runs.create(run)

    async def go_on(self, run: Run) -> None:
        """Let a run come to another moment."""
        self.now = run.last_updated
        await self.runs.create(run)
        await self.runs.advance(run.id, lambda old: replace(run, requested_at=old.requested_at, steps=old.steps))

    async def _lock(self, *runs: Run) -> None:
        """Let the first run hold the run lock as one that works, and the others wait behind it."""
        for run in runs:
            lock = RunLock(self.tables, self.partition, time.time, _LEASE_S, lambda known=run.id: known)
            await lock.request(RunRequest(run.mode, run.dry_run, run.requested_tables, trigger=run.trigger))
            await lock.renew(run.id)  # a holder that has not renewed is started by the next request

    async def issues(self, run: Run, issues: Iterable[RowIssue]) -> None:
        """Give a run rejected and deferred rows."""
        self.now = run.last_updated
        kept = Issues(self.tables, self.documents, lambda: self.now)
        by_table: dict[str, list[RowIssue]] = {}
        for issue in issues:
            by_table.setdefault(issue.table, []).append(issue)
        for rows in by_table.values():
            await kept.save(run.id, rows)

    async def samples(self, run: Run, table: str, *kinds: Sequence[PlannedChange]) -> None:
        """Give a dry run examples."""
        await Samples(self.tables).save(run.id, (table, "0"), *kinds)

    async def hold(self, table: str, since: str, automations: tuple[str, ...], estimate: Estimate) -> None:
        """Let the first link of a table wait for a user's approval."""
        await FirstLinks(self.documents, lambda: since).hold(table, automations, estimate, ("Plug-in step 'Sync'.",))

    async def _empty(self, table: str, partition: str, *, kept: tuple[str, ...] = ()) -> None:
        async for entity in self.tables.query(table, partition, select=("RowKey",)):
            if not entity.row.startswith(kept):
                await self.tables.delete(table, partition, entity.row)


def stage_of(world: World) -> Stage:
    """Return the state that the app of a world keeps."""
    ready = world.sandbox.ready
    return Stage(AzureTables(connection_string=ready["tables"]), environment_key(ready["dataverse"]))


def _moments(run: Run) -> list[Run]:
    """Return a run as the app would have saved it on its way, and as it is."""
    nothing = {"status_detail": "", "tables": (), "progress": None, "touches": None, "warnings": (), "notes": ()}
    promised = _at(run.requested_at, run, status=Status.QUEUED, started_at=None, ended_at=None, **nothing)
    if run.started_at is None:
        return [promised, run]
    begun = _at(run.started_at, promised, status=Status.REFRESHING, started_at=run.started_at)
    if not any(table.mode for table in run.tables):
        return [promised, begun, run]
    planned = _at(_later(run.started_at, 3), begun, tables=_tables(run, Status.QUEUED))
    linking = _at(_later(run.started_at, 9), begun, tables=_tables(run, Status.REFRESHING))
    return [promised, begun, planned, linking, *_last_steps(linking, run), run]


def _last_steps(linking: Run, run: Run) -> list[Run]:
    if run.ended_at is None:
        return []
    finishing = _at(_later(run.ended_at, -8), linking, tables=run.tables)
    return [finishing, *([_at(_later(run.ended_at, -5), finishing, touches=run.touches)] if run.touches else [])]


def _tables(run: Run, status: Status) -> tuple[TableRun, ...]:
    """Return the tables of a run when those that it links had this status."""
    return tuple(replace(table, status=status, counts=Counts()) if table.mode else table for table in run.tables)


def _at(stamp: str, run: Run, **values: Any) -> Run:
    return replace(run, last_updated=stamp, **values)


def _later(stamp: str, seconds: float) -> str:
    return iso(datetime.fromisoformat(stamp).timestamp() + seconds)


async def _showing(task: TaskState, run: Run) -> TaskState:
    return replace(task, dry_run=run.id) if run.dry_run else replace(task, run=run.id, dry_run="")
