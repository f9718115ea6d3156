"""Tables, columns and relationships of the simulated Dataverse, as immutable values."""

from sandbox.schema.model import (
    Cascade,
    Column,
    ColumnType,
    ManyToMany,
    OneToMany,
    Option,
    Schema,
    Table,
    define_table,
    metadata_id,
)

__all__ = [
    "Cascade",
    "Column",
    "ColumnType",
    "ManyToMany",
    "OneToMany",
    "Option",
    "Schema",
    "Table",
    "define_table",
    "metadata_id",
]
