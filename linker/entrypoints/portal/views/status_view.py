"""What the Status and Actions pages show, as values: how the task and its tables stand, and what waits for a decision.

Pure: runs in, lines out. Among them is what a requested run would do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from linker.core.model import Counts, Run, Status, TableRun, Ticket, UnlinkAllowance
from linker.core.names import TASK_GROUP, TASK_NAME
from linker.core.permissions.automations import Estimate, count_noun
from linker.core.permissions.preflight_report import Entitlement
from linker.core.permissions.write_permission import Refusal
from linker.core.runs.history import COMPARABLE, seconds_of
from linker.core.runs.lifecycle import ENDED
from linker.core.runs.lock_state import LockState
from linker.entrypoints.portal.views.words import first_sentence

_TOLD = frozenset({Status.SUCCESSFUL, Status.WARNINGS, Status.SKIPPED})


@dataclass(frozen=True, slots=True)
class Newest:
    """A table in the newest run that shows its state: a real run that finished the table."""

    run: Run
    table: TableRun


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Departed rows of a table that kept their links because too many left at once; `known` counts them and mapped rows."""

    table: str
    rows: int
    known: int
    run: str
    at: str | None
    seen: str = ""  # digest of the rows

    @property
    def share(self) -> float:
        """Per cent of the table."""
        return 100 * self.rows / self.known

    @property
    def is_whole(self) -> bool:
        """Whether the mapping names no row of the table any more."""
        return self.rows >= self.known

    @property
    def allowance(self) -> str:
        """What a form has to say to clear them (forms of linker.entrypoints.portal.actions)."""
        seen = f"@{self.seen}" if self.seen else ""
        return f"{self.table}={self.rows}{seen}{',empty' if self.is_whole else ''}"


@dataclass(frozen=True, slots=True)
class HeldFirstLink:
    """A table whose first link waits for approval; `estimate` is what it sets in motion at most."""

    table: str
    estimate: Estimate | None = None

    def __str__(self) -> str:
        if self.estimate is None:
            return "waiting for approval, because automations would run."
        times = self.estimate.executions + self.estimate.jobs
        return f"waiting for approval. {count_noun(self.estimate.automations, 'automation')} would run, up to {times:,} times."


@dataclass(frozen=True, slots=True)
class Work:
    """A run that is under way or waits its turn."""

    ticket: Ticket
    is_running: bool


@dataclass(frozen=True, slots=True)
class Expected:
    """What a run would look at in a table, by the newest run that did; None where none has."""

    table: str
    rows: int | None
    changed: int | None
    automations: tuple[str, ...] = ()


def newest_by_table(runs: Iterable[Run]) -> dict[str, Newest]:
    """Return how each table stands, of runs that are newest first."""
    found: dict[str, Newest] = {}
    for run in runs:
        for table in () if run.dry_run or run.ended_at is None else run.tables:
            if table.status in _TOLD:
                found.setdefault(table.table, Newest(run, table))
    return dict(sorted(found.items()))


def find_held_back(newest: Mapping[str, Newest], allowed: Iterable[UnlinkAllowance] = ()) -> tuple[HeldBack, ...]:
    """Return the tables whose departed rows wait for an operator to allow them; not those that are `allowed` to go by now."""
    decided = {one.table for one in allowed if not one.orphans}
    return tuple(
        HeldBack(
            name, one.table.held_back, one.table.counts.rows_read, one.run.id, one.run.ended_at, one.table.held_rows
        )
        for name, one in newest.items()
        if one.table.held_back and name not in decided
    )


def find_held_first_links(newest: Mapping[str, Newest]) -> tuple[str, ...]:
    """Return the tables whose first link waits for an approval."""
    return tuple(name for name, one in newest.items() if one.table.refusal == Refusal.HELD)


def work_of(state: LockState) -> tuple[Work, ...]:
    """Return who runs and who waits, in their order."""
    tickets = (state.holder, state.pending, state.pending_dry)
    return tuple(Work(ticket, ticket is state.holder) for ticket in tickets if ticket is not None)


def expect_tables(newest: Mapping[str, Newest], tables: Sequence[str]) -> tuple[Expected, ...]:
    """Return what a run over some tables would look at, over all that are known without any."""
    return tuple(_expect_table(name, newest.get(name)) for name in tables or newest)


def at_most(lines: Iterable[Expected], *, touches: bool) -> Entitlement:
    """Return the requests of a run in which every row changed, which is the most that it can write."""
    rows = sum(line.rows or 0 for line in lines)
    return Entitlement(rows, rows if touches else 0)


def _expect_table(name: str, last: Newest | None) -> Expected:
    if last is None or last.table.status is Status.SKIPPED:
        return Expected(name, None, None, last.table.automations if last else ())
    counts = last.table.counts
    return Expected(name, counts.rows_read, counts.linked + counts.unlinked, last.table.automations)


# ---- the Status page ----

