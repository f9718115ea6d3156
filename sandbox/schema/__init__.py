"""Tables, columns and relationships of the simulated Dataverse, as immutable values."""

from sandbox.schema.column_types import Column, ColumnType, Option
from sandbox.schema.definition import define_table
from sandbox.schema.model import Cascade, ManyToMany, OneToMany, Schema, Table, metadata_id

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
