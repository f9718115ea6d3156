"""What virtual tables do otherwise: a query returns 1,000 rows at most (Microsoft's page on virtual tables)."""

from dataclasses import replace
from typing import Final

from sandbox.database.select import Page, Query, count_matching, select_page
from sandbox.webapi.operations.elastic_tables import PROVIDER_ERROR
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError

VIRTUAL_ROWS: Final = 1000
"""Most rows that a query of a virtual table returns (Microsoft's page on virtual tables)."""


def virtual_page(call: Call, query: Query) -> Page | None:
    """Return what a query of a virtual table with more than 1,000 rows gets, None if it is a page like any other.

    Raises the 400 answer.
    """
    mode = call.environment.config.virtual_limit
    if mode == "page":
        return None
    count = count_matching(call.environment.database, call.schema, query, call.dialect, VIRTUAL_ROWS + 1)
    if count <= VIRTUAL_ROWS:
        return None
    if mode == "error" and not call.request.options.get("$top"):
        raise ApiError(400, PROVIDER_ERROR, f"The query returns more than {VIRTUAL_ROWS} rows, which is not supported.")
    limited = replace(query, limit=min(query.limit, VIRTUAL_ROWS))
    page = select_page(call.environment.database, call.schema, limited, call.dialect)
    return replace(page, next_after=None)
