"""`linker setup`: prepares a Dataverse environment for the app."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

import typer

from linker import bootstrap, settings
from linker.adapters.dataverse import Dataverse, metadata
from linker.core.errors import ConfigurationError, LinkerError, TransientError
from linker.core.permissions.privileges import Need
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
from linker.services import fact_gathering, service_account
from linker.services.service_account import ROLE, Setup
from linker.settings import Settings


@dataclass(frozen=True, slots=True)
class Order:
    """What to set up. Without `tables` those of the mapping."""

    client_id: str
    tables: tuple[str, ...] = ()
    role: str = ROLE
    measures: bool = False
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
        bool, typer.Option("--measures", help="Let the role read the measures of customers, to show them.", metavar="")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take the role from the user, delete it, and disable the user.", metavar="")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is left to do.", metavar="")] = False,
    yes: YesOption = False,
    apply: Annotated[bool, typer.Option("--apply", help="The earlier name of --yes.", hidden=True, metavar="")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create the application user and a least-privilege security role in Dataverse, and assign the role.

    Run it as an administrator of the environment (az login). It looks at every step first and repeats none.

    Example: linker setup --tables contact,lead --dry-run

    Exit codes: 0 done or shown; 2 it could not be done.
    """
    names = tuple(name.strip().lower() for name in tables.split(",") if name.strip())
    talk = Talk(dry_run, yes or apply, output)
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        given = settings.read()
        order = Order(whose(client_id, given), names, role, measures, undo)
        found = asyncio.run(_carry_out(given, order, talk))
    if output is Output.JSON:
        print_json(found)


def whose(client_id: UUID | None, given: Settings) -> str:
    """Return the client id of the application user. Raises ConfigurationError when it is not known."""
    found = str(client_id or given.client_id or "")
    if not found:
        raise ConfigurationError(
            "The client id of the app's identity is missing. Nothing was written. Set --client-id or LINKER_CLIENT_ID to the "
            "application id of the managed identity (Entra > Enterprise applications)."
        )
    return found


async def _carry_out(given: Settings, order: Order, talk: Talk) -> dict[str, Any]:
    async with bootstrap.sign_in(given) as dataverse:
        return await carry_out(dataverse, given, order, talk)


async def carry_out(dataverse: Dataverse, given: Settings, order: Order, talk: Talk) -> dict[str, Any]:
    """Show the steps, do them if `talk` allows it, and return both. Raises ConfigurationError with how far it came."""
    try:
        return await _steps(dataverse, given, order, talk)
    except TransientError as error:
        raise ConfigurationError(
            f"{error} Repeat the command when Dataverse answers: it skips what is done."
        ) from error


async def _steps(dataverse: Dataverse, given: Settings, order: Order, talk: Talk) -> dict[str, Any]:
    await _check_tables(dataverse, order.tables)
    tables = order.tables or await find_mapped_tables(dataverse)
    needs = [
        *service_account.setup_needs(given, tables),
        *(await service_account.needs_of_measures(dataverse) if order.measures else ()),
    ]
    found = await service_account.plan_setup(dataverse, order.client_id, order.role, needs)
    steps = service_account.undo_steps(found) if order.undo else found.steps
    for line in (*_head(given, tables, found), *_list_steps(steps, order)):
        talk.say(line)
    value = {"dataverse": given.dataverse_url, "tables": tables, "unknown": found.unknown, "steps": steps}
    if not steps or not talk.allows("Do this?"):
        talk.say("Nothing was written.")
        return value | {"done": False}
    try:
        await (service_account.undo_setup if order.undo else service_account.apply_setup)(dataverse, found)
    except LinkerError as error:
        raise ConfigurationError(await _describe_stop(dataverse, needs, order, steps, error)) from error
    talk.say("Done.")
    return value | {"done": True}


async def _check_tables(dataverse: Dataverse, names: Sequence[str]) -> None:
    """Raise ConfigurationError for a table that was named and doesn't exist."""
    for name in names:
        if name not in {table.logical_name for table in await metadata.find_tables(dataverse, name)}:
            raise ConfigurationError(f"This environment has no table '{name}'. Nothing was written. Check --tables.")


async def _describe_stop(
    dataverse: Dataverse, needs: Sequence[Need], order: Order, steps: Sequence[str], error: LinkerError
) -> str:
    """Return how far it came: an administrator may be allowed one step and not the next."""
    found = await service_account.plan_setup(dataverse, order.client_id, order.role, needs)
    left = service_account.undo_steps(found) if order.undo else found.steps
    done = [step for step in steps if step not in left]
    failed = left[0] if left else steps[-1]
    return (
        f"It could not {failed}: {error} {f'Done before: {"; ".join(done)}.' if done else 'Nothing was written.'} "
        "Run it as a System Administrator of the environment: it continues where it stopped."
    )


async def find_mapped_tables(dataverse: Dataverse) -> tuple[str, ...]:
    """Return the Dataverse tables that the mapping names."""
    columns = await metadata.mapping_columns(dataverse)
    sources = await fact_gathering.find_sources(dataverse, columns) if columns else []
    found = [await metadata.find_tables(dataverse, source.table) for source in sources]
    return tuple(sorted({table.logical_name for tables in found for table in tables}))


def _head(given: Settings, tables: Sequence[str], found: Setup) -> list[str]:
    unknown = f"Not known in this environment, so not given: {', '.join(found.unknown)}"
    return [
        f"Dataverse  {given.dataverse_url}",
        f"Tables     {', '.join(tables) or 'none: no unification yet, name them with --tables'}",
        *([unknown] if found.unknown else []),
    ]


def _list_steps(steps: Sequence[str], order: Order) -> list[str]:
    if not steps and order.undo:
        return ["Nothing to undo."]
    if not steps:
        return ["Nothing to do: user, role and assignment exist, and the role holds every privilege that is needed."]
    return ["To do:", *(f"  {number}. {step}" for number, step in enumerate(steps, 1))]
