"""Customer measures in all three forms that reach an app (docs/reference/customer-insights.md 2).

Columns on the profile, a table of its own related to the profile, and `msdynci_customermeasure`, which knows the
CustomerId only. All values follow from the CustomerId, so the three forms agree.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import orjson

from sandbox.data.generator import guid
from sandbox.data.seed import Dataset, TableData
from sandbox.database.values import Row
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.insights_tables import CUSTOMER, PROFILES

MEASURES: Final = "msdynci_customermeasure"
SUPPORT_ISSUES: Final = "msdynci_supportissue"

_PROFILE_COLUMNS: Final = tuple(
    Column(f"msdynci_{name}", ColumnType.INTEGER, display_name=display_name)
    for name, display_name in (
        ("dayssincelastclaim", "Days since last claim"),
        ("leadscore", "Lead score"),
        ("totalpurchases", "Total purchases"),
        ("purchaseslastfourmonths", "Purchases in the last four months"),
    )
)
_ISSUE_COLUMNS: Final = (
    Column("msdynci_name", display_name="Name"),  # the primary name
    Column("msdynci_customerid", indexed=True),
    Column("msdynci_profile", ColumnType.LOOKUP, display_name="Customer Profile", targets=(PROFILES,)),
    Column("msdynci_lastmonth", ColumnType.INTEGER, display_name="Support issues of the last month"),
    Column("msdynci_lastyear", ColumnType.INTEGER, display_name="Support issues of the last year"),
    Column("msdynci_lifetime", ColumnType.INTEGER, display_name="Support issues of the lifetime"),
)


@dataclass(frozen=True, slots=True)
class Measures:
    """The documented examples of measures, for one customer. Issues and purchases are counts."""

    days_since_last_claim: int
    lead_score: int
    issues_last_month: int
    issues_last_year: int
    issues_lifetime: int
    purchases_last_four_months: int
    total_purchases: int


def measures_of(customer_id: str) -> Measures:
    """Return the measures of a customer."""
    chance = hashlib.blake2b(customer_id.encode(), digest_size=8, person=b"measures").digest()
    month, recent = chance[2] % 4, chance[3] % 6
    year = month + chance[4] % 8
    return Measures(
        days_since_last_claim=int.from_bytes(chance[:2]) % 730,
        lead_score=chance[5] % 101,
        issues_last_month=month,
        issues_last_year=year,
        issues_lifetime=year + chance[6] % 20,
        purchases_last_four_months=recent,
        total_purchases=recent + chance[7] % 60,
    )


def with_measures(dataset: Dataset) -> Dataset:
    """Return a data set with measures for all its profiles; tables that it brings itself stay as they are."""
    brought = {data.name for data in dataset.tables}
    profiles = next(data for data in dataset.tables if data.name == PROFILES)
    own = [_measured(data) if data is profiles else data for data in dataset.tables]
    extra = [
        TableData(MEASURES, lambda: map(measure_row, profiles.rows())),
        TableData(
            SUPPORT_ISSUES,
            lambda: map(issues_row, profiles.rows()),
            _ISSUE_COLUMNS,
            entity_set="msdynci_supportissues",
        ),
    ]
    return replace(dataset, tables=(*own, *(data for data in extra if data.name not in brought)))


def _measured(profiles: TableData) -> TableData:
    def rows() -> Iterator[Row]:
        for row in profiles.rows():
            yield {**profile_columns(row), **row}

    return replace(profiles, rows=rows, columns=(*profiles.columns, *_PROFILE_COLUMNS))


def profile_columns(profile: Row) -> Row:
    """Return the measures that are columns of a profile."""
    measures = measures_of(str(profile["msdynci_customerid"]))
    return {
        "msdynci_dayssincelastclaim": measures.days_since_last_claim,
        "msdynci_leadscore": measures.lead_score,
        "msdynci_totalpurchases": measures.total_purchases,
        "msdynci_purchaseslastfourmonths": measures.purchases_last_four_months,
    }


def measure_row(profile: Row) -> Row:
    """Return the row of `msdynci_customermeasure` for a profile."""
    customer_id = str(profile["msdynci_customerid"])
    measures = measures_of(customer_id)
    values = {
        "DaysSinceLastClaim": measures.days_since_last_claim,
        "SupportIssuesLastMonth": measures.issues_last_month,
        "SupportIssuesLastYear": measures.issues_last_year,
        "SupportIssuesLifetime": measures.issues_lifetime,
        "LeadScore": measures.lead_score,
        "TotalPurchases": measures.total_purchases,
        "PurchasesLastFourMonths": measures.purchases_last_four_months,
    }
    return {
        "msdynci_customermeasureid": guid(0, f"measure/{customer_id}", 0),
        "msdynci_identifier": customer_id,
        "msdynci_customerid": customer_id,
        CUSTOMER: profile["msdynci_customerprofileid"],
        "msdynci_measures": orjson.dumps(values).decode(),
    }


def issues_row(profile: Row) -> Row:
    """Return the row of the related measure table for a profile."""
    customer_id = str(profile["msdynci_customerid"])
    measures = measures_of(customer_id)
    return {
        "msdynci_supportissueid": guid(0, f"issues/{customer_id}", 0),
        "msdynci_name": "Support issues",
        "msdynci_customerid": customer_id,
        "msdynci_profile": profile["msdynci_customerprofileid"],
        "msdynci_lastmonth": measures.issues_last_month,
        "msdynci_lastyear": measures.issues_last_year,
        "msdynci_lifetime": measures.issues_lifetime,
    }
