"""`linker run`, `cancel`, `approve`, `pause`, and `resume`: what starts, stops, and allows runs, or lets none begin."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from typing import Annotated

import typer

from linker.core.errors import ConfigurationError, one_line
from linker.core.model import Mode, Run
from linker.core.runs.lock_state import Pause, fault_of
from linker.core.serialization import iso
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
    report_errors,
    use_local_settings,
)
from linker.entrypoints.cli.waiting import WaitOption, describe_run, follow
from linker.settings import load_access

clock = time.time  # epoch s


def run(
    *,
    mode: Annotated[Mode, typer.Option(help="How much to look at.")] = Mode.INCREMENTAL,
    tables: Annotated[str, typer.Option(help="Logical names, separated by commas; without it, all.")] = "",
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Start a dry run, which counts what would be done and writes nothing.", metavar=""
        ),
    ] = False,
    allow_unlinking: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE=ROWS", help="Clear the held-back links of a table, of at most so many rows."),
    ] = None,
    empty_mapping: Annotated[
        bool,
        typer.Option("--empty-mapping", help="Clear them also when the mapping names no row of the table.", metavar=""),
    ] = False,
    clear_orphans: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE=ROWS", help="Clear links of a table that lead to no profile, of at most so many rows."
        ),
    ] = None,
    wait: WaitOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Start a run. LINKER_APP_URL is the address of the app.

    Examples: linker run --dry-run --wait, linker run --tables contact,lead --yes.

    Exit codes: 0 started, or successful with --wait; 1 failed or canceled; 2 not started; 3 warnings, or skipped.
    """
    talk = Talk(yes=yes or dry_run, output=output)
    if empty_mapping and not allow_unlinking:
        raise typer.BadParameter("It needs --allow-unlinking. Nothing was started.", param_hint="--empty-mapping")
    asked = {
        "mode": mode,
        "dryRun": dry_run,
        "tables": [name.strip() for name in tables.split(",") if name.strip()],
        "allowUnlinking": [
            *(allowance(text, "--allow-unlinking", emptyMapping=empty_mapping) for text in allow_unlinking or ()),
            *(allowance(text, "--clear-orphans", orphans=True) for text in clear_orphans or ()),
        ],
    }
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            talk.allows(_question(mode, tables, [*(allow_unlinking or ()), *(clear_orphans or ())]))
            _show_run(app, app.request_run(asked), talk, wait=wait)


def cancel(
    run: Annotated[str, typer.Argument(help="Id of the run; without it, the newest one.")] = "",
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show which run would be canceled.", metavar="")] = False,
    wait: WaitOption = False,
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Cancel a run that waits or works. Links that are written stay; the next run continues from there.

    Example: linker cancel --yes

    Exit codes: 0 canceled or shown, with --wait that of `linker run --wait`; 2 there was nothing to cancel.
    """
    talk = Talk(dry_run, yes, output)
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            found = app.run(run) if run else app.last_run()
            talk.say(f"Run {found.id}: {describe_run(found)}")
            is_over = bool(found.ended_at) and not dry_run  # the app says that it is over; nothing has to be confirmed
            if is_over or talk.allows("Cancel this run?"):
                _show_run(app, app.cancel(found.id), talk, wait=wait)
            elif output is Output.JSON:
                print_json(found)


def allowance(text: str, option: str, **kind: bool) -> dict[str, object]:
    """Return what is allowed as the API takes it. Raises typer.BadParameter, which names the option."""
    table, _, count = text.partition("=")
    rows, _, seen = count.partition("@")
    if not table or not rows.isdecimal():
        raise typer.BadParameter(
            f"'{text}' isn't a table with a number of rows, such as contact=250 or contact=250@<digest of the rows>. "
            "Nothing was started.",
            param_hint=option,
        )
    return {"table": table, "mostRows": int(rows), "seen": seen, **kind}


def _show_run(app: AppClient, found: Run, talk: Talk, *, wait: bool) -> None:
    talk.say(f"Run {found.id}: {describe_run(found)}")
    talk.say(f"Progress: {app.page(found.id)}")
    if wait:
        follow(app, found, talk.output)
    elif talk.output is Output.JSON:
        print_json(found)


def _question(mode: Mode, tables: str, unlinking: list[str]) -> str:
    clears = f", which may clear links ({', '.join(unlinking)})" if unlinking else ""
    return f"Start a run ({mode}, tables: {tables or 'all'}){clears}?"


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
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            held = None if digest else _show_held(app, table, talk)
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


def _show_held(app: AppClient, table: str, talk: Talk) -> HeldLink:
    """Show what would be approved, and return it."""
    held = app.first_link(table)
    talk.say(f"Each link of '{plain(held.table)}' fires:")
    for line in held.automations:
        talk.say(f"- {plain(line)}")
    talk.say(f"Digest: {held.digest}")
    return held


# ---- pauses ----

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
    talk, end = Talk(dry_run, yes, output), _end_of_pause(until)
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        with AppClient(load_access()) as app:
            talk.say(f"This asks the app to begin no run before {end}. Requests wait; a run under way continues.")
            if not talk.allows("Pause runs?"):
                return
            made = app.pause(end, reason)
            talk.say(f"{describe_pause(made)} 'linker resume' ends the pause.")
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
            if lasting is None and not dry_run:
                raise ConfigurationError("Runs aren't paused. Nothing was changed.")
            talk.say(describe_pause(lasting) if lasting else "Runs aren't paused.")
            if not talk.allows("Resume runs?"):
                return
            done = app.resume()
            talk.say(f"Runs are resumed. Run {done.run} starts now." if done.run else "Runs are resumed.")
            if output is Output.JSON:
                print_json(done)


def describe_pause(one: Pause) -> str:
    """Return a pause in one sentence."""
    why = f": {one.reason}" if one.reason else ""
    return one_line(f"Runs are paused until {one.until} by {one.by}{why}.")


def _end_of_pause(text: str) -> str:
    """Return a time with its offset as ISO 8601 in UTC. Raises typer.BadParameter for one that no pause can end at."""
    fault = "It has to be a time with its offset, such as 2026-11-24T06:00:00Z."
    with suppress(ValueError, OverflowError):
        found = datetime.fromisoformat(text)
        if found.tzinfo is not None and not (fault := fault_of(found.timestamp(), clock())):
            return iso(found.timestamp())
    raise typer.BadParameter(f"{fault} Nothing was changed.", param_hint="--until")
