"""A run to its end: a bar with the time left on a terminal, lines in a pipe, and an exit code."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from linker.core.errors import TransientError
from linker.core.model import Progress as Work
from linker.core.model import Run, Status
from linker.core.runs.history import seconds_of
from linker.entrypoints.cli.app_client import AppClient
from linker.entrypoints.cli.connection import Output, console, plain, print_json

# Of a command that waited. A run that is not over has no code: the wait continues.
EXIT_CODES = {
    Status.SUCCESSFUL: 0,
    Status.FAILED: 1,
    Status.RETRYING: 1,
    Status.CANCELED: 1,
    Status.NOT_STARTED: 1,
    Status.WARNINGS: 3,
    Status.SKIPPED: 3,
}
INTERRUPTED = 130  # exit code after Ctrl+C, as shells have it
LOOK_S = 2.0  # between two looks at a run
MAX_FAILURES = 30  # of looks in a row: about a minute, longer than a host takes to start again
LINE_S = 10.0  # between two lines of a pipe while only figures change
QUIET_S = 60.0  # a pipe shows a line at least this often, so that no log looks stuck

WaitOption = Annotated[
    bool,
    typer.Option("--wait", help="Wait for the end of the run, and show how far it is.", show_default=False, metavar=""),
]


def follow(app: AppClient, run: Run, output: Output) -> None:
    """Wait for the end of a run, show it, and end the program with its exit code.

    Ctrl+C ends the wait and leaves the run alone.
    """
    try:
        over = watch_run(app, run, Console(stderr=True) if output is Output.JSON else console())
    except KeyboardInterrupt:
        typer.echo(f"The run continues. 'linker show {run.id} --wait' waits for it again.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    show(over, output)
    raise typer.Exit(EXIT_CODES[over.status])


def show(run: Run, output: Output) -> None:
    """Print a run."""
    if output is Output.JSON:
        print_json(run)
    else:
        console().print(result(run))


def watch_run(
    app: AppClient,
    shown: Run,
    out: Console,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> Run:
    """Show how far a run is until it is over, and return it. A look that fails is repeated, MAX_FAILURES times in a row."""
    show_progress = _Bar(out) if out.is_terminal else _Lines(out, clock)
    failures = 0
    with show_progress:
        while not shown.ended_at:
            show_progress.update(shown)
            sleep(LOOK_S)
            try:
                looked, failures = app.run(shown.id), 0
            except TransientError:
                failures += 1
                if failures == MAX_FAILURES:
                    raise
            else:  # between its phases a run has no figures: the last ones stay
                shown = replace(looked, progress=looked.progress or shown.progress)
    return replace(shown, progress=None)


class _Bar:
    """A bar that the result replaces."""

    def __init__(self, out: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=out, transient=True)
        self._line = self._bar.add_task("", total=None)

    def __enter__(self) -> None:
        self._bar.start()

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, run: Run) -> None:
        done, total = way(run.progress or Work())
        self._bar.update(self._line, description=describe_run(run), total=total or None, completed=done)


@dataclass(slots=True)
class _Lines:
    """A line where something changed: at once for a status, every LINE_S for figures, every QUIET_S in any case."""

    out: Console
    clock: Callable[[], float]
    status: str = ""
    text: str = ""
    at: float = 0.0

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, run: Run) -> None:
        now, text = self.clock(), describe_run(run)
        silent_s = now - self.at
        if run.status == self.status and silent_s < (LINE_S if text != self.text else QUIET_S):
            return
        self.status, self.text, self.at = run.status, text, now
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.out.print(f"{moment}  {text}", soft_wrap=True)


def way(progress: Work) -> tuple[int, int]:
    """Return how far a run is, of how much: in rows, or in pages where its rows are not counted yet."""
    if progress.rows_total:
        return progress.rows_done, progress.rows_total
    return progress.pages_done, progress.pages_total


def describe_run(shown: Run) -> str:
    """Return one line on a run that is not over."""
    progress = shown.progress
    if progress is None or shown.status is Status.RETRYING:  # its figures are of the time before
        return plain(f"{shown.status}. {shown.status_detail}".strip(". "))
    parts: list[str] = [shown.status]
    done, total = way(progress)
    if total:
        parts.append("finishing" if done >= total else f"{done / total:.0%}")
    if progress.rows_total:
        parts.append(f"{done:,} of {total:,} rows")
    if progress.paused_until:
        parts.append(f"paused by Dataverse until {progress.paused_until}")
    else:
        parts.append(f"{progress.rows_per_second:,.0f} rows/s")
    parts += [f"about {duration(progress.eta_seconds)} left"] if progress.eta_seconds else []
    return plain(", ".join(parts))


def duration(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


_PLANNED = {"linked": "To link", "unlinked": "To unlink"}  # what a dry run counts


def result(run: Run) -> Table:
    """Return a run as a table, with a line for each source table."""
    names = ("linked", "unchanged", "unlinked", "rejected", "deferred")
    took = seconds_of(run)
    facts = [run.id, run.mode, "dry run: nothing is written" if run.dry_run else "", duration(took) if took else ""]
    table = Table(
        title=f"{run.status} ({', '.join(filter(None, facts))})",
        caption=plain(run.status_detail),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Table", overflow="fold", min_width=10)
    table.add_column("Status", min_width=len(Status.SUCCESSFUL))
    for name in names:
        table.add_column(_PLANNED[name] if run.dry_run and name in _PLANNED else name.capitalize(), justify="right")
    for one in run.tables:
        table.add_row(one.table, one.status, *(f"{getattr(one.counts, name):,}" for name in names))
    table.add_section()
    table.add_row("All", run.status, *(f"{getattr(run.counts, name):,}" for name in names))
    return table
