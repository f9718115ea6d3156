"""Short ways to write down the columns of the built-in tables."""

from sandbox.schema.column_types import Column, ColumnType, Option

T = ColumnType
"""Short, because the tables name a type on nearly every line."""


def text(name: str, schema_name: str = "", *, length: int = 850, indexed: bool = False) -> Column:
    """Return a text column."""
    return Column(name, T.STRING, schema_name, max_length=length, indexed=indexed)


def texts(*names: str) -> tuple[Column, ...]:
    """Return text columns."""
    return tuple(text(name) for name in names)


def whole(*names: str) -> tuple[Column, ...]:
    """Return whole-number columns."""
    return tuple(Column(name, T.INTEGER) for name in names)


def flags(*names: str) -> tuple[Column, ...]:
    """Return yes/no columns."""
    return tuple(Column(name, T.BOOLEAN) for name in names)


def choice(name: str, *labels: str, kind: ColumnType = T.PICKLIST) -> Column:
    """Return a choice whose values count from 0."""
    return Column(name, kind, options=tuple(Option(value, label) for value, label in enumerate(labels)))


def lookup(name: str, *targets: str, schema_name: str = "") -> Column:
    """Return a lookup column."""
    return Column(name, T.LOOKUP, schema_name, targets=targets)
