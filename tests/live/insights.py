"""What Customer Insights - Data wrote, where it is linked to the environment; read, never written (customer-insights.md 2)."""

from __future__ import annotations

from typing import Any

from linker import odata
from linker.dataverse import metadata
from linker.dataverse.client import MAPPING_SET, PROFILE_SET
from linker.dataverse.newest import newest_change
from linker.model import MAPPING_TABLE, PROFILE_TABLE
from linker.odata import MappingColumns
from linker.pages import row_key
from tests.live.check import Unanswered, check
from tests.live.site import Site


async def _mapping(site: Site) -> MappingColumns:
    found = await metadata.mapping_columns(site.dataverse)
    if found is None:
        raise Unanswered(f"There is no table '{MAPPING_TABLE}': link Customer Insights - Data to this environment.")
    return found


async def _some_row(site: Site, entity_set: str, *columns: str) -> dict[str, Any]:
    rows = (await site.dataverse.get(entity_set + odata.query(select=",".join(columns), top=1)))["value"]
    if not rows:
        raise Unanswered(f"There are no {entity_set}: run a unification.")
    return dict(rows[0])


@check(
    "customer-insights.md 2",
    claim="The mapping names the source table in a column that the linker knows.",
    expected="msdynci_tablename",
    advice="msdynci_entityname is right too. Any other name means that the linker finds no mapping: report it.",
    harmless=True,
)
async def the_mapping_names_tables(site: Site) -> str:
    return (await _mapping(site)).table


@check(
    "customer-insights.md 2",
    claim="Mapping and profiles are standard tables.",
    expected="Standard, Standard",
    advice="Elastic tables are read in pages of 500, so a run takes longer; whether counts and ranges work there the first run "
    "says before it writes. Report it.",
)
async def types_of_its_tables(site: Site) -> str:
    await _mapping(site)
    found = [await metadata.find_tables(site.dataverse, name) for name in (MAPPING_TABLE, PROFILE_TABLE)]
    return ", ".join(table.table_type for tables in found for table in tables)


@check(
    "customer-insights.md 2",
    claim="msdynci_identifier is data source, table and key, joined by |.",
    expected="joined so, the key is a guid",
    advice="Pages are ranges of this column, so nothing can be linked here. Report how it is put together.",
)
async def the_identifier(site: Site) -> str:
    columns = await _mapping(site)
    names = (columns.identifier, columns.data_source, columns.table, columns.key)
    row = await _some_row(site, MAPPING_SET, *names)
    identifier, *parts = (str(row[name]) for name in names)
    joined = "joined so" if identifier == "|".join(parts) else "put together otherwise"
    return f"{joined}, the key {'is a guid' if row_key(parts[-1]) else 'is no guid'}"


@check(
    "customer-insights.md 2",
    claim="Mapping and profiles tell when they changed last.",
    expected="both",
    advice="The timer cannot see that something changed: use events or the webhook (docs/triggers.md).",
    harmless=True,
)
async def when_they_changed(site: Site) -> str:
    await _mapping(site)
    for name in (MAPPING_SET, PROFILE_SET):
        await _some_row(site, name)
    silent = [name for name in (MAPPING_SET, PROFILE_SET) if await newest_change(site.dataverse, name) is None]
    return f"not {', '.join(silent)}" if silent else "both"


@check(
    "customer-insights.md 2",
    claim="Mapping and profiles can be sorted by the version of their last change.",
    expected="both",
    advice="Times are whole seconds: what changes within the one that a run saw last is seen with the next change, or a day "
    "later. Keep LINKER_SETTLE_MINUTES above 0: a run then begins when nothing changes any more.",
    harmless=True,
)
async def what_changed_last(site: Site) -> str:
    await _mapping(site)
    for name in (MAPPING_SET, PROFILE_SET):
        await _some_row(site, name)
    newest = {name: await newest_change(site.dataverse, name) for name in (MAPPING_SET, PROFILE_SET)}
    silent = [name for name, change in newest.items() if change is None or not change.version]
    return f"not {', '.join(silent)}" if silent else "both"


@check(
    "dataverse.md 2.3",
    claim="sdkmessagefilters say that profiles have UpdateMultiple.",
    expected="supported",
    advice="Nothing: profiles are touched by single updates in batches then.",
    harmless=True,
)
async def update_multiple_of_profiles(site: Site) -> str:
    await _mapping(site)
    return "supported" if await metadata.supports_update_multiple(site.dataverse, PROFILE_TABLE) else "not told"


CHECKS = (
    the_mapping_names_tables,
    types_of_its_tables,
    the_identifier,
    when_they_changed,
    what_changed_last,
    update_multiple_of_profiles,
)
