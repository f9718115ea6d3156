"""Table of contents of the command line."""

from __future__ import annotations

import logging

import typer

from linker.entrypoints.cli import approve, preflight, run, setup, view

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Links Dataverse rows to their customer profiles.")


@app.callback()
def _commands() -> None:
    """Settings are those of the app: environment variables, completed from local.settings.json in this folder."""
    logging.getLogger("azure.identity").setLevel(logging.ERROR)  # each way that gave no token: our one sentence says it


app.command()(preflight.preflight)
app.command()(run.run)
app.command()(approve.approve)
app.command("setup")(setup.set_up)
app.command()(view.view)
