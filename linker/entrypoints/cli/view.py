"""`linker view`: a system view on a table's list that shows what its rows reach through their link."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from xml.etree import ElementTree as ET

import typer

from linker import bootstrap, settings
from linker.adapters.dataverse import Dataverse, saved_views
from linker.adapters.dataverse.probing import read_tables
from linker.core.errors import ConfigurationError, DataverseError, LinkerError
from linker.core.insight_views import View, check_kind, design
from linker.core.permissions import privileges
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
from linker.settings import Settings


@dataclass(frozen=True, slots=True)
class Order:
    """Which view to make."""

    table: str
    columns: tuple[str, ...]
    name: str = ""


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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the view, and write nothing.", metavar="")] = False,
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create or update a view that shows profile attributes and measures on a table's list, and publish it.

    The profile table has to be a standard table: lists cannot join an elastic or virtual one, and nothing is written then.
    Run it as a system customizer of the environment (az login). The same name again updates its own view and never another one.

    Example: linker view lead --columns msdynci_loyaltytier --dry-run.

    Exit codes: 0 done or shown; 2 it could not be done.
    """
    wanted = tuple(one.strip() for one in columns.split(",") if one.strip())
    with report_errors():
        use_local_settings(LOCAL_SETTINGS)
        order = Order(table.lower(), wanted, name.strip())
        found = asyncio.run(_carry_out(settings.read(), order, Talk(dry_run, yes, output)))
    if output is Output.JSON:
        print_json(found)


async def _carry_out(given: Settings, order: Order, talk: Talk) -> dict[str, Any]:
    async with bootstrap.sign_in(given) as dataverse:
        return await carry_out(dataverse, given, order, talk)


async def carry_out(dataverse: Dataverse, given: Settings, order: Order, talk: Talk) -> dict[str, Any]:
    """Show the view, make it if `talk` allows it, and return both. Raises LinkerError, with what was written by then."""
    with _require_privilege():
        profile_kind, _, _ = await read_tables(dataverse)
        check_kind(profile_kind)
        designed = design(await saved_views.columns(dataverse, order.table), order.columns, order.name)
        stored = await saved_views.look(dataverse, designed)
    for line in (*_describe(designed), *_notes(designed)):
        talk.say(line)
    address = _address(given, designed)
    value = {"id": designed.id, "name": designed.name, "table": order.table, "address": address}
    if stored is not None and stored.shows(designed):
        return _describe_result(talk, value, "unchanged", "Nothing to do: the view shows this already.")
    if talk.dry_run:
        for line in (
            "Would be (nothing was written):",
            *_list_lines(designed.fetchxml),
            *_list_lines(designed.layoutxml),
        ):
            talk.say(line)
    if not talk.allows("Update and publish this view?" if stored else "Create and publish this view?"):
        return value | {"state": "planned"}
    with _require_privilege():
        await saved_views.save(dataverse, designed, stored, given.solution)
    await _publish(dataverse, order.table)
    state = "updated" if stored else "created"
    return _describe_result(talk, value, state, f"{state.capitalize()} and published.")


def _describe_result(talk: Talk, value: dict[str, Any], state: str, text: str) -> dict[str, Any]:
    talk.say(text)
    talk.say(f"Open it: {value['address']}")
    return value | {"state": state}


def _address(given: Settings, designed: View) -> str:
    """Return the address of the view in Dynamics 365 (learn.microsoft.com, Open forms, views, dialogs with a URL)."""
    query = f"etn={designed.table.name}&pagetype=entitylist&viewid=%7b{designed.id}%7d&viewtype=1039"
    return f"{given.dataverse_url}/main.aspx?{query}"


async def _publish(dataverse: Dataverse, table: str) -> None:
    try:
        await saved_views.publish(dataverse, table)
    except LinkerError as error:
        raise ConfigurationError(
            f"The view is saved and not published: {error} Publish table '{table}' in Power Apps (Customizations > Publish)."
        ) from error


@contextmanager
def _require_privilege() -> Iterator[None]:
    """Say which privilege is missing, where nothing is written without it."""
    try:
        yield
    except DataverseError as error:
        missing = privileges.find_refused(error)
        if missing is None:
            raise
        raise ConfigurationError(
            f"Your user lacks {missing.privilege}. Nothing was written. The role System Customizer has what a view needs; "
            "docs/insights.md lists it."
        ) from error


def _describe(designed: View) -> Iterator[str]:
    yield f"View       {designed.name} ({designed.id})"
    yield f"Table      {designed.table.name}"
    cells = (designed.table.primary_name, *(shown.cell for shown in designed.shown))
    yield f"Columns    {', '.join(dict.fromkeys(cells))}"


def _notes(designed: View) -> Iterator[str]:
    if designed.shows_profile:
        yield "Note       Customer Insights cannot remove a profile column from unification while this view shows it."
    for joined in designed.joined:
        yield f"Note       A row comes once for each row that {joined} has for its profile; a measure of one dimension has one."


def _list_lines(xml: str) -> list[str]:
    root = ET.fromstring(xml)  # noqa: S314 - made a moment ago
    ET.indent(root)
    return ET.tostring(root, encoding="unicode").splitlines()
