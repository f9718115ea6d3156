"""The vendor's own task, which fills the same lookup column under its own account (customer-insights.md 1)."""

from itertools import batched
from typing import Final

from sandbox import unification_sql as sql
from sandbox.collation import guid_key
from sandbox.database import Database, Stamp, bulk_update, scan
from sandbox.dataset import PROFILES
from sandbox.identity import VENDOR
from sandbox.schema.model import Cascade, Column, ColumnType, OneToMany, metadata_id

_BATCH: Final = 10_000


def fill_links(database: Database) -> dict[str, int]:
    """Create the column where it is missing and link every row whose lookup differs; returns rows by table."""
    return {table: _fill(database, table) for table in sql.mapped_tables(database)}


def _fill(database: Database, table_name: str) -> int:
    _ensure_column(database, table_name)
    key = database.schema.tables[table_name].primary_id
    present = {str(row[0]): row[1] for row in scan(database, table_name, [key, sql.LOOKUP])}
    wanted = (
        {key: link.key, sql.LOOKUP: link.profile_id}
        for link in sql.expected_links(database, table_name)
        if link.profile_id is not None and link.key in present and present[link.key] != link.profile_id
    )
    stamp = Stamp(database.clock(), guid_key(VENDOR.systemuser_id))
    batches = list(batched(wanted, _BATCH, strict=False))  # read to the end before the first write
    return sum(bulk_update(database, table_name, rows, stamp) for rows in batches)


def _ensure_column(database: Database, table_name: str) -> None:
    table = database.schema.tables[table_name]
    if sql.LOOKUP in table.columns:
        return
    relationship = f"msdynci_{PROFILES}_{table_name}_{sql.LOOKUP}"
    column = Column(
        sql.LOOKUP,
        ColumnType.LOOKUP,
        sql.LOOKUP,
        "Customer Profile",
        targets=(PROFILES,),
        custom=True,
        metadata_id=metadata_id(table_name, sql.LOOKUP),
    )
    with database.transaction():
        database.add_columns(table, [column])
        database.add_relationship(
            OneToMany(
                schema_name=relationship,
                referenced_entity=PROFILES,
                referenced_attribute=f"{PROFILES}id",
                referencing_entity=table_name,
                referencing_attribute=sql.LOOKUP,
                lookup_navigation=sql.LOOKUP,
                collection_navigation=relationship,
                cascade=Cascade(delete="RemoveLink"),
                custom=True,
                metadata_id=metadata_id("relationship", relationship),
            )
        )
