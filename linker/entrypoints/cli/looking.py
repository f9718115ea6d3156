"""Commands that only look: `linker status`, `runs`, `show`, `errors`, `row`, `audit`, and `open`."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Column, Table

from linker.core.model import Mode, Run
from linker.core.records import PlannedChange
from linker.core.runs.history import COMPARABLE, PastRun
from linker.entrypoints.api.answers import RowState
from linker.entrypoints.cli.app_client import AppClient
from linker.entrypoints.cli.connection import (
    LOCAL_SETTINGS,
    Output,
    OutputOption,
    console,
    plain,
    print_json,
    report_errors,
    use_local_settings,
)
from linker.entrypoints.cli.control import describe_pause
from linker.entrypoints.cli.waiting import WaitOption, duration, follow, result
from linker.entrypoints.cli.waiting import show as show_run
from linker.entrypoints.portal.views.rows_view import judgement_of, line_of
from linker.settings import load_access

TopOption = Annotated[int, typer.Option("--top", min=1, max=100, help="Show at most so many.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of the run; without it, the newest one.")]


def status(*, output: OutputOption = Output.TABLE) -> None:
    """Show the task and its latest run.

    Example: linker status -o json
    """
    with _app() as app:
        found = app.status()
        if output is Output.JSON:
            print_json(found)
            return
        facts = {"Task": found.task, "Status": found.status, "Last updated": found.last_updated or "never"}
        facts |= {"Paused": describe_pause(found.pause)} if found.pause else {}
        facts |= {"Run": found.run.id} if found.run else {}
        _print_facts(facts | ({"Dry run": _dry_run_in_words(found.dry_run)} if found.dry_run else {}))
        if found.run:
            console().print(result(found.run))


def _dry_run_in_words(run: Run) -> str:
    counts = run.counts
    would = (
        f"would link {counts.linked:,} and unlink {counts.unlinked:,} of {counts.rows_read:,} rows; nothing was written"
    )
    return f"{run.status} ({run.id}): {would if run.status in COMPARABLE else 'not every row was looked at'}"


def runs(
    *,
    status: Annotated[str, typer.Option(help="Only runs with this status, such as 'Failed (permanent)'.")] = "",
    mode: Annotated[Mode | None, typer.Option(help="Only runs of this mode.")] = None,
    table: Annotated[str, typer.Option(help="Only runs that this table takes part in.")] = "",
    since: Annotated[str, typer.Option(help="Only runs requested then or later, as 2026-11-23T21:00:00Z.")] = "",
    until: Annotated[str, typer.Option(help="Only runs requested before, as 2026-11-23T21:00:00Z.")] = "",
    top: TopOption = 20,
    output: OutputOption = Output.TABLE,
) -> None:
    """List runs, newest first.

    Example: linker runs --status 'Failed (permanent)' --since 2026-11-01T00:00:00Z
    """
    with _app() as app:
        page = app.runs(status=status, mode=mode or "", table=table, since=since, until=until, top=top)
    _show(
        page, output, lambda: _print_list(RUN_COLUMNS, map(_run_line, page.value), more=page.continuation is not None)
    )


def show(run: RunArgument = "", *, wait: WaitOption = False, output: OutputOption = Output.TABLE) -> None:
    """Show one run; with --wait, follow it to its end.

    Example: linker show --wait

    Exit codes: 0 shown, with --wait that of `linker run --wait`; 2 it could not be read.
    """
    with _app() as app:
        found = app.run(run) if run else app.last_run()
        if wait:
            follow(app, found, output)
        show_run(found, output)
        if output is Output.TABLE:
            for line in found.warnings:
                console().print(f"- {plain(line)}")
            if found.dry_run and found.ended_at:
                _print_samples(app.samples(found.id).value)


def errors(run: RunArgument = "", *, top: TopOption = 100, output: OutputOption = Output.TABLE) -> None:
    """List rejected and deferred rows of a run with reason and advice.

    Example: linker errors -o json
    """
    with _app() as app:
        known = run or app.last_run().id
        page = app.errors(known, top=top)
    columns = ("Table", "Row", "Outcome", "Code", "Reason", "What to do", "Since", "Attempts")
    lines = (
        (one.table, one.row, one.outcome, one.code, one.reason, one.advice, one.first_seen, str(one.attempts))
        for one in page.value
    )
    none = f"Run {known} rejected and deferred no row."
    _show(page, output, lambda: _print_list(columns, lines, none, more=page.continuation is not None))


def row(
    table: Annotated[str, typer.Argument(help="Logical name of the table, such as contact.")],
    row: Annotated[str, typer.Argument(help="Id of the row, a GUID.")],
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show one row: its link now, the link that was last confirmed, and its last error.

    Example: linker row contact 00000001-0000-4000-8000-000000000001
    """
    with _app() as app:
        found = app.row(table, row)
    _show(found, output, lambda: _print_facts(_row_facts(found)))