NEVER: Final = "1970-01-01T00:00:00Z"
type TableSort = Literal["", "name", "updated", "rows", "errors"]


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One line of the task list. `table` is empty for the task itself; `run` is None before the first one.

    `detail` says why a table stands as it does, where the run that is shown knows.
    """

    name: str
    table: str
    status: Status
    last_updated: str | None = None
    run: str | None = None
    dry_run: bool = False
    counts: Counts | None = None
    detail: str = ""
    seconds: float | None = None  # that the task worked


@dataclass(frozen=True, slots=True)
class StatusView:
    """The Status page. `current` works or waits; `last` is the last real run that is over, `seconds` how long it worked.

    `dry` is a dry run that is over and newer than any real one.

    `held_back` waits for a decision, and so may `first_links`.
    """

    group: str
    lines: tuple[TaskLine, ...]
    current: Run | None
    last: Run | None
    seconds: float | None
    dry: Run | None = None
    held_back: tuple[HeldBack, ...] = ()
    first_links: tuple[str, ...] = ()

    @property
    def dry_is_complete(self) -> bool:
        """Whether the dry run looked at every row: what one counted that failed or was stopped is less than a run would do."""
        return self.dry is not None and self.dry.status in COMPARABLE

    @property
    def totals(self) -> tuple[tuple[Status, int], ...]:
        """Return how many tables there are in each status."""
        found = Counter(line.status for line in self.lines if line.table)
        return tuple((status, found[status]) for status in Status if found[status])

    @property
    def health(self) -> tuple[tuple[Status, float, float], ...]:
        """Return the bar of statuses: each with where it begins and how wide it is, in per cent."""
        whole, start, parts = sum(some for _, some in self.totals), 0.0, []
        for status, some in self.totals:
            parts.append((status, round(start, 2), round(100 * some / whole, 2)))
            start += 100 * some / whole
        return tuple(parts)

    def place_of(self, table: str) -> int:
        """Return the place of a table's line, from 1; the task's for a table that has none."""
        return next((place for place, line in enumerate(self.lines, 1) if line.table == table), 1)


def status_of(shown: Run | None, recent: Sequence[Run], dry: Run | None = None) -> StatusView:
    """Return the page for the real run that the task mirrors, summaries of the recent ones, newest first, and a newer dry run.

    A table stands there with the newest run that it took part in: not each run looks at every table. A dry run counts where
    no real one has looked: what it says of a table is not how the table stands.
    """
    loaded = [run for run in (dry, shown) if run is not None]
    ids = {run.id for run in loaded}
    runs = [*loaded, *(run for run in recent if run.id not in ids and not (shown and run.status is Status.QUEUED))]
    last = next((run for run in runs if not is_live(run) and not run.dry_run), None)
    current = next((run for run in (shown, dry) if run is not None and is_live(run)), None)
    newest, allowed = newest_by_table(recent), current.unlink_allowed if current and not current.dry_run else ()
    return StatusView(
        TASK_GROUP,
        (_task(shown), *_tables(runs)),
        current,
        last,
        seconds_of(last) if last else None,
        dry if dry is not None and not is_live(dry) else None,
        find_held_back(newest, allowed),
        find_held_first_links(newest),
    )


def list_lines(lines: Sequence[TaskLine], status: str, find: str, sort: TableSort) -> list[TaskLine]:
    """Return the task's line, and below it those of the tables that are asked for, in the order that is asked for."""
    text = find.strip().casefold()
    tables = [
        line
        for line in lines
        if line.table and status in ("", line.status) and (not text or text in line.name.casefold())
    ]
    return [*(line for line in lines if not line.table), *sorted(tables, key=_SORTS[sort])]


def _count(line: TaskLine, *names: str) -> int:
    return sum(getattr(line.counts, name) for name in names) if line.counts else 0


_SORTS: Final[Mapping[TableSort, Callable[[TaskLine], Any]]] = {
    "": lambda _: 0,  # as they are: failures first
    "name": lambda line: line.name.casefold(),
    "updated": lambda line: -datetime.fromisoformat(line.last_updated or NEVER).timestamp(),
    "rows": lambda line: -_count(line, "rows_read"),
    "errors": lambda line: -_count(line, "rejected", "deferred"),
}
_FAILED = frozenset({Status.FAILED, Status.RETRYING})  # listed first


def is_live(run: Run) -> bool:
    """Whether a run is in progress, or waits to begin."""
    return run.ended_at is None and run.status not in ENDED


def _task(run: Run | None) -> TaskLine:
    if run is None:
        return TaskLine(TASK_NAME, "", Status.NOT_STARTED)
    return TaskLine(TASK_NAME, "", run.status, run.last_updated, run.id, counts=run.counts, seconds=seconds_of(run))


def _tables(runs: Sequence[Run]) -> list[TaskLine]:
    found: dict[str, TaskLine] = {}
    for run in sorted(runs, key=lambda run: run.dry_run):  # it keeps the order of the real ones
        for table in run.tables:
            found.setdefault(table.table, _table(run, table))
    return sorted(found.values(), key=lambda line: (line.status not in _FAILED, line.name.casefold()))


def _table(run: Run, table: TableRun) -> TaskLine:
    name, updated = table.table, run.ended_at or run.last_updated
    return TaskLine(name, name, table.status, updated, run.id, run.dry_run, table.counts, _short(table))


def _short(table: TableRun) -> str:
    """Return in one sentence why a table is as it is; the details of its run say the rest."""
    if table.refusal == "held":
        return "Waiting for approval."
    if table.held_back:
        return f"{table.held_back:,} rows left unification and kept their links."
    return first_sentence(table.detail)
