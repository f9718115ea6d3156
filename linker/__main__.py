"""The command line: `linker --help` or `python -m linker --help`. Not part of the deployed app."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from linker import VERSION
from linker.entrypoints.cli import control, looking, preflight, setup, view

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
app.command(rich_help_panel=STARTING)(control.run)
app.command(rich_help_panel=STARTING)(control.approve)
app.command(rich_help_panel=STARTING)(control.cancel)
app.command(rich_help_panel=STARTING)(control.pause)
app.command(rich_help_panel=STARTING)(control.resume)
app.command("setup", rich_help_panel=PREPARING)(setup.set_up)
app.command(rich_help_panel=PREPARING)(view.view)


def main() -> None:
    """Run the command line; the console script `linker` starts here."""
    app()


if __name__ == "__main__":
    main()
