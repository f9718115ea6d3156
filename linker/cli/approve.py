"""`python -m linker approve`: allow the first link of a table that was held."""

from __future__ import annotations

from typing import Annotated

import typer

from linker.cli.app_client import AppClient
from linker.cli.shell import LOCAL_SETTINGS, told, use_local_settings
from linker.settings import load_access


def approve(table: Annotated[str, typer.Argument(help="Logical name of the table.")]) -> None:
    """Allow the first link of a table that was held because it fires automations. LINKER_APP_URL says where the app is.

    Exit code 0: approved and a run asked for, 2: the app could not be asked, or nothing waits for an approval.
    """
    with told():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            run = app.approve(table)
    typer.echo(f"The first link of '{table}' is approved. Run {run.id}: {run.status}")
