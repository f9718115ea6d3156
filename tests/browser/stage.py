"""The state that the page shows, written as the app writes it, so that each state can be looked at without waiting for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from linker.automations import Estimate
from linker.bootstrap import environment_key
from linker.model import PlannedChange, RowIssue, Run, Status
from linker.state import Documents, FirstLinks, Issues, Runs, Samples, TaskState
from linker.state.audit import AUDIT
from linker.state.documents import STATUS
from linker.state.issues import ERRORS
from linker.status import ENDED
from linker.tables import AzureTables

KEPT = ("salt", "plan-")  # the app remembers them, and they belong to no run


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
        await self._empty(STATUS, self.partition, kept=KEPT)
        await self._empty(AUDIT, self.partition)
        for run in ids:
            await self._empty(ERRORS, run)
            await self._empty(ERRORS, f"{run}-sample")

    async def play(self, *runs: Run) -> None:
        """Let runs happen, oldest first: each is promised, begins and ends as far as it says. The task shows the last one."""
        for run in runs:
            for moment in _moments(run):
                self.now = moment.last_updated
                await self.runs.create(moment)
                await self.runs.advance(run.id, lambda _, shown=moment: shown)
        await self.runs.change_task(lambda task: _showing(task, runs[-1].id))

    async def go_on(self, run: Run) -> None:
        """Let a run that was played come to another moment."""
        self.now = run.last_updated
        await self.runs.advance(run.id, lambda _: run)

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
        """Let the first link of a table wait for somebody's word."""
        await FirstLinks(self.documents, lambda: since).hold(table, automations, estimate)

    async def _empty(self, table: str, partition: str, *, kept: tuple[str, ...] = ()) -> None:
        async for entity in self.tables.query(table, partition, select=("RowKey",)):
            if not entity.row.startswith(kept):
                await self.tables.delete(table, partition, entity.row)


def stage_of(tables: str, dataverse_url: str) -> Stage:
    """Return the state that an app on this Table Storage and this environment keeps."""
    return Stage(AzureTables(connection_string=tables), environment_key(dataverse_url))


def _moments(run: Run) -> list[Run]:
    """Return a run as it was promised, as it began, and as it is."""
    promised = replace(
        run, status=Status.QUEUED, status_detail="", started_at=None, ended_at=None, tables=(), progress=None
    )
    moments = [replace(promised, last_updated=run.requested_at)]
    if run.started_at and run.status in (*ENDED, Status.RETRYING):
        begun = replace(
            run, status=Status.REFRESHING, status_detail="", ended_at=None, tables=(), warnings=(), notes=()
        )
        moments.append(replace(begun, last_updated=run.started_at))
    return [*moments, run]


async def _showing(task: TaskState, run: str) -> TaskState:
    return replace(task, run=run)
