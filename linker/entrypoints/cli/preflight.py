"""`linker preflight`: what may be linked and what would happen, before anything is written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Column, Table

from linker.core.capabilities import Capabilities
from linker.core.model import Finding, Verdict
from linker.core.permissions.automations import describe
from linker.core.permissions.preflight_report import Picture, Severity, TablePicture
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
    with_deps,
)
from linker.services.preflight_checks import look
from linker.settings import load_access

EXIT_CODES = {Severity.READY: 0, Severity.WARNINGS: 1, Severity.BLOCKED: 2}
_MARKS = {Verdict.MET: "[green]yes[/]", Verdict.VIOLATED: "[red]NO[/]", Verdict.UNKNOWN: "[yellow]unknown[/]"}
_AVAILABLE = {True: "[green]yes[/]", False: "[yellow]no[/]", None: "not known"}
_COLORS = {"ready": "green", "held": "yellow", "refused": "red", "skipped": "red"}
_SEVERITIES = {Severity.READY: "green", Severity.WARNINGS: "yellow", Severity.BLOCKED: "red"}


def preflight(
    *,
    here: Annotated[
        bool, typer.Option("--here", help="Look from this machine with your own sign-in, not the app's.", metavar="")
    ] = False,
    output: OutputOption = Output.TABLE,
    as_json: Annotated[bool, typer.Option("--json", help="The same as -o json.", hidden=True, metavar="")] = False,
) -> None:
    """Show what may be linked, and what would happen. Writes nothing.

    With LINKER_APP_URL the app looks; without it, or with --here, this machine does, which requires the app's settings.

    Example: linker preflight -o json

    Exit codes: 0 ready; 1 ready with warnings; 2 nothing can be linked, or the environment could not be read.
    """
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
    picture = with_deps(look) if here or "LINKER_APP_URL" not in os.environ else _ask_app()
    if as_json or output is Output.JSON:
        print_json(picture)
    else:
        console().print(render_picture(picture))
    raise typer.Exit(EXIT_CODES[picture.severity])


def _ask_app() -> Picture:
    with report_errors(), AppClient(load_access()) as app:
        return app.preflight()


def render_picture(picture: Picture) -> RenderableType:
    """Return a picture for people to read."""
    missing = (*picture.missing, *(missing for table in picture.tables for missing in table.missing))
    lacking = tuple(map(str, missing))
    looked_at = any(table.outcome != "skipped" for table in picture.tables)
    parts: list[RenderableType] = [
        _label("Dataverse", plain(picture.dataverse_url)),
        _label("Service account", plain(picture.service_account)),
        _label("Customer Insights", picture.insights_in_words),
        *([_label("Privileges", "all that are needed are held")] if looked_at and not lacking else []),
        "",
        *([_tables(picture.tables)] if picture.tables else []),
        _findings(picture),
        *([_capabilities(picture.capabilities)] if picture.capabilities else []),
        *[_automations(table) for table in picture.tables if table.automations],
        *_list_lines("Missing privileges", lacking),
        *_list_lines("Look at this", picture.warnings),
        *_list_lines("Notes", picture.notes),
        *([_label("Requests", str(picture.entitlement))] if picture.entitlement.requests else []),
        _label("Result", f"[{_SEVERITIES[picture.severity]}]{picture.severity}[/]; nothing was written"),
        *([_label("", plain(picture.detail))] if picture.detail else []),
    ]
    return Group(*parts)


def _label(label: str, text: str) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=17)
    grid.add_row(label, text)
    return grid


def _tables(tables: Iterable[TablePicture]) -> RenderableType:
    shown = Table(
        "Table",
        "Outcome",
        "Column",
        "Next run",
        Column("Rows, at most", justify="right"),
        Column("Automations", justify="right"),
        title="Tables",
        title_justify="left",
    )
    for table in tables:
        shown.add_row(
            plain(table.table),
            f"[{_COLORS[table.outcome]}]{table.outcome}[/]",
            table.column,
            f"{table.mode}: {table.mode_reason}" if table.mode else "",
            f"{table.rows:,}" if table.mode else "",
            str(len(table.automations)) if table.mode else "",
        )
    return Group(shown, "")


def _findings(picture: Picture) -> RenderableType:
    shown = Table(
        "For", "", "Question", "Answer", "Evidence, and what to do", title="Requirements", title_justify="left"
    )
    for finding in picture.findings:
        _add(shown, "environment", finding)
    for table in picture.tables:
        shown.add_section()
        for finding in table.findings:
            _add(shown, table.table, finding)
    return Group(shown, "")


def _add(shown: Table, of: str, finding: Finding) -> None:
    text = f"{finding.evidence} {finding.advice}".strip()
    docs = "" if finding.verdict is Verdict.MET else f" ({finding.docs})"
    answer = _MARKS[finding.verdict]
    shown.add_row(plain(of), finding.requirement, finding.question, answer, plain(text + docs))


def _capabilities(can: Capabilities) -> RenderableType:
    kinds = f"profile table {can.profile_kind}, mapping table {can.mapping_kind}, probed {can.probed_at}"
    shown = Table(
        "Capability", "", "Evidence, and what a missing one costs", title=f"Capabilities: {kinds}", title_justify="left"
    )
    for one in can.findings:
        cost = "" if one.available else f" {one.cost}"
        shown.add_row(one.name, _AVAILABLE[one.available], plain(one.evidence + cost))
    return Group(shown, "")


def _automations(table: TablePicture) -> RenderableType:
    cost = f"Automations that a link on {table.table} fires: {table.estimate}"
    return Group(plain(cost), _bullets(map(describe, table.automations)), "")


def _list_lines(title: str, lines: Iterable[str]) -> list[RenderableType]:
    found = list(lines)
    return [f"[bold]{title}[/]", _bullets(found), ""] if found else []


def _bullets(lines: Iterable[str]) -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0))
    for line in lines:
        grid.add_row("  -", plain(line))
    return grid
