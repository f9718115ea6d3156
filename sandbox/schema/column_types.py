"""Columns and what they hold, as values."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ColumnType(StrEnum):
    """What a column holds. The values are Dataverse's AttributeTypeCode names, except DATE (a DateOnly DateTime)."""

    STRING = "String"
    MEMO = "Memo"
    INTEGER = "Integer"
    BIGINT = "BigInt"
    DECIMAL = "Decimal"
    DOUBLE = "Double"
    MONEY = "Money"
    BOOLEAN = "Boolean"
    DATETIME = "DateTime"
    DATE = "Date"
    GUID = "Uniqueidentifier"
    LOOKUP = "Lookup"
    PICKLIST = "Picklist"
    STATE = "State"
    STATUS = "Status"
    MANAGED = "ManagedProperty"


TEXT_TYPES: Final = frozenset({ColumnType.STRING, ColumnType.MEMO})
WHOLE_TYPES: Final = frozenset(
    {ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.PICKLIST, ColumnType.STATE, ColumnType.STATUS}
)
FRACTION_TYPES: Final = frozenset({ColumnType.DECIMAL, ColumnType.DOUBLE, ColumnType.MONEY})
TIME_TYPES: Final = frozenset({ColumnType.DATETIME, ColumnType.DATE})
GUID_TYPES: Final = frozenset({ColumnType.GUID, ColumnType.LOOKUP})
FLAG_TYPES: Final = frozenset({ColumnType.BOOLEAN, ColumnType.MANAGED})


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a picklist."""

    value: int
    label: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `logical_name` is lower case; `targets` are the tables that a lookup may point at."""

    logical_name: str
    type: ColumnType = ColumnType.STRING
    schema_name: str = ""
    display_name: str = ""
    max_length: int = 850
    targets: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    indexed: bool = False
    keyed: bool = False
    """Whether the sort key of a text is stored, for indexes over several columns; `indexed` texts always have one."""
    repeats: bool = False
    """Whether an indexed text has few different values, such as names: a pattern is then looked up among them."""
    read_only: bool = False
    custom: bool = False
    joined: tuple[str, ...] = ()
    """Columns of which this one is made, with blanks between (`fullname`); it is read-only."""
    required: str = "None"
    description: str = ""
    metadata_id: str = ""
    collation: str = ""
    """How texts compare where it is not as the database does: `exact` or `fold` (case does not count)."""
    attribute_of: str = ""
    """The lookup whose partition this column holds."""
    hidden: bool = False
    """Whether the column is kept but not part of the table: virtual tables have neither versions nor authors."""
    in_web_api: bool = True
    """Whether rows of the Web API have it (IsValidODataAttribute). Metadata name it in any case."""
    secured: bool = False
    """Whether column security is on: a user needs permissions of a column security profile (docs/reference/dataverse.md 11)."""

    @property
    def property_name(self) -> str:
        """The name in JSON and queries: `_x_value` for a lookup (docs/reference/dataverse.md 7)."""
        return f"_{self.logical_name}_value" if self.type is ColumnType.LOOKUP else self.logical_name
