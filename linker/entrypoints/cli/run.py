"""`python -m linker run`: ask the app for a run, and wait for its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from linker.core.errors import TransientError
from linker.core.model import Mode, Run, Status
from linker.core.model import Progress as Pages
from linker.entrypoints.cli.app_client import AppClient
from linker.entrypoints.cli.connection import LOCAL_SETTINGS, plain, told, use_local_settings
from linker.settings import load_access

# A wait for a run that is over. What is not over when the wait ends has no code: the wait goes on.
EXIT_CODES = {
    Status.SUCCESSFUL: 0,
    Status.FAILED: 1,
    Status.CANCELED: 1,
    Status.NOT_STARTED: 1,
    Status.WARNINGS: 3,
    Status.SKIPPED: 3,
}
LOOK_S = 2.0  # between two looks at a run
MOST_FAILURES = 30  # of looks in a row: about a minute, longer than a host takes to start again


def run(
    *,
    mode: Annotated[Mode, typer.Option(help="How much to look at.")] = Mode.INCREMENTAL,
    tables: Annotated[str, typer.Option(help="Logical names, separated by commas; without it, all.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would be done, and write nothing.")] = False,
    allow_unlinking: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE=ROWS", help="Clear the held-back links of a table, of so many rows at most."),
    ] = None,
    empty_mapping: Annotated[
        bool, typer.Option("--empty-mapping", help="Also when the mapping names no row of such a table any more.")
    ] = False,
    clear_orphans: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE=ROWS", help="Clear links of a table that lead to no profile, of so many rows at most."
        ),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end of the run, and show how far it is.")] = False,
) -> None:
    """Ask the app for a run. LINKER_APP_URL says where it is.

    Exit code 0: asked for, or with --wait successful, 1: failed or canceled, 2: the app could not be asked, 3: done with
    warnings, or skipped.
    """
    asked = {
        "mode": mode,
        "dryRun": dry_run,
        "tables": [name.strip() for name in tables.split(",") if name.strip()],
        "allowUnlinking": [
            *(allowance(text, "--allow-unlinking", emptyMapping=empty_mapping) for text in allow_unlinking or ()),
            *(allowance(text, "--clear-orphans", orphans=True) for text in clear_orphans or ()),
        ],
    }
    console = Console()
    with told():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            found = app.request_run(asked)
            console.print(f"Run {found.id}: {found.status}")
            if not wait:
                return
            found = watched(app, found, console, time.sleep)
    console.print(result(found))
    raise typer.Exit(EXIT_CODES[found.status])


def allowance(text: str, option: str, **kind: bool) -> dict[str, object]:
    """Return what is allowed as the API takes it. Raises typer.BadParameter, which names the option."""
    table, _, count = text.partition("=")
    rows, _, seen = count.partition("@")
    if not table or not rows.isdecimal():
        raise typer.BadParameter(
            f"'{text}' names no table with a number of rows, such as contact=250 or contact=250@<digest of the rows>. "
            "Nothing was started.",
            param_hint=option,
        )
    return {"table": table, "mostRows": int(rows), "seen": seen, **kind}


def watched(app: AppClient, shown: Run, console: Console, sleep: Callable[[float], None]) -> Run:
    """Show how far a run is until it is over, and return it. A look that fails is repeated, MOST_FAILURES times in a row."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    failures = 0
    with Progress(*columns, console=console, transient=True) as bar:  # the result stands in its place
        line = bar.add_task(plain(shown.status), total=None)
        while not shown.ended_at:
            sleep(LOOK_S)
            try:
                shown, failures = app.run(shown.id), 0
            except TransientError:
                failures += 1
                if failures == MOST_FAILURES:
                    raise
            pages = shown.progress or Pages()
            bar.update(line, description=describe(shown), total=pages.pages_total or None, completed=pages.pages_done)
    return shown


def describe(shown: Run) -> str:
    """Return one line on a run that is not over."""
    done, detail = shown.progress, f"{shown.status}. {shown.status_detail}".strip(". ")
    if done is None:
        return plain(detail)
    if done.paused_until:
        return f"{plain(detail)}, paused by Dataverse until {done.paused_until}"
    return f"{plain(detail)}, {done.rows_per_second:,.0f} rows/s"


def result(ended: Run) -> Table:
    """Return how a run ended, by table."""
    names = ("linked", "unchanged", "unlinked", "rejected", "deferred")
    table = Table(
        title=f"{ended.status}{'; nothing was written, as asked' if ended.dry_run else ''}",
        caption=plain(ended.status_detail),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("table", overflow="fold", min_width=10)
    table.add_column("status", min_width=len(Status.SUCCESSFUL))
    for name in names:
        table.add_column(name, justify="right")
    for one in ended.tables:
        table.add_row(one.table, one.status, *(f"{getattr(one.counts, name):,}" for name in names))
    table.add_section()
    table.add_row("all", ended.status, *(f"{getattr(ended.counts, name):,}" for name in names))
    return table
