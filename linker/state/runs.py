"""Runs, the task that mirrors them, and their row issues (table `linkererrors`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from linker.errors import AlreadyThereError, ChangedError, StateError
from linker.model import WIRE, RowIssue, Run, Target
from linker.ports import Tables
from linker.settling import Marks
from linker.state.documents import Documents, cut, joined
from linker.status import advanced
from linker.table_rules import key_text as safe_key
from linker.wire import dumps, loads

ERRORS = "linkererrors"


@dataclass(frozen=True, slots=True)
class TaskState:
    """The status entity that mirrors the task: the run it shows, and what is known from the runs before.

    `ready` says that a preflight has passed once. `marks` are those of the last complete run, which ended at `completed`
    (epoch s): what differs from them is unseen.
    """

    __pydantic_config__ = WIRE
    run: str = ""
    ready: bool = False
    marks: Marks | None = None
    completed: float = 0.0


class Runs:
    """Runs, the task that mirrors them, and what a run settled about its tables."""

    def __init__(self, documents: Documents, now: Callable[[], str]) -> None:
        self._documents, self._now = documents, now

    async def create(self, run: Run) -> None:
        """Save a run that was just promised; one that is there stays as it is (a repeated or merged request)."""
        stamp = self._now()
        try:
            await self._documents.insert(f"run-{run.id}", replace(run, requested_at=stamp, last_updated=stamp))
        except AlreadyThereError:
            return

    async def load(self, run: str) -> Run | None:
        """Return a run by its id."""
        found = await self._documents.load(Run, f"run-{run}")
        return found[0] if found else None

    async def advance(self, run: str, change: Callable[[Run], Run]) -> Run:
        """Apply a change to a run and return it, as far as it may follow: see status.advanced.

        Raises StateError when there is no such run.
        """
        while True:
            found = await self._documents.load(Run, f"run-{run}")
            if found is None:
                raise StateError(f"There is no run '{run}'.")
            old, etag = found
            new = advanced(old, change(old))
            if new is old:
                return old
            new = replace(new, last_updated=self._now())
            try:
                await self._documents.save(f"run-{run}", new, etag)
            except ChangedError:
                continue
            return new

    async def task(self) -> TaskState:
        """Return what is known of the task."""
        found = await self._documents.load(TaskState, "task")
        return found[0] if found else TaskState()

    async def change_task(self, change: Callable[[TaskState], Awaitable[TaskState]]) -> None:
        """Apply a change to what is known of the task, again whenever somebody else was faster."""
        while True:
            found = await self._documents.load(TaskState, "task")
            old, etag = found or (TaskState(), None)
            new = await change(old)
            if new == old:
                return
            try:
                await (self._documents.save("task", new, etag) if etag else self._documents.insert("task", new))
            except (AlreadyThereError, ChangedError):
                continue
            return

    async def shown(self) -> Run | None:
        """Return the run that the task mirrors."""
        return await self.load((await self.task()).run)

    async def save_target(self, run: str, target: Target) -> None:
        """Remember how a table is written in this run."""
        await self._documents.save(f"target-{run}-{target.table}", target)

    async def target(self, run: str, table: str) -> Target:
        """Return how a table is written in this run. Raises StateError when it was never prepared."""
        found = await self._documents.load(Target, f"target-{run}-{table}")
        if found is None:
            raise StateError(f"Run '{run}' has not prepared table '{table}'.")
        return found[0]


ISSUES_AT_ONCE = 16
MOST_ISSUES = 1_000  # of one page: enough to see what is wrong, and the counts stay exact


class Issues:
    """Rejected and deferred rows of each run."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save(self, run: str, issues: Sequence[RowIssue]) -> None:
        """Save the row issues of one page, MOST_ISSUES of them; the same row again overwrites."""
        gate = asyncio.Semaphore(ISSUES_AT_ONCE)

        async def save_one(issue: RowIssue) -> None:
            async with gate:
                row = f"{issue.table}_{safe_key(issue.row)[:400]}"
                await self._tables.replace(ERRORS, run, row, cut(dumps(issue)))

        await asyncio.gather(*(save_one(issue) for issue in issues[:MOST_ISSUES]))

    async def of_run(self, run: str) -> AsyncIterator[RowIssue]:
        """Yield the row issues of a run."""
        async for entity in self._tables.query(ERRORS, run):
            yield loads(RowIssue, joined(entity))
