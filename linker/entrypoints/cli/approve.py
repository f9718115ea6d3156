"""`linker approve`: allow the first link of a table that was held."""

from __future__ import annotations

from typing import Annotated

import typer

from linker.entrypoints.api.answers import HeldLink
from linker.entrypoints.cli.app_client import AppClient
from linker.entrypoints.cli.connection import (
    LOCAL_SETTINGS,
    Output,
    OutputOption,
    Talk,
    YesOption,
    plain,
    print_json,
    told,
    use_local_settings,
)
from linker.entrypoints.cli.waiting import WaitOption, follow
from linker.settings import load_access


def approve(
    table: Annotated[str, typer.Argument(help="Logical name of the table.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what the first link fires.", metavar="")
    ] = False,
    digest: Annotated[str, typer.Option(help="What an earlier call showed: approve that and nothing else.")] = "",
    wait: WaitOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what the first link of a table fires, and allow it. LINKER_APP_URL is the address of the app.

    Example: linker approve contact --dry-run

    Exit codes: 0 approved and a run started, or shown, with --wait that of `linker run --wait`; 2 nothing waits for an
    approval, you answered no, or what the first link fires has changed since it was shown.
    """
    talk = Talk(dry_run, yes or bool(digest), output)
    with told():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            held = None if digest else _shown(app, table, talk)
            if not talk.allows("Allow it, and start a run?"):
                if held and output is Output.JSON:
                    print_json(held)
                return
            run = app.approve(table, digest or (held.digest if held else ""))
            talk.say(f"The first link of '{plain(table)}' is approved. Run {run.id}: {run.status}")
            if wait:
                follow(app, run, output)
            elif output is Output.JSON:
                print_json(run)


def _shown(app: AppClient, table: str, talk: Talk) -> HeldLink:
    """Show what would be approved, and return it."""
    held = app.first_link(table)
    talk.say(f"Each link of '{plain(held.table)}' fires:")
    for line in held.automations:
        talk.say(f"- {plain(line)}")
    talk.say(f"Digest: {held.digest}")
    return held
