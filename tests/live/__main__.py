"""`python -m tests.live`: asks a developer's own Dataverse environment what the linker takes for granted (docs/live.md)."""

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
from linker.cli.shell import LOCAL_SETTINGS, told, use_local_settings
from linker.dataverse import Dataverse
from linker.settings import Settings
from tests.live import proof, report
from tests.live.proof import CHECKS, ROWS, Order, Report

DIFFERENT = 1  # exit code
_CONSOLE = Console()


def live(
    *,
    yes_this_environment: Annotated[
        bool, typer.Option("--yes-this-environment", help="Go on although it may be somebody's production.")
    ] = False,
    rows: Annotated[int, typer.Option(min=1, help="Rows to create; pages and counts end at 5,000.")] = ROWS,
    only: Annotated[list[str] | None, typer.Option(help="Name of a check; again for more. Without it all.")] = None,
    stranger: Annotated[
        UUID | None, typer.Option(help="Client id of a managed identity that is no user there.")
    ] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Only remove what earlier proofs left.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="Only list the checks.")] = False,
    json: Annotated[Path | None, typer.Option(help="Write the report there as JSON.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report there as Markdown.")] = None,
) -> None:
    """Ask a Dataverse environment of your own what the linker takes for granted, and name differences from the sandbox.

    LINKER_DATAVERSE_URL says which; sign in with az login as its administrator. Everything it makes it removes again. Exit
    code 0: nothing asks anything of you, 1: there are differences that do, 2: it could not be asked.
    """
    if listed:
        typer.echo(report.listed(CHECKS))
        return
    unknown = set(only or ()) - {check.name for check in CHECKS}
    if unknown:
        raise typer.BadParameter(f"There is no check {', '.join(sorted(unknown))}.", param_hint="--only")
    order = Order(rows, yes_this_environment, tuple(only or ()))
    with told():
        use_local_settings(LOCAL_SETTINGS)
        given = settings.read()
        if clean:
            asyncio.run(_cleaned(given))
            return
        found = asyncio.run(_proved(given, order, stranger))
    _show(found, json, markdown)
    raise typer.Exit(0 if found.is_good else DIFFERENT)


async def _proved(given: Settings, order: Order, stranger: UUID | None) -> Report:
    async with bootstrap.signed_in(given) as dataverse, _as_stranger(dataverse, stranger) as other:
        return await proof.prove(dataverse, order, _CONSOLE.print, stranger=other)


@asynccontextmanager
async def _as_stranger(dataverse: Dataverse, client_id: UUID | None) -> AsyncIterator[Dataverse | None]:
    """Give a client that asks the same environment as somebody else, None when nobody is named."""
    if client_id is None:
        yield None
        return
    tokens = bootstrap.Tokens(dataverse.connection.url, str(client_id))
    try:
        yield Dataverse(replace(dataverse.connection, tokens=tokens))
    finally:
        await tokens.close()


async def _cleaned(given: Settings) -> None:
    async with bootstrap.signed_in(given) as dataverse:
        await proof.clean(dataverse, _CONSOLE.print)


def _show(found: Report, json: Path | None, markdown: Path | None) -> None:
    _CONSOLE.print(report.table(found))
    for path, text in ((json, report.document(found)), (markdown, report.markdown(found))):
        if path is not None:
            path.write_text(text, encoding="utf-8")
            _CONSOLE.print(f"Written to {path}.")


if __name__ == "__main__":
    typer.run(live)
