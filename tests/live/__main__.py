"""`python -m tests.live`: asks a developer's own Dataverse environment what the linker takes for granted (docs/dev/live.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from linker import bootstrap, settings
from linker.adapters.dataverse import Dataverse
from linker.adapters.outgoing import Tokens
from linker.entrypoints.cli.connection import LOCAL_SETTINGS, report_errors, use_local_settings
from linker.settings import Settings
from tests.live import proof, report
from tests.live.probes.asking import READING
from tests.live.proof import CHECKS, NAMES, ROWS, WRITING, WRITING_NAMES, Order, Report

NEEDS_ACTION = 1  # exit code
_CONSOLE = Console()


def live(  # each option is a parameter of the command
    *,
    disposable: Annotated[
        bool,
        typer.Option("--disposable", help="Also make, write, and remove tables. Without it only GET requests go out."),
    ] = False,
    confirm_host: Annotated[
        str, typer.Option(help="Host name of the environment, where it does not look disposable.")
    ] = "",
    rows: Annotated[int, typer.Option(min=1, help="Rows to create with --disposable; a page holds 5,000.")] = ROWS,
    watch: Annotated[
        int, typer.Option(min=0, help="Minutes to look at a unification that you start, with --disposable.")
    ] = 0,
    only: Annotated[list[str] | None, typer.Option(help="Name of a probe or check. Repeatable. Default: all.")] = None,
    stranger: Annotated[
        UUID | None, typer.Option(help="Client id of a managed identity that is not a user of the environment.")
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Only remove what your earlier proofs left.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Only list the probes and checks.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the report to this file as JSON.")] = None,
    markdown: Annotated[Path, typer.Option(help="Write the report to this file as Markdown.")] = Path("live-report.md"),
) -> None:
    """Ask a Dataverse environment what the linker relies on, and report which unproved facts are settled.

    LINKER_DATAVERSE_URL names the environment; sign in with az login. Exit code 0: nothing needs action, 1: a check
    differs or the sandbox cannot play an answer, 2: the environment could not be asked.
    """
    if listed:
        typer.echo(f"{report.listed_probes((*READING, *WRITING))}\n\n{report.listed(CHECKS)}")
        return
    order = Order(rows, disposable, confirm_host, tuple(only or ()), watch)
    _check_names(order)
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        given = settings.read()
        if clean:
            asyncio.run(_clean(given))
            return
        found = asyncio.run(_prove(given, order, stranger))
    _show(found, json, markdown)
    raise typer.Exit(0 if found.is_good else NEEDS_ACTION)


def _check_names(order: Order) -> None:
    unknown = set(order.only) - NAMES
    if unknown:
        raise typer.BadParameter(f"There is no probe or check {', '.join(sorted(unknown))}.", param_hint="--only")
    writing = set(order.only) & WRITING_NAMES
    if writing and not order.disposable:
        raise typer.BadParameter(f"{', '.join(sorted(writing))} needs --disposable: it writes.", param_hint="--only")


async def _prove(given: Settings, order: Order, stranger: UUID | None) -> Report:
    async with bootstrap.sign_in(given) as dataverse, _as_stranger(dataverse, stranger) as other:
        return await proof.prove(dataverse, order, _CONSOLE.print, stranger=other)


@asynccontextmanager
async def _as_stranger(dataverse: Dataverse, client_id: UUID | None) -> AsyncIterator[Dataverse | None]:
    """Give a client that asks the same environment with another identity, None when no identity is named."""
    if client_id is None:
        yield None
        return
    tokens = Tokens(dataverse.connection.url, str(client_id))
    try:
        yield Dataverse(replace(dataverse.connection, tokens=tokens))
    finally:
        await tokens.close()


async def _clean(given: Settings) -> None:
    async with bootstrap.sign_in(given) as dataverse:
        await proof.clean(dataverse, _CONSOLE.print)


def _show(found: Report, json: Path | None, markdown: Path) -> None:
    _CONSOLE.print(report.table(found))
    for path, text in ((json, report.document(found)), (markdown, report.markdown(found))):
        if path is not None:
            path.write_text(text, encoding="utf-8")
            _CONSOLE.print(f"Written to {path}.")


if __name__ == "__main__":
    typer.run(live)
