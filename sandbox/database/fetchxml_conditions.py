"""Turns the filters of FetchXML into the conditions that `$filter` has as well."""

from collections.abc import Mapping
from typing import Final

from sandbox.database.collation import escaped
from sandbox.query.fetchxml_filter import ColumnTest, Filter
from sandbox.query.syntax import (
    Compare,
    Condition,
    CrmFunction,
    Junction,
    Kind,
    Literal,
    Not,
    Path,
    QueryError,
    TextMatch,
)
from sandbox.schema.column_types import FLAG_TYPES, FRACTION_TYPES, GUID_TYPES, TIME_TYPES, WHOLE_TYPES, Column
from sandbox.schema.model import Table

_COMPARED: Final = {"eq": "eq", "ne": "ne", "neq": "ne", "gt": "gt", "ge": "ge", "lt": "lt", "le": "le"}
_PATTERNS: Final = {"like": "{}", "begins-with": "{}%", "ends-with": "%{}"}
_NEGATED: Final = {"not-like": "like", "not-begin-with": "begins-with", "not-end-with": "ends-with"}
_FUNCTIONS: Final = {
    "in": "In",
    "not-in": "NotIn",
    "between": "Between",
    "not-between": "NotBetween",
    "eq-userid": "EqualUserId",
    "ne-userid": "NotEqualUserId",
}
_FLAGS: Final[Mapping[str, bool]] = {"1": True, "true": True, "0": False, "false": False}


def condition_of(table: Table, asked: Filter) -> Condition:
    """Return the condition of a filter over a table. Raises QueryError for unknown columns and values of wrong types."""
    parts = (condition_of(table, part) if isinstance(part, Filter) else _test(table, part) for part in asked.parts)
    return Junction(asked.word, tuple(parts))


def _test(table: Table, test: ColumnTest) -> Condition:
    column = table.columns.get(test.attribute)
    if column is None or column.hidden:
        raise QueryError(f"'{table.logical_name}' entity doesn't contain attribute with Name = '{test.attribute}'.")
    path, operator = Path((column.property_name,)), test.operator
    if operator in {"null", "not-null"}:
        return Compare("eq" if operator == "null" else "ne", path, Literal(None, Kind.NULL))
    if operator in _NEGATED:
        return Not(TextMatch("like", path, _PATTERNS[_NEGATED[operator]].format(test.values[0])))
    if operator in _PATTERNS:
        return TextMatch("like", path, _PATTERNS[operator].format(test.values[0]))
    if operator in _FUNCTIONS:
        return CrmFunction(_FUNCTIONS[operator], path, test.values)
    return Compare(_COMPARED[operator], path, _literal(column, test.values[0]))


def _literal(column: Column, text: str) -> Literal:
    """Return the value of a condition, which FetchXML writes as a text whatever the column is."""
    try:
        if column.type in WHOLE_TYPES:
            return Literal(int(text), Kind.NUMBER)
        if column.type in FRACTION_TYPES:
            return Literal(float(text), Kind.NUMBER)
        if column.type in FLAG_TYPES:
            return Literal(_FLAGS[text.lower()], Kind.FLAG)
    except (ValueError, KeyError):
        raise QueryError(f"'{text}' is not a value of the attribute '{column.logical_name}'.") from None
    if column.type in GUID_TYPES:
        return Literal(text, Kind.GUID)
    if column.type in TIME_TYPES:
        return Literal(text, Kind.TIME)
    # Wildcards are letters to every operator but like; only SQL reads them as wildcards anywhere.
    return Literal(text if column.collation else escaped(text), Kind.TEXT)
