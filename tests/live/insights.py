"""What Customer Insights - Data wrote, if linked to the environment; only read (docs/reference/customer-insights.md 2)."""

from __future__ import annotations

from linker.adapters.dataverse import metadata
from linker.core.names import PROFILE_TABLE
from tests.live.check import Unanswered, check
from tests.live.site import Site


@check(
    "docs/reference/dataverse.md 2.3",
    claim="sdkmessagefilters say that profiles have UpdateMultiple.",
    expected="supported",
    advice="Nothing: profiles are touched by single updates in batches then.",
    harmless=True,
)
async def update_multiple_of_profiles(site: Site) -> str:
    if not await metadata.find_tables(site.dataverse, PROFILE_TABLE):
        raise Unanswered(f"Table '{PROFILE_TABLE}' does not exist: link Customer Insights - Data to this environment.")
    return "supported" if await metadata.supports_update_multiple(site.dataverse, PROFILE_TABLE) else "not listed"


CHECKS = (update_multiple_of_profiles,)
