"""The lookup column Customer Profile, as the vendor's own task makes it on a source table."""

from typing import Final

from sandbox.database import Database
from sandbox.schema.model import Column, ColumnType, OneToMany, metadata_id

LOOKUP: Final = "msdynci_lookupfield_customerprofile"


def ensure_link_column(database: Database, table_name: str, profiles: str) -> None:
    """Create the column on a table that lacks it, with its relationship to the table of profiles."""
    table = database.schema.tables[table_name]
    if LOOKUP in table.columns:
        return
    relationship = f"msdynci_{profiles}_{table_name}_{LOOKUP}"
    column = Column(
        LOOKUP,
        ColumnType.LOOKUP,
        LOOKUP,
        "Customer Profile",
        targets=(profiles,),
        custom=True,
        metadata_id=metadata_id(table_name, LOOKUP),
    )
    with database.transaction():
        database.add_columns(table, [column])
        database.add_relationship(OneToMany.emptied(table_name, LOOKUP, profiles, LOOKUP, relationship, custom=True))
