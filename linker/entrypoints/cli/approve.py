"""`python -m linker approve`: allow the first link of a table that was held."""

from __future__ import annotations

from typing import Annotated

import typer

from linker.entrypoints.cli.app_client import AppClient
from linker.entrypoints.cli.connection import LOCAL_SETTINGS, plain, told, use_local_settings
from linker.settings import load_access

REFUSED = 2


def approve(
    table: Annotated[str, typer.Argument(help="Logical name of the table.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask after showing what the first link fires.")] = False,
    digest: Annotated[str, typer.Option(help="What an earlier call showed: approve that and nothing else.")] = "",
) -> None:
    """Show what the first link of a table fires, and allow it. LINKER_APP_URL says where the app is.

    Exit code 0: approved and a run asked for. 2: the app could not be asked, nothing waits for an approval, you said no, or
    what the first link fires has changed since it was shown.
    """
    with told():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            seen = digest or _shown(app, table, asks=not yes)
            run = app.approve(table, seen)
    typer.echo(f"The first link of '{table}' is approved. Run {run.id}: {run.status}")


def _shown(app: AppClient, table: str, *, asks: bool) -> str:
    """Show what would be approved, and return its digest."""
    held = app.first_link(table)
    typer.echo(f"Each link of '{plain(held.table)}' fires:")
    for line in held.automations:
        typer.echo(f"- {plain(line)}")
    typer.echo(f"Digest: {held.digest}")
    if asks and not typer.confirm("Allow it, and run?"):
        raise typer.Exit(REFUSED)
    return held.digest
