"""Fits the literals of a filter to the columns that they are compared with."""

from sandbox.database.values import ColumnValueError, Stored, stored
from sandbox.query.syntax import Kind, Literal, QueryError
from sandbox.schema.column_types import FLAG_TYPES, GUID_TYPES, TIME_TYPES, WHOLE_TYPES, Column, ColumnType


def incompatible(column: Column, literal: Literal) -> QueryError:
    """Return the refusal of a literal that does not fit its column."""
    return QueryError(
        f"A binary operator with incompatible types was detected: '{column.property_name}' "
        f"of type '{column.type}' and the literal '{literal.value}'."
    )


def comparable(operator: str, column: Column, literal: Literal) -> tuple[str, Stored]:
    """Return operator and value that SQL compares, for a column that is not a text. Raises QueryError if they do not fit."""
    quoted = literal.kind is Kind.TEXT and column.type not in GUID_TYPES
    if quoted or (literal.kind is Kind.FLAG) != (column.type in FLAG_TYPES):
        raise incompatible(column, literal)
    if column.type is ColumnType.DATETIME and "." in str(literal.value):
        operator = {"ge": "gt", "lt": "le"}.get(operator, operator)  # stored times have whole seconds
    try:
        value = literal.value if column.type not in TIME_TYPES else str(literal.value)
        return operator, stored(column, value)
    except ColumnValueError:
        if isinstance(literal.value, int | float) and column.type in WHOLE_TYPES:
            return operator, float(literal.value)  # a whole column compares with any number
        raise incompatible(column, literal) from None
