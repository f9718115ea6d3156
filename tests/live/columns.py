"""How the lookup column is created (docs/reference/dataverse.md 8): each check creates one on its own table and removes it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

from linker.adapters.dataverse import lookup_column, metadata
from linker.core import odata
from linker.core.capabilities import table_kind
from linker.core.errors import DataverseError
from linker.core.names import LOOKUP_SCHEMA_NAME, PROFILE_TABLE
from tests.live import ground
from tests.live.check import Unanswered, check
from tests.live.site import Site, outcome, patiently, refusal, send

_PREFIX_REFUSED = (
    "The linker cannot create its column with the documented name in this way. Set LINKER_SOLUTION to a solution of a "
    "publisher that may, or create the column by hand, with that name and RemoveLink on delete: the linker finds it. Report "
    "the code."
)


@asynccontextmanager
async def _made(site: Site, headers: Mapping[str, str]) -> AsyncIterator[None]:
    """Give the linker's column on our own table, pointing to our own profiles. Raises DataverseError when it is refused."""
    body = ground.lookup(site.own, site.rows)
    try:
        await patiently(partial(_create_once, site, body, headers), site.pause)
        yield
    finally:
        await patiently(partial(_removed, site, body["SchemaName"]), site.pause)


async def _create_once(site: Site, body: Mapping[str, object], headers: Mapping[str, str]) -> None:
    if await ground.navigation(site.dataverse, site.rows, LOOKUP_SCHEMA_NAME) is None:
        await send(site.dataverse, "POST", "RelationshipDefinitions", body, headers)


async def _removed(site: Site, relationship: str) -> None:
    try:
        await send(site.dataverse, "DELETE", f"RelationshipDefinitions(SchemaName={odata.literal(relationship)})")
    except DataverseError as error:
        if error.status != 404:
            raise


async def _creation(site: Site, headers: Mapping[str, str]) -> str:
    try:
        async with _made(site, headers):
            return f"created as {await ground.navigation(site.dataverse, site.rows, LOOKUP_SCHEMA_NAME)}"
    except DataverseError as error:
        return refusal(error)


@check(
    "docs/reference/dataverse.md 8.1",
    claim="A column with the prefix msdynci_ can be created outside a solution of our own.",
    expected=f"created as {LOOKUP_SCHEMA_NAME}",
    advice=_PREFIX_REFUSED,
)
async def the_documented_name(site: Site) -> str:
    return await _creation(site, {})


@check(
    "docs/reference/dataverse.md 8.1",
    claim="A column with the prefix msdynci_ can be created in a solution of another publisher.",
    expected=f"created as {LOOKUP_SCHEMA_NAME}",
    advice=f"If only this is refused, leave LINKER_SOLUTION empty. {_PREFIX_REFUSED}",
)
async def the_documented_name_in_a_solution(site: Site) -> str:
    return await _creation(site, {"MSCRM.SolutionUniqueName": site.own.publisher})


@check(
    "docs/reference/dataverse.md 8.2",
    claim="A new column can be read and written without publishing, as soon as it is made.",
    expected="by everybody, with and without Consistency: Strong",
    advice="Nothing: the linker waits until a new column is known.",
    harmless=True,
)
async def a_new_column_is_known(site: Site) -> str:
    select = odata.query(select=f"_{LOOKUP_SCHEMA_NAME}_value", top=1)
    path = site.rows.entity_set + select
    async with _made(site, {}):
        plain = await outcome(site.dataverse.get(path))
        strong = await outcome(site.dataverse.get(path, strong=True))
    if plain == strong == "accepted":
        return "by everybody, with and without Consistency: Strong"
    return f"{plain}; with Consistency: Strong {strong}"


@check(
    "docs/reference/dataverse.md 8.4",
    claim="Creating the column twice is refused with a code that says so.",
    expected="as taken",
    advice="Two runs that create the column at the same time would fail instead of sharing it. Add the code to "
    "linker.adapters.dataverse.lookup_column.TAKEN, and report it.",
)
async def the_same_column_twice(site: Site) -> str:
    async with _made(site, {}):
        try:
            await send(site.dataverse, "POST", "RelationshipDefinitions", ground.lookup(site.own, site.rows))
        except DataverseError as error:
            return "as taken" if error.code.lower() in lookup_column.TAKEN else refusal(error)
    return "accepted"


@check(
    "docs/reference/customer-insights.md 1",
    claim="The linker's own code creates the column, pointing to the real profile table.",
    expected=f"created as {LOOKUP_SCHEMA_NAME}",
    advice=_PREFIX_REFUSED,
)
async def a_column_to_real_profiles(site: Site) -> str:
    profiles = await metadata.find_tables(site.dataverse, PROFILE_TABLE)
    if not profiles:
        raise Unanswered(f"Table '{PROFILE_TABLE}' does not exist: link Customer Insights - Data to this environment.")
    kind = table_kind(profiles[0].table_type, None)
    relationship = ground.lookup(site.own, site.rows)["SchemaName"]
    try:
        made = await patiently(partial(lookup_column.create, site.dataverse, site.rows, None, kind), site.pause)
    except DataverseError as error:
        return refusal(error)
    finally:
        await patiently(partial(_removed, site, relationship), site.pause)
    return f"created as {made}"


CHECKS = (
    the_documented_name,
    the_documented_name_in_a_solution,
    a_new_column_is_known,
    the_same_column_twice,
    a_column_to_real_profiles,
)
