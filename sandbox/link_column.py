"""The lookup column Customer Profile, as the vendor's own task makes it on a source table."""

from typing import Final

from sandbox.database import Database
from sandbox.schema.model import Cascade, Column, ColumnType, OneToMany, metadata_id

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
        database.add_relationship(
            OneToMany(
                schema_name=relationship,
                referenced_entity=profiles,
                referenced_attribute=f"{profiles}id",
                referencing_entity=table_name,
                referencing_attribute=LOOKUP,
                lookup_navigation=LOOKUP,
                collection_navigation=relationship,
                cascade=Cascade(delete="RemoveLink"),
                custom=True,
                metadata_id=metadata_id("relationship", relationship),
            )
        )
