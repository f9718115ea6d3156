"""Lets measures follow the profiles that a unification creates and removes."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from sandbox.customer_insights.unification.changes import RowChange
from sandbox.data.measures import MEASURES, SUPPORT_ISSUES, issues_row, measure_row, profile_columns
from sandbox.database import Database
from sandbox.schema.insights_tables import PROFILES


def with_measures(database: Database, changes: Sequence[RowChange]) -> tuple[RowChange, ...]:
    """Return the changes and those of the measures; a sandbox that was loaded without measures gets none."""
    if SUPPORT_ISSUES not in database.schema.tables:
        return tuple(changes)
    profiles = [change for change in changes if change.table == PROFILES and change.kind in ("insert", "delete")]
    return (*map(_with_columns, changes), *_of(MEASURES, profiles), *_of(SUPPORT_ISSUES, profiles))


def _with_columns(change: RowChange) -> RowChange:
    if change.table != PROFILES or change.kind != "insert":
        return change
    return RowChange("insert", PROFILES, {**profile_columns(change.row), **change.row})


def _of(table: str, profiles: Sequence[RowChange]) -> Iterator[RowChange]:
    make = measure_row if table == MEASURES else issues_row
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for change in profiles:
        kinds[str(change.row["msdynci_customerid"])].add(change.kind)
    for change in profiles:
        if len(kinds[str(change.row["msdynci_customerid"])]) == 1:
            yield RowChange(change.kind, table, make(change.row))
        elif change.kind == "insert":  # a profile under another id: its measures follow it
            yield RowChange("update", table, make(change.row))
