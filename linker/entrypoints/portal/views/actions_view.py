"""What an operator may decide about, and what a requested run would do, as values. Pure: runs in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from linker.core.model import Run, Status, TableRun, Ticket, UnlinkAllowance
from linker.core.permissions.automations import Estimate, count_noun
from linker.core.permissions.preflight_report import Entitlement
from linker.core.permissions.write_permission import Refusal
from linker.core.runs.lock_state import LockState

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


def held_back(newest: Mapping[str, Newest], allowed: Iterable[UnlinkAllowance] = ()) -> tuple[HeldBack, ...]:
    """Return the tables whose departed rows wait for an operator to allow them; not those that are `allowed` to go by now."""
    decided = {one.table for one in allowed if not one.orphans}
    return tuple(
        HeldBack(
            name, one.table.held_back, one.table.counts.rows_read, one.run.id, one.run.ended_at, one.table.held_rows
        )
        for name, one in newest.items()
        if one.table.held_back and name not in decided
    )


def held_first_links(newest: Mapping[str, Newest]) -> tuple[str, ...]:
    """Return the tables whose first link waits for an approval."""
    return tuple(name for name, one in newest.items() if one.table.refusal == Refusal.HELD)


def work_of(state: LockState) -> tuple[Work, ...]:
    """Return who runs and who waits, in their order."""
    tickets = (state.holder, state.pending, state.pending_dry)
    return tuple(Work(ticket, ticket is state.holder) for ticket in tickets if ticket is not None)


def expected(newest: Mapping[str, Newest], tables: Sequence[str]) -> tuple[Expected, ...]:
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
