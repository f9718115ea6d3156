"""Runs, and the task that mirrors them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from linker import telemetry
from linker.errors import AlreadyThereError, ChangedError, StateError
from linker.model import WIRE, Run, Target
from linker.settling import Marks
from linker.state.documents import Documents
from linker.status import advanced
from linker.steps import steps_of


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

    async def ids(self) -> list[str]:
        """Return the ids of all runs that are kept, newest first: an id begins with its time."""
        return [row.removeprefix("run-") for row in reversed(await self._documents.rows("run-"))]

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
            now = self._now()
            new = replace(new, last_updated=now, steps=steps_of(new, now))
            try:
                await self._documents.save(f"run-{run}", new, etag)
            except ChangedError:
                continue
            telemetry.run_changed(old, new)
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

    async def delete(self, run: str) -> None:
        """Remove a run, and first what it settled about its tables: what is left of it can be found by its id."""
        for row in await self._documents.rows(f"target-{run}-"):
            await self._documents.delete(row)
        await self._documents.delete(f"run-{run}")

    async def save_target(self, run: str, target: Target) -> None:
        """Remember how a table is written in this run."""
        await self._documents.save(f"target-{run}-{target.table}", target)

    async def target(self, run: str, table: str) -> Target:
        """Return how a table is written in this run. Raises StateError when it was never prepared."""
        found = await self._documents.load(Target, f"target-{run}-{table}")
        if found is None:
            raise StateError(f"Run '{run}' has not prepared table '{table}'.")
        return found[0]
