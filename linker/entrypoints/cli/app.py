"""Table of contents of the command line."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from linker import VERSION
from linker.entrypoints.cli import looking, pause, preflight, run, setup, view

app = typer.Typer(
    name="linker",
    no_args_is_help=True,
    help="Link Dataverse rows to their customer profiles. Documentation: docs/cli.md.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"linker {VERSION}")
        raise typer.Exit


@app.callback()
def _commands(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True, metavar="")
    ] = False,
) -> None:
    """Settings are environment variables, completed from local.settings.json in this folder. Exit codes: docs/cli.md."""
    del version
    logging.getLogger("azure.identity").setLevel(logging.ERROR)  # each way that gave no token: our one sentence says it


LOOKING, STARTING, PREPARING = "Look", "Start and stop runs", "Prepare an environment"
app.command(rich_help_panel=LOOKING)(looking.status)
app.command(rich_help_panel=LOOKING)(looking.runs)
app.command(rich_help_panel=LOOKING)(looking.show)
app.command(rich_help_panel=LOOKING)(looking.errors)
app.command(rich_help_panel=LOOKING)(looking.row)
app.command(rich_help_panel=LOOKING)(looking.audit)
app.command("open", rich_help_panel=LOOKING)(looking.open_page)
app.command(rich_help_panel=STARTING)(preflight.preflight)
app.command(rich_help_panel=STARTING)(run.run)
app.command(rich_help_panel=STARTING)(run.approve)
app.command(rich_help_panel=STARTING)(run.cancel)
app.command(rich_help_panel=STARTING)(pause.pause)
app.command(rich_help_panel=STARTING)(pause.resume)
app.command("setup", rich_help_panel=PREPARING)(setup.set_up)
app.command(rich_help_panel=PREPARING)(view.view)
