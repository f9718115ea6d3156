"""How a table is defined: its own columns, those of every table, and the names that are not given."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from sandbox.schema.column_types import Column, ColumnType
from sandbox.schema.model import Index, Table, metadata_id

SYSTEM_COLUMNS: Final = (
    Column("createdon", ColumnType.DATETIME, "CreatedOn", "Created On", read_only=True),
    Column("modifiedon", ColumnType.DATETIME, "ModifiedOn", "Modified On", read_only=True),
    Column("createdby", ColumnType.LOOKUP, "CreatedBy", "Created By", targets=("systemuser",), read_only=True),
    Column("modifiedby", ColumnType.LOOKUP, "ModifiedBy", "Modified By", targets=("systemuser",), read_only=True),
    Column(
        "modifiedonbehalfby",
        ColumnType.LOOKUP,
        "ModifiedOnBehalfBy",
        "Modified By (Delegate)",
        targets=("systemuser",),
        read_only=True,
    ),
    Column("versionnumber", ColumnType.BIGINT, "VersionNumber", "Version Number", read_only=True),
)
"""Columns of every table; the sandbox fills them on each write."""

SYSTEM_NAMES: Final = tuple(column.logical_name for column in SYSTEM_COLUMNS)


def define_table(  # noqa: PLR0913  # one argument for each name that a table may choose
    logical_name: str,
    columns: Iterable[Column],
    *,
    entity_set: str | None = None,
    primary_id: str | None = None,
    primary_name: str | None = None,
    schema_name: str | None = None,
    display_name: str = "",
    indexes: tuple[Index, ...] = (),
    **details: object,
) -> Table:
    """Return a table with its own columns, the key and the system columns.

    Names that are not given follow Dataverse's habit for a custom table: `new_member` has the set `new_memberset`,
    the key `new_memberid` and the name column `new_name`; names of given columns may be schema names left empty.
    """
    key = primary_id or f"{logical_name}id"
    prefix = logical_name.partition("_")[0]
    name = primary_name or (f"{prefix}_name" if "_" in logical_name else "name")
    wanted = {column.logical_name: column for column in columns}
    wanted.setdefault(name, Column(name, display_name="Name"))
    everything = (Column(key, ColumnType.GUID, required="SystemRequired"), *wanted.values(), *SYSTEM_COLUMNS)
    table = Table(
        logical_name=logical_name,
        schema_name=schema_name or logical_name,
        entity_set=entity_set or f"{logical_name}set",
        primary_id=key,
        primary_name=name,
        columns={c.logical_name: _completed(logical_name, c) for c in everything},
        display_name=display_name or schema_name or logical_name,
        display_collection_name=display_name or schema_name or logical_name,
        indexes=indexes,
        metadata_id=metadata_id(logical_name),
    )
    return replace(table, **details)  # type: ignore[arg-type]  # names are checked by replace itself


def plural(name: str) -> str:
    """Return the entity set that Dataverse makes of a logical name, by the common English rules."""
    if name.endswith("y") and name[-2:-1] not in {*"aeiou"}:
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(("s", "x", "z", "ch", "sh")) else f"{name}s"


def _completed(table: str, column: Column) -> Column:
    return replace(
        column,
        schema_name=column.schema_name or column.logical_name,
        display_name=column.display_name or column.schema_name or column.logical_name,
        metadata_id=column.metadata_id or metadata_id(table, column.logical_name),
    )
