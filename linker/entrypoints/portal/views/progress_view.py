"""What the progress details of a run show, as values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from linker.core.model import Counts, Finding, Run, TableRun, Verdict
from linker.core.runs.history import COMPARABLE, Standing, rows_a_second, seconds_of, standing
from linker.entrypoints.portal.views.status_view import is_live
from linker.entrypoints.portal.views.timeline_view import Gantt, gantt_of, seconds_between

OUTCOMES: Final = ("linked", "unchanged", "unlinked", "rejected", "deferred")


@dataclass(frozen=True, slots=True)
class Segment:
    """One outcome in a bar, in per cent of its width: where it begins and how wide it is."""

    outcome: str
    rows: int
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class TableBar:
    """One table with its rows by outcome. It is `expected` to have more rows than are done so far; 0 where unknown."""

    table: TableRun
    segments: tuple[Segment, ...]
    expected: int

    @property
    def is_drawn(self) -> bool:
        """Whether the outcomes have a width. They have none where it is not known how many rows the table has."""
        return any(part.width for part in self.segments)


@dataclass(frozen=True, slots=True)
class Asked:
    """One requirement, of a table or of the environment ("")."""

    table: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class ProgressView:
    """A run, with one of its tables or all of them. `seconds` it worked so far; requirements that are not met come first."""

    run: Run
    table: TableRun | None
    is_live: bool
    seconds: float | None
    rows_per_second: float | None
    paused_until: str | None
    standing: Standing | None
    gantt: Gantt | None
    bars: tuple[TableBar, ...]
    findings: tuple[Asked, ...]

    @property
    def unmet(self) -> int:
        """How many requirements are not met, or not known to be."""
        return sum(asked.finding.verdict is not Verdict.MET for asked in self.findings)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings that an administrator has not read yet: without what the run or one of its tables says already."""
        told = [self.run.status_detail, *(table.detail for table in self.run.tables if table.detail)]
        return tuple(
            text for text in self.run.warnings if not any(text == one or text.endswith(f": {one}") for one in told)
        )

    @property
    def automations(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """What the links of each shown table fire."""
        return tuple((bar.table.table, bar.table.automations) for bar in self.bars if bar.table.automations)


def progress_of(run: Run, table: str, now: str, expected: Mapping[str, int] = MappingProxyType({})) -> ProgressView:
    """Return the details of a run, or of one table in it, at `now` (ISO 8601); a table that it does not know counts as none.

    `expected` are rows by table, as earlier runs saw them (`rows_before`).
    """
    chosen = next((one for one in run.tables if one.table == table), None)
    shown = (chosen,) if chosen else run.tables
    end = run.ended_at or now
    return ProgressView(
        run,
        chosen,
        is_live(run),
        seconds_between(run.started_at, end) if run.started_at else None,
        _rate(run),
        find_pause_end(run, now),
        standing(run, now),
        gantt_of(run, now, shown),
        bars_of(shown, expected),
        by_verdict([("", run.findings), *((one.table, one.findings) for one in shown)]),
    )


def rows_before(run: Run, runs: Iterable[Run]) -> dict[str, int]:
    """Return how many rows each table had in the last completed run before this one; `runs` are newest first."""
    found: dict[str, int] = {}
    for old in runs:
        if old.id < run.id and old.status in COMPARABLE:
            for table in old.tables:
                found.setdefault(table.table, table.counts.rows_read)
    return found


def bars_of(tables: Sequence[TableRun], expected: Mapping[str, int]) -> tuple[TableBar, ...]:
    """Return the tables with bars that are full when all rows of the table are done.

    How many these are is known of a table that is complete. Before, they are as many as its scan found, else as `expected`;
    where neither is known only the count is shown.
    """
    return tuple(_bar(table, table.rows_total or expected.get(table.table, 0)) for table in tables)


def _bar(table: TableRun, expected: int) -> TableBar:
    done = table.counts.outcomes
    if table.status in COMPARABLE:
        return TableBar(table, _segments(table.counts, done), 0)
    whole = max(done, expected) if expected else 0
    return TableBar(table, _segments(table.counts, whole), expected if expected > done else 0)


def by_verdict(of: Iterable[tuple[str, Iterable[Finding]]]) -> tuple[Asked, ...]:
    """Return the requirements of some tables ("" for the environment) with those first that ask for something to be done."""
    order = (Verdict.VIOLATED, Verdict.UNKNOWN, Verdict.MET)
    asked = [Asked(table, finding) for table, findings in of for finding in findings]
    return tuple(sorted(asked, key=lambda one: (order.index(one.finding.verdict), one.finding.requirement)))


def _segments(counts: Counts, most: float) -> tuple[Segment, ...]:
    found, start = [], 0.0
    for outcome in OUTCOMES:
        rows = getattr(counts, outcome)
        if rows:
            width = rows / most * 100 if most else 0.0
            found.append(Segment(outcome, rows, round(start, 2), round(width, 2)))
            start += width
    return tuple(found)


def find_pause_end(run: Run, now: str) -> str | None:
    """Return until when Dataverse lets the run wait, None when that is over: the next report may be a while."""
    until = run.progress.paused_until if run.progress else None
    return until if until and until > now else None


def _rate(run: Run) -> float | None:
    """Return rows a second: while the run works those of its linking so far, as reported; then as lists of runs have it."""
    if run.ended_at is None:
        return run.progress.rows_per_second if run.progress else None
    return rows_a_second(run.counts.rows_read, seconds_of(run))
