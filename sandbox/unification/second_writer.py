"""The vendor's own task, which fills the same lookup column under its own account (customer-insights.md 1)."""

from itertools import batched
from typing import Final

from sandbox import unification_sql as sql
from sandbox.collation import guid_key
from sandbox.database import Database, Stamp, bulk_update, scan
from sandbox.dataset import PROFILES
from sandbox.identity import VENDOR
from sandbox.link_column import LOOKUP, ensure_link_column

_BATCH: Final = 10_000


def fill_links(database: Database) -> dict[str, int]:
    """Create the column where it is missing and link every row whose lookup differs; returns rows by table."""
    return {table: _fill(database, table) for table in sql.mapped_tables(database)}


def _fill(database: Database, table_name: str) -> int:
    ensure_link_column(database, table_name, PROFILES)
    key = database.schema.tables[table_name].primary_id
    present = {str(row[0]): row[1] for row in scan(database, table_name, [key, LOOKUP])}
    wanted = (
        {key: link.key, LOOKUP: link.profile_id}
        for link in sql.expected_links(database, table_name)
        if link.profile_id is not None and link.key in present and present[link.key] != link.profile_id
    )
    stamp = Stamp(database.clock(), guid_key(VENDOR.systemuser_id))
    batches = list(batched(wanted, _BATCH, strict=False))  # read to the end before the first write
    return sum(bulk_update(database, table_name, rows, stamp) for rows in batches)
