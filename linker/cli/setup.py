"""`python -m linker setup`: prepares a Dataverse environment for the app."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from linker import bootstrap, evidence, settings, setup
from linker.cli.shell import LOCAL_SETTINGS, told, use_local_settings
from linker.dataverse import Dataverse, metadata
from linker.errors import ConfigurationError
from linker.settings import Settings
from linker.setup import ROLE, Setup


def set_up(
    *,
    client_id: Annotated[
        UUID | None, typer.Option(help="Client id of the app's identity; without it LINKER_CLIENT_ID.")
    ] = None,
    tables: Annotated[
        str, typer.Option(help="Source tables, separated by commas; without it those of the mapping.")
    ] = "",
    role: Annotated[str, typer.Option(help="Name of the role.")] = ROLE,
    apply: Annotated[bool, typer.Option("--apply", help="Do it. Without it, only say what would be done.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take the role away and disable the user; with --apply.")
    ] = False,
) -> None:
    """Prepare Dataverse: an application user for the app, a least-privilege role, and the one in the other.

    Run it as an administrator of the environment (az login). It looks at every step first and repeats none.
    Exit code 0: done or shown, 2: it could not be done.
    """
    names = [name.strip() for name in tables.split(",") if name.strip()]
    with told():
        use_local_settings(LOCAL_SETTINGS)
        given = settings.read()
        app = str(client_id or given.client_id or "")
        if not app:
            raise ConfigurationError(
                "Whose user? Give --client-id or LINKER_CLIENT_ID: the application id of the app's managed identity (Entra > "
                "Enterprise applications). Nothing was written."
            )
        for line in asyncio.run(_lines(given, app, names, role, apply=apply, undo=undo)):
            typer.echo(line)


async def _lines(given: Settings, app: str, names: list[str], role: str, *, apply: bool, undo: bool) -> list[str]:
    async with bootstrap.signed_in(given) as dataverse:
        tables = [name.lower() for name in names] or await mapped_tables(dataverse)
        found = await setup.look(dataverse, app, role, setup.needs(given, tables))
        head = [
            f"Dataverse  {given.dataverse_url}",
            f"Tables     {', '.join(tables) or 'none: no unification yet, name them with --tables'}",
        ]
        if undo:
            return [*head, *await _undone(dataverse, found, apply=apply)]
        return [*head, *_unknown(found), *await _done(dataverse, found, apply=apply)]


async def mapped_tables(dataverse: Dataverse) -> list[str]:
    """Return the Dataverse tables that the mapping names."""
    columns = await metadata.mapping_columns(dataverse)
    sources = await evidence.find_sources(dataverse, columns) if columns else []
    found = [await metadata.find_tables(dataverse, source.table) for source in sources]
    return sorted({table.logical_name for tables in found for table in tables})


async def _done(dataverse: Dataverse, found: Setup, *, apply: bool) -> list[str]:
    if not found.steps:
        return [
            "Nothing to do: user, role and assignment are there, and the role holds every privilege that is needed."
        ]
    if apply:
        await setup.apply(dataverse, found)
    return [*_numbered(found.steps, apply=apply)]


async def _undone(dataverse: Dataverse, found: Setup, *, apply: bool) -> list[str]:
    if not setup.ways_back(found):
        return ["Nothing to undo."]
    if apply:
        await setup.undo(dataverse, found)
    return [*_numbered(setup.ways_back(found), apply=apply)]


def _numbered(steps: tuple[str, ...], *, apply: bool) -> list[str]:
    done = "Done:" if apply else "Would do (nothing was written; --apply does it):"
    return [done, *(f"  {number}. {step}" for number, step in enumerate(steps, 1))]


def _unknown(found: Setup) -> list[str]:
    return [f"Not known in this environment, so not given: {', '.join(found.unknown)}"] if found.unknown else []
