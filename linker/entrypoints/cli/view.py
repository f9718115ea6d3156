"""`python -m linker view`: a system view on a table's list that shows what its rows reach through their link."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated
from xml.etree import ElementTree as ET

import typer

from linker import bootstrap, settings
from linker.adapters.dataverse import Dataverse, saved_views
from linker.adapters.dataverse.probing import read_tables
from linker.core.errors import ConfigurationError, DataverseError, LinkerError
from linker.core.permissions import privileges
from linker.core.profile_insights.insight_views import View, check_kind, design
from linker.entrypoints.cli.connection import LOCAL_SETTINGS, told, use_local_settings
from linker.settings import Settings


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked for."""

    table: str
    columns: tuple[str, ...]
    name: str = ""
    dry_run: bool = False


def view(
    table: Annotated[str, typer.Argument(help="Logical name of the table whose list gets the view, such as lead.")],
    *,
    columns: Annotated[
        str,
        typer.Option(
            help="Columns of the profile, or table.column of a measure table or of the table itself; separated by commas."
        ),
    ],
    name: Annotated[str, typer.Option(help="Name of the view; without it '<Table> with customer profile'.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the view, and write nothing.")] = False,
) -> None:
    """Create or update a view that shows profile attributes and measures on a table's list, and publish it.

    The profile table has to be a standard table: lists cannot join an elastic or virtual one, and nothing is written then.
    Run it as a system customizer of the environment (az login). The same name again updates its own view and never another one.
    Exit code 0: done or shown, 2: it could not be done.
    """
    wanted = tuple(one.strip() for one in columns.split(",") if one.strip())
    with told():
        use_local_settings(LOCAL_SETTINGS)
        for line in asyncio.run(_carried_out(settings.read(), Order(table.lower(), wanted, name.strip(), dry_run))):
            typer.echo(line)


async def _carried_out(given: Settings, order: Order) -> list[str]:
    async with bootstrap.signed_in(given) as dataverse:
        return await carry_out(dataverse, given, order)


async def carry_out(dataverse: Dataverse, given: Settings, order: Order) -> list[str]:
    """Make the view, or only design it, and return what to tell. Raises LinkerError, with what was written by then."""
    with _allowed():
        check_kind((await read_tables(dataverse)).profile_kind)
        designed = design(await saved_views.columns(dataverse, order.table), order.columns, order.name)
        stored = await saved_views.look(dataverse, designed)
    head = [*_described(designed), *_notes(designed)]
    if order.dry_run:
        return [*head, "Would be (nothing was written):", *_printed(designed.fetchxml), *_printed(designed.layoutxml)]
    address = f"Open it: {given.dataverse_url}/api/data/v9.2/{designed.table.entity_set}?savedQuery={designed.id}"
    if stored is not None and stored.shows(designed):
        return [*head, "Nothing to do: the view shows this already.", address]
    with _allowed():
        await saved_views.save(dataverse, designed, stored, given.solution)
    await _published(dataverse, order.table)
    return [*head, f"{'Updated' if stored else 'Created'} and published.", address]


async def _published(dataverse: Dataverse, table: str) -> None:
    try:
        await saved_views.publish(dataverse, table)
    except LinkerError as error:
        raise ConfigurationError(
            f"The view is saved and not published: {error} Publish table '{table}' in Power Apps (Customizations > Publish)."
        ) from error


@contextmanager
def _allowed() -> Iterator[None]:
    """Say which privilege is missing, where nothing is written without it."""
    try:
        yield
    except DataverseError as error:
        missing = privileges.refused(error.text)
        if missing is None:
            raise
        raise ConfigurationError(
            f"Your user lacks {missing.privilege}. Nothing was written. The role System Customizer has what a view needs; "
            "docs/insights.md lists it."
        ) from error


def _described(designed: View) -> Iterator[str]:
    yield f"View       {designed.name} ({designed.id})"
    yield f"Table      {designed.table.name}"
    cells = (designed.table.primary_name, *(shown.cell for shown in designed.shown))
    yield f"Columns    {', '.join(dict.fromkeys(cells))}"


def _notes(designed: View) -> Iterator[str]:
    if designed.shows_profile:
        yield "Note       Customer Insights cannot remove a profile column from unification while this view shows it."
    for joined in designed.joined:
        yield f"Note       A row comes once for each row that {joined} has for its profile; a measure of one dimension has one."


def _printed(xml: str) -> list[str]:
    root = ET.fromstring(xml)  # noqa: S314 - made a moment ago
    ET.indent(root)
    return ET.tostring(root, encoding="unicode").splitlines()
