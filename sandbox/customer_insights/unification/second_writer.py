"""The vendor's own task, which fills the same lookup column under its own account (docs/reference/customer-insights.md 1)."""

from itertools import batched
from typing import Final

from sandbox.data.lookup_column import LOOKUP, ensure_link_column
from sandbox.database import Stamp, bulk_update, scan
from sandbox.database import unification as sql
from sandbox.database.collation import PARTITIONS, guid_key
from sandbox.identity.accounts import VENDOR
from sandbox.runtime import Environment
from sandbox.schema.insights_tables import PROFILES
from sandbox.schema.model import Table

_BATCH: Final = 10_000


def fill_links(environment: Environment) -> dict[str, int]:
    """Create the column where it is missing and link every row whose lookup differs; returns rows by table.

    A link whose profile or mapping row is gone stays: the task never empties a lookup.
    """
    return {table: _fill(environment, table) for table in sql.mapped_tables(environment.database)}


def _fill(environment: Environment, table_name: str) -> int:
    database = environment.database
    ensure_link_column(database, table_name, PROFILES)
    table = database.schema.tables[table_name]
    present = {str(row[0]): row[1] for row in scan(database, table_name, [table.primary_id, LOOKUP])}
    wanted = (
        {table.primary_id: link.key, LOOKUP: link.profile_id, **_partition(environment, table, link.profile_id)}
        for link in sql.expected_links(database, table_name)
        if link.profile_id is not None and link.key in present and present[link.key] != link.profile_id
    )
    stamp = Stamp(database.clock(), guid_key(VENDOR.systemuser_id))
    batches = list(batched(wanted, _BATCH, strict=False))  # read to the end before the first write
    return sum(bulk_update(database, table_name, rows, stamp) for rows in batches)


def _partition(environment: Environment, table: Table, profile_id: str) -> dict[str, object]:
    """Return the partition that comes with a link, where the lookup has a column for it."""
    column = table.partition_of(LOOKUP)
    if column is None:
        return {}
    config = environment.config
    named = config.second_writer_partition == "own_id"
    return {column.logical_name: PARTITIONS[config.partition_shown](guid_key(profile_id)) if named else None}
