"""Runs, and the task that mirrors them.

The report of a run is kept within what storage holds: two hundred tables may each have a page of findings and automations. What
decides and what counts stays. Only words are shortened, the longest first, and the run says so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from linker.adapters import telemetry
from linker.adapters.storage.documents import Documents
from linker.adapters.storage.table_guards import TEXT_CHUNK
from linker.core.errors import AlreadyThereError, ChangedError, StateError
from linker.core.model import WIRE, Finding, Run, TableRun, Target
from linker.core.ports import Properties
from linker.core.runs.history import summary
from linker.core.runs.lifecycle import advance_run, with_times
from linker.core.runs.signals import WireMarks
from linker.core.serialization import brief, dumps, loads

MAX_BYTES = (
    400_000  # of a stored run in UTF-16, as storage counts: an entity holds twice as much, and the summary beside it
)
LEVELS = ((5, 1_000), (2, 300), (0, 100))  # lines of a list of a table, characters of a text
LINES_OF_RUN = 10  # a list of the run has so many times the lines of a table's
SHORTENED = (
    "The report of this run was shortened, since it was larger than storage holds. The log of the app has all of it."
)


def fit_run(run: Run) -> Run:
    """Return a run that storage can hold: as it is, or with its words shortened as little as needed."""
    for lines, characters in ((None, None), *LEVELS):
        fitted = run if lines is None or characters is None else _shorten(run, lines, characters)
        if len(dumps(fitted).encode("utf-16-le", "replace")) <= MAX_BYTES:
            return fitted
    return replace(fitted, tables=tuple(map(_bare, fitted.tables)))


def _bare(table: TableRun) -> TableRun:
    """Return a table with what decides and what counts."""
    detail, source = _cut(table.detail, 60), _cut(table.data_source, 60)
    return replace(table, sources=(), mode_reason="", scan="", detail=detail, data_source=source)


def _shorten(run: Run, lines: int, characters: int) -> Run:
    notes = [note for note in run.notes if note != SHORTENED]
    return replace(
        run,
        status_detail=_cut(run.status_detail, 1_000),
        mode_reason=_cut(run.mode_reason, characters),
        tables=tuple(_shorten_table(table, lines, characters) for table in run.tables),
        warnings=_cut_list(run.warnings, (lines + 1) * LINES_OF_RUN, characters),
        notes=(*_cut_list(notes, (lines + 1) * LINES_OF_RUN, characters), SHORTENED),
        findings=tuple(_shorten_finding(finding, characters) for finding in run.findings),
    )


def _shorten_table(table: TableRun, lines: int, characters: int) -> TableRun:
    return replace(
        table,
        detail=_cut(table.detail, characters),
        mode_reason=_cut(table.mode_reason, characters),
        scan=_cut(table.scan, characters),
        automations=_cut_list(table.automations, lines, characters),
        findings=tuple(_shorten_finding(finding, characters) for finding in table.findings) if lines else (),
    )


def _shorten_finding(finding: Finding, characters: int) -> Finding:
    return replace(finding, evidence=_cut(finding.evidence, characters), advice=_cut(finding.advice, characters))


def _cut_list(texts: Iterable[str], most: int, characters: int) -> tuple[str, ...]:
    return tuple(_cut(text, characters) for text in tuple(texts)[:most])


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


# ---- runs ----

SUMMARY = "summary"
KEPT_SUMMARIES = 2_000  # some MB; runs that ended stay as they are, and reading a thousand of them takes 20 ms
LOOK_BACK_DAYS = (1, 10, None)  # None: all that are kept


@dataclass(frozen=True, slots=True)
class TaskState:
    """The status entity that mirrors the task: the run it shows, and what is known from the runs before.

    `run` is the newest real run that began, `dry_run` the dry one that began after it. `ready` says that a preflight has
    passed once. `marks` are those of the last complete run, which ended at `completed` (epoch s): what differs from them is
    unseen.
    """

    __pydantic_config__ = WIRE
    run: str = ""
    dry_run: str = ""
    ready: bool = False
    marks: WireMarks | None = None
    completed: float = 0.0


class Runs:
    """Runs, the task that mirrors them, and what a run settled about its tables."""

    def __init__(self, documents: Documents, now: Callable[[], str]) -> None:
        self._documents, self._now = documents, now
        self._enough: dict[int, int] = {}  # how many newest runs were asked for, which of LOOK_BACK_DAYS held them

    async def create(self, run: Run) -> Run:
        """Save a run that was just promised and return it; one that is there stays as it is (a repeated or merged request)."""
        stamp = self._now()
        new = replace(run, requested_at=stamp, last_updated=stamp)
        try:
            await self._documents.insert(f"run-{run.id}", new, _beside(new))
        except AlreadyThereError:
            return await self.load(run.id) or new
        return new

    async def load(self, run: str) -> Run | None:
        """Return a run by its id, None when there is none; no run has an empty id."""
        if not run:
            return None
        found = await self._documents.load(Run, f"run-{run}")
        return found[0] if found else None

    async def ids(self) -> list[str]:
        """Return the ids of all runs that are kept, newest first: an id begins with its time."""
        return [row.removeprefix("run-") for row in reversed(await self._documents.rows("run-"))]

    async def since(self, days: float | None) -> list[Run]:
        """Return summaries (core.runs.history) of the runs of the last so many days, newest first; None returns those of all.

        One request for 1,000 runs. A run without a summary, which an earlier version saved, is read on its own.
        """
        first = "" if days is None else _id_time(self._now(), days)
        found = [each async for each in self._documents.beside(SUMMARY, f"run-{first}", "run-~")]
        runs = [
            _read_summary(text) if text else await self.load(row.removeprefix("run-")) for row, text in reversed(found)
        ]
        return [run for run in runs if run is not None]

    async def newest(self, most: int) -> list[Run]:
        """Return summaries of the newest runs, newest first, at most so many: as few days are read as hold them.

        Pages ask this again and again, so a process begins with as many days as held them last time.
        """
        found: list[Run] = []
        for days in LOOK_BACK_DAYS[self._enough.get(most, 0) :]:
            found = await self.since(days)
            if len(found) >= most:
                break
        self._enough[most] = self._narrowest(found, most)
        return found[:most]

    def _narrowest(self, runs: Sequence[Run], most: int) -> int:
        """Return which of LOOK_BACK_DAYS is the first that holds so many of these runs, the last one if none does."""
        starts = [_id_time(self._now(), days) for days in LOOK_BACK_DAYS if days is not None]
        held = (sum(run.id >= start for run in runs) for start in starts)
        return next((place for place, count in enumerate(held) if count >= most), len(starts))

    async def advance(self, run: str, change: Callable[[Run], Run]) -> Run:
        """Apply a change to a run and return it, as far as it may follow: see lifecycle.advance_run.

        Raises StateError when the run does not exist.
        """
        while True:
            found = await self._documents.load(Run, f"run-{run}")
            if found is None:
                raise StateError(f"Run '{run}' does not exist.")
            old, etag = found
            new = advance_run(old, change(old))
            if new is old:
                return old
            now = self._now()
            new = fit_run(with_times(new, old, now))
            try:
                await self._documents.save(f"run-{run}", new, etag, _beside(new))
            except ChangedError:
                continue
            telemetry.run_changed(old, new)
            return new

    async def lead_on(self, run: str, follower: str) -> None:
        """Let a run that ended with its work undone name the one that took it up, unless it names one or is deleted."""
        while (found := await self._documents.load(Run, f"run-{run}")) is not None and not found[0].follow_up:
            new = replace(found[0], follow_up=follower)
            with contextlib.suppress(ChangedError):
                await self._documents.save(f"run-{run}", new, found[1], _beside(new))

    async def task(self) -> TaskState:
        """Return what is known of the task."""
        found = await self._documents.load(TaskState, "task")
        return found[0] if found else TaskState()

    async def change_task(self, change: Callable[[TaskState], Awaitable[TaskState]]) -> None:
        """Apply a change to what is known of the task, again after each concurrent change."""
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

    async def load_shown(self) -> Run | None:
        """Return the real run that the task mirrors."""
        return await self.load((await self.task()).run)

    async def load_mirrored(self) -> tuple[Run | None, Run | None]:
        """Return the real run that the task mirrors, and the dry run that began after it."""
        task = await self.task()
        run, dry_run = await asyncio.gather(self.load(task.run), self.load(task.dry_run))
        return run, dry_run

    async def delete(self, run: str) -> None:
        """Remove a run, and first what it settled about its tables: what is left of it can be found by its id."""
        for row in await self._documents.rows(f"target-{run}-"):
            await self._documents.delete(row)
        await self._documents.delete(f"run-{run}")

    async def create_target(self, run: str, target: Target) -> None:
        """Remember what a survey found about a table. A survey that is delivered again, or late, changes nothing of what the
        run settled about the table since.
        """
        with contextlib.suppress(AlreadyThereError):
            await self._documents.insert(f"target-{run}-{target.table}", target)

    async def save_target(self, run: str, target: Target) -> None:
        """Remember how a table is written in this run."""
        await self._documents.save(f"target-{run}-{target.table}", target)

    async def target(self, run: str, table: str) -> Target:
        """Return how a table is written in this run. Raises StateError when it was never prepared."""
        found = await self._documents.load(Target, f"target-{run}-{table}")
        if found is None:
            raise StateError(f"Run '{run}' has not prepared table '{table}'.")
        return found[0]


def _beside(run: Run) -> Properties:
    """Return the summary of a run as a property; one of more tables than fit is read whole instead."""
    text = brief(summary(run))
    return {SUMMARY: text} if len(text) <= TEXT_CHUNK else {}


@lru_cache(KEPT_SUMMARIES)
def _read_summary(text: str) -> Run:
    return loads(Run, text)


def _id_time(now: str, days: float) -> str:
    """Return how the id of a run begins that was asked for so many days before `now` (ISO 8601): ids begin with their time."""
    return f"{datetime.fromisoformat(now) - timedelta(days=days):%Y%m%dT%H%M%SZ}"
