"""ExecuteCosmosSqlQuery: a query in the SQL of Cosmos DB over one elastic table, as far as probes need it.

Answered is `select [top n] c.props.a, c.props.b [as x] | * from c [where c.props.a = @p [and ...]]`, the form of the
example on Microsoft's page of the function; anything else gets 501.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from sandbox.database.select import Query, select_page
from sandbox.query.syntax import Compare, Condition, Junction, Kind, Literal, Path
from sandbox.schema.column_types import GUID_TYPES, TEXT_TYPES, Column
from sandbox.schema.model import Table
from sandbox.webapi.operations.elastic_tables import DEFAULT_PAGE, PROVIDER_ERROR
from sandbox.webapi.operations.reading import count_read, partition_links
from sandbox.webapi.protocol.annotations import JsonRow
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import PRIVILEGE_DENIED, QUERY_ERROR, ApiError, not_supported
from sandbox.webapi.protocol.messages import ApiResponse, json_answer
from sandbox.webapi.protocol.rendering import render
from sandbox.webapi.protocol.shapes import Shape
from sandbox.webapi.protocol.urls import Segment, argument, unquoted

_QUERY: Final = re.compile(
    r"\s*select\s+(?:top\s+(\d+)\s+)?(\*|c\.props\..+?)\s+from\s+c(?:\s+where\s+(.+?))?\s*", re.IGNORECASE | re.DOTALL
)
_COLUMN: Final = re.compile(r"\s*c\.props\.(\w+)(?:\s+as\s+(\w+))?\s*", re.IGNORECASE)
_TEST: Final = re.compile(r"\s*c\.props\.(\w+)\s*=\s*(@\w+|'(?:[^']|'')*'|-?\d+)\s*", re.IGNORECASE)
_AND: Final = re.compile(r"\s+and\s+", re.IGNORECASE)
_MISSING: Final = "ExecuteCosmosSqlQuery with other queries than an equality on columns of one table"


async def execute_cosmos_sql_query(call: Call, segment: Segment) -> ApiResponse:
    """Answer the function. Raises the 400 answer for another kind of table, the 501 answer for other queries."""
    table = call.schema.tables.get(argument(segment, "EntityLogicalName", call.request.aliases))
    if table is None:
        raise ApiError(400, "0x80041102", "The entity was not found in the MetadataCache.")
    call.require("Read", table)
    _check_caller(call)
    if not table.elastic:
        raise ApiError(400, PROVIDER_ERROR, f"ExecuteCosmosSqlQuery is not supported for '{table.logical_name}'.")
    match = _QUERY.fullmatch(argument(segment, "QueryText", call.request.aliases))
    if match is None:
        raise not_supported(_MISSING)
    rows, more = _rows(call, call.seen(table), segment, match)
    await count_read(call, table, len(rows))
    context = {"@odata.context": f"{call.api_url}/$metadata#expando/$entity"}
    kind = {"@odata.type": "#Microsoft.Dynamics.CRM.expando"}
    cookie = str(_start(call, segment) + len(rows)) if more else ""
    return json_answer(
        context | kind | {"PagingCookie": cookie, "HasMore": more, "Result": orjson.dumps(rows).decode()}
    )


def _check_caller(call: Call) -> None:
    """Raise the 403 answer if a switch reserves the function for administrators."""
    if call.environment.config.cosmos_sql == "administrators" and not call.is_administrator:
        raise ApiError(403, PRIVILEGE_DENIED, "The caller does not have the privilege to run ExecuteCosmosSqlQuery.")


def _rows(call: Call, table: Table, segment: Segment, match: re.Match[str]) -> tuple[list[JsonRow], bool]:
    """Return the documents of a page, and whether more follow."""
    names = _selected(table, match[2])
    columns = tuple(table.columns[name] for name in names if name != table.primary_id)
    size, start = int(_optional(call, segment, "PageSize") or DEFAULT_PAGE), _start(call, segment)
    top = int(match[1]) if match[1] else None
    limit = start + size if top is None else min(start + size, top)
    partition = _optional(call, segment, "PartitionId")
    query = Query(
        table,
        columns,
        _condition(table, match[3], _parameters(call, segment)),
        limit=limit + 1,
        links=partition_links(call, table, partition) if partition else (),
    )
    found = select_page(call.environment.database, call.schema, query, call.dialect).rows
    shown = render(call, Shape(table, columns), found[start:limit])
    properties = {name: table.columns[name].property_name for name in names}
    documents = [{shown_as: row[properties[name]] for name, shown_as in names.items()} for row in shown]
    return documents, len(found) > limit and limit != top


def _selected(table: Table, text: str) -> Mapping[str, str]:
    """Return the wanted columns by the names under which they are shown."""
    if text == "*":
        return {column.logical_name: column.logical_name for column in table.visible}
    matches = [_COLUMN.fullmatch(part) for part in text.split(",")]
    if not all(matches):
        raise not_supported(_MISSING)
    return {_column(table, match[1]).logical_name: match[2] or match[1] for match in matches if match}


def _column(table: Table, name: str) -> Column:
    column = table.columns.get(name)
    if column is None or column.hidden:
        raise not_supported(f"{_MISSING}: '{name}' is not one")
    return column


def _condition(table: Table, text: str | None, parameters: Mapping[str, object]) -> Condition | None:
    if not text:
        return None
    tests = [_TEST.fullmatch(part) for part in _AND.split(text)]
    if not all(tests):
        raise not_supported(_MISSING)
    parts = tuple(_comparison(_column(table, test[1]), test[2], parameters) for test in tests if test)
    return Junction("and", parts)


def _comparison(column: Column, text: str, parameters: Mapping[str, object]) -> Condition:
    value: object = text[1:-1].replace("''", "'") if text.startswith("'") else text
    if text.startswith("@"):
        if text not in parameters:
            raise ApiError(400, QUERY_ERROR, f"The parameter '{text}' has no value.")
        value = parameters[text]
    path = Path((column.property_name,))
    if column.type in TEXT_TYPES:
        return Compare("eq", path, Literal(str(value), Kind.TEXT))
    if column.type in GUID_TYPES:
        return Compare("eq", path, Literal(str(value), Kind.GUID))
    return Compare("eq", path, Literal(_number(value), Kind.NUMBER))


def _number(value: object) -> float:
    try:
        return int(str(value))
    except ValueError:
        raise not_supported(_MISSING) from None


def _parameters(call: Call, segment: Segment) -> Mapping[str, object]:
    """Return the values of a ParameterCollection: keys, and values with their types. Raises the 400 answer."""
    text = _optional(call, segment, "QueryParameters")
    if text is None:
        return {}
    try:
        document: Any = orjson.loads(text)
        return {key: value["Value"] for key, value in zip(document["Keys"], document["Values"], strict=True)}
    except (ValueError, KeyError, TypeError):
        raise ApiError(400, QUERY_ERROR, "QueryParameters is not a ParameterCollection.") from None


def _optional(call: Call, segment: Segment, name: str) -> str | None:
    """Return a parameter that may be left out, null or an alias without a value."""
    given = segment.named_arguments.get(name, "null")
    value = call.request.aliases.get(given, given)
    return None if value in {"null", ""} or value.startswith("@") else unquoted(value)


def _start(call: Call, segment: Segment) -> int:
    cookie = _optional(call, segment, "PagingCookie") or "0"
    if not cookie.isdecimal():
        raise ApiError(400, QUERY_ERROR, "The paging cookie is not valid.")
    return int(cookie)
