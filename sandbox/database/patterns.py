"""SQL that matches texts against patterns with wildcards (docs/reference/dataverse.md 6.2)."""

from collections.abc import Callable

from sandbox.database import ddl
from sandbox.database.collation import bounds
from sandbox.database.values import Stored
from sandbox.schema.column_types import Column
from sandbox.schema.model import Table

type Bind = Callable[[Stored], str]
"""Takes a parameter and returns its mark; parameters must be taken in their order in the SQL."""


def like(key: str, name: str, pattern: str, order: str, bind: Bind) -> str:
    """Return a match of every row; the text before the first wildcard bounds the index range that is searched."""
    low, high = bounds(order, pattern)
    return f"({key} >= {bind(low)} AND {key} < {bind(high)} AND {order}_like({bind(pattern)}, {name}))"


def values_like(table: Table, column: Column, pattern: str, order: str, bind: Bind) -> str:
    """Return a SELECT of the sort keys that match, for a column with few different values in a large table.

    It skips along the column's index from one value to the next, so that its cost does not grow with the rows.
    """
    source, name = ddl.rows_from(table), ddl.quoted(column.logical_name)
    key, (low, high) = ddl.sort_expression(column, order), bounds(order, pattern)
    first = f"SELECT min({key}) FROM {source} WHERE {key} >= {bind(low)} AND {key} < {bind(high)}"  # noqa: S608
    following = f"SELECT min({key}) FROM {source} WHERE {key} > v.k AND {key} < {bind(high)}"  # noqa: S608
    text = f"SELECT {name} FROM {source} WHERE {key} = v.k LIMIT 1"  # noqa: S608
    return (
        f"WITH RECURSIVE v(k) AS ({first} UNION ALL SELECT ({following}) FROM v WHERE v.k IS NOT NULL) "  # noqa: S608
        f"SELECT k FROM v WHERE k IS NOT NULL AND {order}_like({bind(pattern)}, ({text}))"
    )
