"""`python -m linker setup`: prepares a Dataverse environment for the app."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import typer

from linker import bootstrap, settings
from linker.adapters.dataverse import Dataverse, metadata
from linker.core.errors import ConfigurationError, LinkerError, TransientError
from linker.core.permissions.privileges import Need
from linker.entrypoints.cli.connection import LOCAL_SETTINGS, told, use_local_settings
from linker.services import environment_setup, fact_gathering
from linker.services.environment_setup import ROLE, Setup
from linker.settings import Settings


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked for. Without `tables` those of the mapping; without `apply` nothing is written."""

    client_id: str
    tables: tuple[str, ...] = ()
    role: str = ROLE
    measures: bool = False
    apply: bool = False
    undo: bool = False


def set_up(
    *,
    client_id: Annotated[
        UUID | None, typer.Option(help="Client id of the app's identity; without it LINKER_CLIENT_ID.")
    ] = None,
    tables: Annotated[
        str, typer.Option(help="Source tables, separated by commas; without it those of the mapping.")
    ] = "",
    role: Annotated[str, typer.Option(help="Name of the role.")] = ROLE,
    measures: Annotated[
        bool, typer.Option("--measures", help="Let it read the measures of customers too, to show them.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Do it. Without it, only say what would be done.")] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take the role away and disable the user; with --apply.")
    ] = False,
) -> None:
    """Prepare Dataverse: an application user for the app, a least-privilege role, and the one in the other.

    Run it as an administrator of the environment (az login). It looks at every step first and repeats none.
    Exit code 0: done or shown, 2: it could not be done.
    """
    names = tuple(name.strip().lower() for name in tables.split(",") if name.strip())
    with told():
        use_local_settings(LOCAL_SETTINGS)
        given = settings.read()
        order = Order(whose(client_id, given), names, role, measures, apply, undo)
        for line in asyncio.run(_carried_out(given, order)):
            typer.echo(line)


def whose(client_id: UUID | None, given: Settings) -> str:
    """Return whose user it is about. Raises ConfigurationError when nobody said."""
    found = str(client_id or given.client_id or "")
    if not found:
        raise ConfigurationError(
            "Whose user? Give --client-id or LINKER_CLIENT_ID: the application id of the app's managed identity (Entra > "
            "Enterprise applications). Nothing was written."
        )
    return found


async def _carried_out(given: Settings, order: Order) -> list[str]:
    async with bootstrap.signed_in(given) as dataverse:
        return await carry_out(dataverse, given, order)


async def carry_out(dataverse: Dataverse, given: Settings, order: Order) -> list[str]:
    """Do what was asked for, or only look, and return what to tell. Raises ConfigurationError with how far it came."""
    try:
        return await _steps(dataverse, given, order)
    except TransientError as error:
        raise ConfigurationError(f"{error} Repeat it when Dataverse answers: what is done is left alone.") from error


async def _steps(dataverse: Dataverse, given: Settings, order: Order) -> list[str]:
    tables = order.tables or await mapped_tables(dataverse)
    needs = [
        *environment_setup.needs(given, tables),
        *(await environment_setup.needs_of_measures(dataverse) if order.measures else ()),
    ]
    found = await environment_setup.look(dataverse, order.client_id, order.role, needs)
    head = [
        f"Dataverse  {given.dataverse_url}",
        f"Tables     {', '.join(tables) or 'none: no unification yet, name them with --tables'}",
        *_unknown(found),
    ]
    steps = environment_setup.ways_back(found) if order.undo else found.steps
    if order.apply and steps:
        try:
            await (environment_setup.undo if order.undo else environment_setup.apply)(dataverse, found)
        except LinkerError as error:
            raise ConfigurationError(await _stopped(dataverse, needs, order, steps, error)) from error
    return [*head, *_listed(steps, order)]


async def _stopped(
    dataverse: Dataverse, needs: Sequence[Need], order: Order, steps: Sequence[str], error: LinkerError
) -> str:
    """Say how far it came: whoever may do one step may not be allowed the next."""
    found = await environment_setup.look(dataverse, order.client_id, order.role, needs)
    left = environment_setup.ways_back(found) if order.undo else found.steps
    done = [step for step in steps if step not in left]
    failed = left[0] if left else steps[-1]
    return (
        f"It could not {failed}: {error} {f'Done before: {"; ".join(done)}.' if done else 'Nothing was written.'} "
        "Run it as a System Administrator of the environment; repeating it goes on where it stopped."
    )


async def mapped_tables(dataverse: Dataverse) -> tuple[str, ...]:
    """Return the Dataverse tables that the mapping names."""
    columns = await metadata.mapping_columns(dataverse)
    sources = await fact_gathering.find_sources(dataverse, columns) if columns else []
    found = [await metadata.find_tables(dataverse, source.table) for source in sources]
    return tuple(sorted({table.logical_name for tables in found for table in tables}))


def _listed(steps: Sequence[str], order: Order) -> list[str]:
    if not steps and order.undo:
        return ["Nothing to undo."]
    if not steps:
        return [
            "Nothing to do: user, role and assignment are there, and the role holds every privilege that is needed."
        ]
    title = "Done:" if order.apply else "Would do (nothing was written; --apply does it):"
    return [title, *(f"  {number}. {step}" for number, step in enumerate(steps, 1))]


def _unknown(found: Setup) -> list[str]:
    return [f"Not known in this environment, so not given: {', '.join(found.unknown)}"] if found.unknown else []
