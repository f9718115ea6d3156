"""The lookup column Customer Profile, as the vendor's own task makes it on a source table."""

from typing import Final

from sandbox.database import Database
from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.kinds import partition_column
from sandbox.schema.model import OneToMany, metadata_id

LOOKUP: Final = "msdynci_lookupfield_customerprofile"


def ensure_link_column(database: Database, table_name: str, profiles: str) -> None:
    """Create the column on a table that lacks it, with its relationship to the table of profiles."""
    table = database.schema.tables[table_name]
    if LOOKUP in table.columns:
        return
    relationship = f"msdynci_{profiles}_{table_name}_{LOOKUP}"
    parent = database.schema.tables[profiles]
    column = Column(
        LOOKUP,
        ColumnType.LOOKUP,
        LOOKUP,
        "Customer Profile",
        targets=(profiles,),
        custom=True,
        metadata_id=metadata_id(table_name, LOOKUP),
    )
    delete = "RemoveLink" if parent.standard else "NoCascade"
    with database.transaction():
        database.add_columns(
            table, [column, *([partition_column(table_name, column, parent)] if parent.elastic else [])]
        )
        database.add_relationship(
            OneToMany.named(table_name, LOOKUP, profiles, LOOKUP, relationship, delete=delete, custom=True)
        )
