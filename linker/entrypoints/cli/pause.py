"""`linker pause` and `linker resume`: let no run begin for some time."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Annotated

import typer

from linker.core.errors import one_line
from linker.core.runs.lock_state import Pause
from linker.core.serialization import iso
from linker.entrypoints.cli.app_client import AppClient
from linker.entrypoints.cli.connection import (
    LOCAL_SETTINGS,
    Output,
    OutputOption,
    Talk,
    YesOption,
    print_json,
    report_errors,
    use_local_settings,
)
from linker.settings import load_access

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.", metavar="")]


def pause(
    *,
    until: Annotated[str, typer.Option(help="When runs may begin again, as 2026-11-24T06:00:00Z; 30 days at most.")],
    reason: Annotated[str, typer.Option(help="Shown to everyone who looks.")] = "",
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Pause runs: none begins until then, and requests wait. A run under way continues. Another pause replaces this one.

    Example: linker pause --until 2026-11-24T06:00:00Z --reason 'Maintenance of the ERP system'

    Exit codes: 0 paused or shown; 2 not paused.
    """
    talk, end = Talk(dry_run, yes, output), _moment(until)
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            talk.say(f"This asks the app to begin no run before {end}. Requests wait; a run under way continues.")
            if not talk.allows("Pause runs?"):
                return
            made = app.pause(end, reason)
            talk.say(f"{describe(made)} 'linker resume' ends the pause.")
            if output is Output.JSON:
                print_json(made)


def resume(*, dry_run: DryRunOption = False, yes: YesOption = False, output: OutputOption = Output.TABLE) -> None:
    """End the pause of runs. A run that waited for its end starts at once.

    Example: linker resume --yes

    Exit codes: 0 resumed or shown; 2 runs weren't paused.
    """
    talk = Talk(dry_run, yes, output)
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            lasting = app.status().pause
            talk.say(describe(lasting) if lasting else "Runs aren't paused.")
            if not talk.allows("Resume runs?"):
                return
            done = app.resume()
            talk.say(f"Runs are resumed. Run {done.run} starts now." if done.run else "Runs are resumed.")
            if output is Output.JSON:
                print_json(done)


def describe(one: Pause) -> str:
    """Return a pause in one sentence."""
    why = f": {one.reason}" if one.reason else ""
    return one_line(f"Runs are paused until {one.until} by {one.by}{why}.")


def _moment(text: str) -> str:
    """Return a time with its offset as ISO 8601 in UTC. Raises typer.BadParameter."""
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None:
            return iso(found.timestamp())
    wanted = "it has to be a time with its offset, such as 2026-11-24T06:00:00Z. Nothing was changed."
    raise typer.BadParameter(wanted, param_hint="--until")
