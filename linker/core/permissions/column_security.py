"""Which secured columns the app's user must read or update, and which of these it may not (docs/reference/dataverse.md 11).

Pure. What a secured column holds reads as null without the permission, which looks like an empty link or an empty mapping, so a
run may not begin without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from linker.core.names import LOOKUP_SCHEMA_NAME, MAPPING_TABLE, PROFILE_TABLE
from linker.core.odata import MappingColumns
from linker.core.permissions.privileges import Missing

type ColumnRight = Literal["read", "update"]
MAPPING_NAMES = ("msdynci_tablename", "msdynci_entityname")  # one of them names the source table


@dataclass(frozen=True, slots=True)
class SecuredColumn:
    """A column with column security. `id` is its MetadataId in lower case, by which permissions name it."""

    table: str
    column: str
    id: str


@dataclass(frozen=True, slots=True)
class ColumnNeed:
    """A right on a column that counts where the column is secured, and what it is needed for."""

    table: str
    column: str
    right: ColumnRight
    purpose: str
    vital: bool = True


type ColumnRights = Mapping[str, frozenset[ColumnRight]]
"""What a user may do with secured columns, by MetadataId. A column that is not in it may be neither read nor updated."""


def of_every_run(*, touches: bool) -> tuple[ColumnNeed, ...]:
    """Return what every run needs of the mapping and of profiles."""
    mapping = (MappingColumns.data_source, *MAPPING_NAMES, MappingColumns.key, MappingColumns.customer)
    customer = MappingColumns.customer
    purpose = "touch profiles whose links changed"
    touch = (ColumnNeed(PROFILE_TABLE, customer, "update", purpose, vital=False),) if touches else ()
    return (
        *(ColumnNeed(MAPPING_TABLE, column, "read", "read the mapping") for column in mapping),
        ColumnNeed(PROFILE_TABLE, customer, "read", "find profiles"),
        *touch,
    )


def of_links(table: str) -> tuple[ColumnNeed, ...]:
    """Return what linking one source table needs: of its lookup, and of the column that holds a profile's partition."""
    return tuple(
        need
        for column in (LOOKUP_SCHEMA_NAME, f"{LOOKUP_SCHEMA_NAME}pid")
        for need in (
            ColumnNeed(table, column, "read", "see which links are stored"),
            ColumnNeed(table, column, "update", "write links"),
        )
    )


def concerns(needs: Iterable[ColumnNeed], secured: Iterable[SecuredColumn]) -> bool:
    """Return whether any needed column is secured."""
    named = {(one.table, one.column) for one in secured}
    return any((need.table, need.column) in named for need in needs)


def missing_on_columns(
    needs: Iterable[ColumnNeed], secured: Iterable[SecuredColumn], rights: ColumnRights
) -> tuple[Missing, ...]:
    """Return the permissions that are needed on secured columns and not held."""
    ids = {(one.table, one.column): one.id for one in secured}
    return tuple(
        Missing(f"{need.right} permission", need.table, "none", need.purpose, need.vital, need.column)
        for need in needs
        if (found := ids.get((need.table, need.column))) is not None
        and need.right not in rights.get(found, frozenset())
    )
