"""How rows of standard tables are read: lists of keys and pages."""

from __future__ import annotations

from linker.core import odata
from tests.live.check import Unanswered, check
from tests.live.site import BULK, Site, bulk_key

MOST = 5_000  # rows of a page (docs/reference/dataverse.md 5.1)


def _need_more_than(rows: int, site: Site) -> None:
    if site.bulk <= rows:
        raise Unanswered(f"There are only {site.bulk:,} rows: give --rows {rows + 1} or more.")


async def _found(site: Site, column: str, values: list[str]) -> str:
    path = site.rows.entity_set + odata.query(select=column, filter=odata.is_in(column, values))
    (rows,) = await site.dataverse.read_all([path])
    return f"{len(rows)} of {len(values)} rows"


@check(
    "docs/reference/dataverse.md 6.4",
    claim="500 keys fit into one In, asked within a batch.",
    expected="500 of 500 rows",
    advice="Lower linker.core.odata.IN_VALUES to what this environment takes, and report it.",
)
async def in_of_500_keys(site: Site) -> str:
    _need_more_than(499, site)
    return await _found(site, site.rows.primary_id, [bulk_key(number) for number in range(odata.IN_VALUES)])


@check(
    "docs/reference/dataverse.md 5.1",
    claim="A page of 5,000 rows is served at once, and the link to the next one stays in the environment.",
    expected="5,000 rows, then the rest by a link within this environment",
    advice="If pages are smaller, a run asks more often and is right all the same. If the link leads to another address, set "
    "LINKER_DATAVERSE_URL to that address: the linker follows no link elsewhere.",
)
async def pages_of_5000(site: Site) -> str:
    _need_more_than(MOST, site)
    path = site.rows.entity_set + odata.query(
        select=site.rows.primary_id, filter=f"{site.own.name} eq {odata.literal(BULK)}"
    )
    first, *rest = [page async for page in site.dataverse.rows(path)]
    if len(first) == MOST and sum(map(len, rest)) == site.bulk - MOST:
        return "5,000 rows, then the rest by a link within this environment"
    return f"pages of {[len(page) for page in (first, *rest)]}"


CHECKS = (
    in_of_500_keys,
    pages_of_5000,
)