def audit(*, top: TopOption = 20, output: OutputOption = Output.TABLE) -> None:
    """List manual actions: who, when and what. Requires the app role admin, or the master key.

    Example: linker audit --top 50
    """
    with _app() as app:
        page = app.audit(top=top)
    lines = ((one.at, one.who, one.action, one.about, one.outcome, one.run) for one in map(line_of, page.value))
    columns = ("When", "Who", "Action", "About", "Outcome", "Run")
    _show(page, output, lambda: _print_list(columns, lines, more=page.continuation is not None))


def open_page(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Id of a run to show.")] = "",
    *,
    output: OutputOption = Output.TABLE,
) -> None:
    """Print the address of the status page, and open it when this is a terminal.

    Example: linker open
    """
    with _app() as app:
        address = app.page(run)
    if output is Output.JSON:
        print_json({"address": address})
        return
    typer.echo(address)
    if sys.stdout.isatty():
        webbrowser.open(address)


@contextmanager
def _app() -> Iterator[AppClient]:
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            yield app


def _show(value: Any, output: Output, as_text: Callable[[], None]) -> None:
    if output is Output.JSON:
        print_json(value)
    else:
        as_text()


_WHOLE = frozenset({"Run", "Row", "Took", "Linked", "Unlinked", "Rejected"})


def _print_list(
    columns: Iterable[str], lines: Iterable[Iterable[str]], none: str = "There are none.", *, more: bool = False
) -> None:
    # Nothing is cut. Ids stay in one piece to be copied, and figures to be read: other cells are folded for them.
    shown = (Column(name, overflow="fold", no_wrap=name in _WHOLE) for name in columns)
    table = Table(*shown, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for line in lines:
        table.add_row(*map(plain, line))
    console().print(table if table.row_count else none)
    if more:
        console().print("There are more: use --top.")


def _print_samples(samples: Iterable[PlannedChange]) -> None:
    """Print examples of what a dry run would change; its counts are exact."""
    lines = [(one.table, one.row, one.change, one.customer) for one in samples]
    if lines:
        console().print("Examples of what it would change:")
        _print_list(("Table", "Row", "Change", "CustomerId"), lines)


def _print_facts(facts: dict[str, str]) -> None:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, value in facts.items():
        grid.add_row(name, plain(value))
    console().print(grid)


# A run's id begins with the time at which it was requested. A terminal of 80 columns holds these.
RUN_COLUMNS = ("Run", "Status", "Mode", "Trigger", "Took", "Linked", "Unlinked", "Rejected")


def _run_line(one: PastRun) -> tuple[str, ...]:
    counts = one.counts
    figures = (counts.linked, counts.unlinked, counts.rejected)
    mode = f"{one.mode}, dry run" if one.dry_run else one.mode
    took = duration(one.seconds) if one.seconds is not None else ""
    return (
        one.id,
        one.status,
        mode,
        one.trigger,
        took,
        *(f"{figure:,}" for figure in figures),
    )


def _row_facts(row: RowState) -> dict[str, str]:
    now = row.now
    error = row.last_error.issue if row.last_error else None
    link = "not read" if now is None else ((now.profile or "empty") if now.exists else "the row does not exist")
    facts = {
        "Table": row.table,
        "Row": row.row,
        "Linked by the app": "yes" if row.known else "no",
        "Link now": link,
        "CustomerId": (now.customer if now else None) or "",
        "State": judgement_of(row).title,
        "Confirmed": ("yes" if row.confirmed else "not yet") if row.known else "",
        "Last saved": f"{row.confirmed_at or ''} {row.run or ''}".strip() if row.known else "",
        "Not read because": row.now_detail,
        "Last error": f"{error.code}: {error.reason} {error.advice}" if error else "",
    }
    return {name: value for name, value in facts.items() if value}
