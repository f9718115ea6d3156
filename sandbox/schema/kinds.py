"""What makes a table elastic or virtual: the columns, the key and the provider that come with its kind.

Microsoft's pages on elastic and virtual tables, and the reference of the tables of Customer Insights - Data, whose
pages say Elastic.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sandbox.schema.column_types import TEXT_TYPES, Column, ColumnType
from sandbox.schema.definition import SYSTEM_NAMES
from sandbox.schema.model import Table, metadata_id

ELASTIC_PROVIDER: Final = "1d9bde74-9ebd-4da9-8ff5-aa74945b9f74"
"""DataProviderId of every elastic table."""
VIRTUAL_PROVIDER: Final = "c2a7a2f5-3b0c-4e51-9d1e-4f7f0f5b6a01"
"""Any other id is that of a provider outside Dataverse; this one is made up."""
PARTITION: Final = "partitionid"
ELASTIC_KEY: Final = "KeyForNoSqlEntityWithPKPartitionId"

_PARTITION_LENGTH: Final = 100
_STATES: Final = frozenset({"statecode", "statuscode"})
_OWNERS: Final = (
    Column("ownerid", ColumnType.LOOKUP, "OwnerId", "Owner", targets=("systemuser",)),
    Column(
        "owningbusinessunit",
        ColumnType.LOOKUP,
        "OwningBusinessUnit",
        "Owning Business Unit",
        targets=("businessunit",),
        read_only=True,
    ),
)
OWNED: Final = (
    *_OWNERS,
    Column("owninguser", ColumnType.LOOKUP, "OwningUser", "Owning User", targets=("systemuser",), read_only=True),
    Column("owningteam", ColumnType.LOOKUP, "OwningTeam", "Owning Team", targets=("team",), read_only=True),
    Column("importsequencenumber", ColumnType.INTEGER, "ImportSequenceNumber", "Import Sequence Number"),
    Column("overriddencreatedon", ColumnType.DATE, "OverriddenCreatedOn", "Record Created On"),
)
"""Columns of every new user-owned table."""
_ELASTIC_COLUMNS: Final = (
    *_OWNERS,
    Column(PARTITION, schema_name="PartitionId", display_name="Partition Id", max_length=_PARTITION_LENGTH),
    Column("ttlinseconds", ColumnType.INTEGER, "TTLInSeconds", "Time to live"),
)
SHOWN_ALWAYS: Final = ("versionnumber", PARTITION, "ownerid", "owningbusinessunit")
"""Columns that a row of an elastic table shows whatever `$select` names (output of Microsoft's sample)."""


def make_elastic(table: Table, collation: str = "exact") -> Table:
    """Return an elastic table with the columns of another one."""
    kept = _without(table, _STATES)
    added = [
        replace(column, metadata_id=metadata_id(table.logical_name, column.logical_name)) for column in _ELASTIC_COLUMNS
    ]
    columns = {**{c.logical_name: c for c in added}, **{c.logical_name: c for c in kept}}
    return replace(
        table,
        columns=_keys_first(table, _collated(columns.values(), collation)),
        collation=collation,
        table_type="Elastic",
        data_provider_id=ELASTIC_PROVIDER,
        ownership="UserOwned",
        alternate_keys={ELASTIC_KEY: (table.primary_id, PARTITION)},
        messages=tuple(dict.fromkeys((*table.messages, "DeleteMultiple"))),
    )


def make_virtual(table: Table, shown: frozenset[str] = frozenset(), collation: str = "exact") -> Table:
    """Return a virtual table with the columns of another one; of the system's own columns only `shown` are visible."""
    kept = [
        replace(column, hidden=column.logical_name in SYSTEM_NAMES and column.logical_name not in shown)
        for column in _without(table, _STATES | {column.logical_name for column in _OWNERS})
    ]
    return replace(
        table,
        columns=_keys_first(table, _collated(kept, collation)),
        collation=collation,
        table_type="Virtual",
        data_provider_id=VIRTUAL_PROVIDER,
        ownership="OrganizationOwned",
        change_tracking=False,
        messages=("Create", "Update", "Delete"),
    )


def make_like(table: Table, other: Table) -> Table:
    """Return a table in the kind of another one."""
    if other.elastic:
        return make_elastic(table, other.collation)
    shown = frozenset(column.logical_name for column in other.visible)
    return make_virtual(table, shown, other.collation) if other.virtual else table


def partition_column(table: str, lookup: Column, parent: Table) -> Column:
    """Return the column that comes with a lookup to an elastic table: it holds the partition of the row."""
    name = f"{lookup.logical_name}pid"
    return Column(
        name,
        schema_name=f"{lookup.schema_name or lookup.logical_name}PId",
        display_name=name,
        max_length=_PARTITION_LENGTH,
        custom=lookup.custom,
        attribute_of=lookup.logical_name,
        in_web_api=parent.serves_partitions,
        metadata_id=metadata_id(table, name),
    )


def _without(table: Table, names: frozenset[str]) -> list[Column]:
    return [column for column in table.columns.values() if column.logical_name not in names]


def _collated(columns: Iterable[Column], collation: str) -> list[Column]:
    return [replace(c, collation=collation) if c.type in TEXT_TYPES else c for c in columns]


def _keys_first(table: Table, columns: Iterable[Column]) -> dict[str, Column]:
    """Return columns by name, the key first: loading relies on its place."""
    return {c.logical_name: c for c in sorted(columns, key=lambda column: column.logical_name != table.primary_id)}
