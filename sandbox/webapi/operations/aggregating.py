"""`$apply`: counting all rows of a query, or those of each group (docs/reference/dataverse.md 5.3)."""

import re
from typing import Final
from urllib.parse import quote

from sandbox.database.select import Query, count_groups, count_matching
from sandbox.database.values import shown
from sandbox.query.parser import parse_filter
from sandbox.query.syntax import UnknownPropertyError
from sandbox.schema.column_types import Column
from sandbox.schema.model import Table
from sandbox.webapi.operations.elastic_tables import DEFAULT_PAGE
from sandbox.webapi.operations.reading import count_read
from sandbox.webapi.protocol.annotations import JsonRow
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import AGGREGATE_LIMIT, QUERY_ERROR, ApiError, not_supported
from sandbox.webapi.protocol.messages import ApiResponse, json_answer

_COUNT: Final = r"aggregate\(\s*\$count\s+as\s+(\w+)\s*\)"
_APPLY: Final = re.compile(rf"\s*(?:filter\((.*)\)\s*/\s*)?{_COUNT}\s*", re.DOTALL)
_GROUPS: Final = re.compile(
    rf"\s*(?:filter\((.*)\)\s*/\s*)?groupby\(\s*\(([\w,\s]+)\)\s*(?:,\s*{_COUNT})?\s*\)\s*", re.DOTALL
)
AGGREGATE_ROWS: Final = 50_000
_PAGE: Final = "$skiptoken"


async def aggregate(call: Call, table: Table) -> ApiResponse:
    """Answer `$apply=aggregate($count as n)` or `groupby((a,b),aggregate($count as n))`, also after a filter.

    A standard table is counted up to 50,000 rows. Raises the 400, 403 or 501 answer.
    """
    call.require("Read", table)
    text = call.request.options["$apply"]
    total, groups = _APPLY.fullmatch(text), _GROUPS.fullmatch(text)
    if (total is None and groups is None) or set(call.request.options) - {"$apply", _PAGE}:
        raise not_supported("$apply with other transformations than filter, aggregate($count as name) and groupby")
    query = _query(call, table, (total or groups)[1])  # type: ignore[index]  # one of them matched
    _check_size(call, query)
    await count_read(call, table, 0)
    context = f"{call.api_url}/$metadata#{table.entity_set}"
    if groups is not None:
        return json_answer({"@odata.context": context} | _grouped(call, query, groups[2], groups[3]))
    count = count_matching(call.environment.database, call.schema, query, call.dialect, -1)
    return json_answer({"@odata.context": context, "value": [{total[1 + 1]: count}]})  # type: ignore[index]


def _query(call: Call, table: Table, condition: str | None) -> Query:
    return Query(table, condition=parse_filter(condition, call.request.aliases) if condition else None)


def _check_size(call: Call, query: Query) -> None:
    """Raise the 400 answer for more rows than SQL Server is let aggregate."""
    if not query.table.standard:
        return
    count = count_matching(call.environment.database, call.schema, query, call.dialect, AGGREGATE_ROWS + 1)
    if count > AGGREGATE_ROWS:
        raise ApiError(400, AGGREGATE_LIMIT, "The maximum record limit is exceeded. Reduce the number of records.")


def _grouped(call: Call, query: Query, names: str, alias: str | None) -> JsonRow:
    """Return the groups of a page; of an elastic table one holds 500, and whether more can be had is a switch."""
    columns = [_column(query.table, name.strip()) for name in names.split(",")]
    rows = call.environment.config.max_page if query.table.standard else DEFAULT_PAGE
    start = _start(call)
    found = count_groups(call.environment.database, call.schema, query, columns, call.dialect, (rows + 1, start))
    groups: list[JsonRow] = []
    for *values, count in found[:rows]:
        group: JsonRow = {c.property_name: shown(c, value) for c, value in zip(columns, values, strict=True)}
        groups.append(group | ({alias: count} if alias else {}))
    if len(found) <= rows or (not query.table.standard and call.environment.config.elastic_groups == "cut"):
        return {"value": groups}
    apply = quote(call.request.options["$apply"], safe="(),/$")
    link = f"{call.api_url}/{call.request.path}?$apply={apply}&{_PAGE}={start + rows}"
    return {"value": groups, "@odata.nextLink": link}


def _column(table: Table, name: str) -> Column:
    column = table.column_of(name)
    if column is None:
        raise UnknownPropertyError(name, table.logical_name)
    return column


def _start(call: Call) -> int:
    token = call.request.options.get(_PAGE, "0")
    if not token.isdecimal():
        raise ApiError(400, QUERY_ERROR, "The paging cookie is malformed or belongs to another query.")
    return int(token)
