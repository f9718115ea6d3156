"""GET of rows by FetchXML, given in the URL or stored as a view: nulls are left out, joined columns have an alias."""

from collections.abc import Iterator, Sequence
from typing import Final

from sandbox.database.collation import guid_key
from sandbox.database.fetchxml_queries import Part, Row, parts_of, select_fetch
from sandbox.query.fetchxml import Fetch, parse_fetch
from sandbox.schema.model import Table
from sandbox.webapi.operations.elastic_tables import check_orders
from sandbox.webapi.operations.reading import annotations_of_rows, applied_preferences, count_read, largest_page
from sandbox.webapi.protocol.annotations import JsonRow
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.cookies import fetch_cookie
from sandbox.webapi.protocol.errors import ApiError, row_missing
from sandbox.webapi.protocol.messages import ApiResponse, json_answer
from sandbox.webapi.protocol.references import guid_in
from sandbox.webapi.protocol.rendering import render
from sandbox.webapi.protocol.shapes import Shape

_COOKIE: Final = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie"
_MORE: Final = "Microsoft.Dynamics.CRM.morerecords"
_OPTIONS: Final = ("fetchXml", "savedQuery")


def asks_for_fetch(call: Call) -> bool:
    """Return whether the rows are asked for by FetchXML."""
    return any(option in call.request.options for option in _OPTIONS)


async def fetch_rows(call: Call, table: Table) -> ApiResponse:
    """Answer `GET set?fetchXml=...` or `GET set?savedQuery=id`. Raises the 400, 403 or 404 answer."""
    unknown = [name for name in call.request.options if name.startswith("$")]
    if unknown:
        raise ApiError(400, "0x80060888", f"The query parameter {unknown[0]} is not supported with FetchXML.")
    fetch = parse_fetch(_text(call, table))
    if fetch.table != table.logical_name:
        raise ApiError(400, "0x80041102", f"The query is about '{fetch.table}', not about '{table.logical_name}'.")
    schema = call.schema.with_table(table)  # with the rows that the caller sees
    parts = parts_of(schema, fetch, call.dialect)
    call.require("Read", *(part.table for part in parts))
    check_orders(call, table, [table.columns.get(order.attribute) for order in fetch.orders])
    most = largest_page(call, table, asked=fetch.size is not None)
    limit = min(most if fetch.size is None else fetch.size, most)
    offset = (fetch.page - 1) * limit
    found = select_fetch(call.environment.database, schema, fetch, call.dialect, limit + 1, offset)
    rows = [_merged(pieces) for pieces in zip(*_shown(call, parts, [part[:limit] for part in found]), strict=True)]
    await count_read(call, table, len(rows))
    more = fetch.top is None and len(found[0]) > limit
    return json_answer(_document(call, fetch, parts[0], rows, more=more), headers=applied_preferences(call, table))


def _document(call: Call, fetch: Fetch, part: Part, rows: list[JsonRow], *, more: bool) -> JsonRow:
    names = ",".join(column.property_name for column in part.columns)
    document: JsonRow = {
        "@odata.context": f"{call.api_url}/$metadata#{part.table.entity_set}({names},{part.table.primary_id})"
    }
    document |= annotations_of_rows(call)
    if more and call.request.wants(_COOKIE):
        document[f"@{_COOKIE}"] = _cookie(fetch, part, rows)
    if call.request.wants(_MORE):
        document[f"@{_MORE}"] = more
    return document | {"value": rows}


def _cookie(fetch: Fetch, part: Part, rows: Sequence[JsonRow]) -> str:
    """Return a paging cookie as Dataverse has it, with the keys of the first and the last row."""
    keys = [guid_key(str(row[part.table.primary_id])) for row in (rows[-1], rows[0])]
    return fetch_cookie([part.table.primary_id], fetch.page + 1, keys[:1], keys[1:])


def _text(call: Call, table: Table) -> str:
    if "fetchXml" in call.request.options:
        return call.request.options["fetchXml"]
    view = call.schema.tables["savedquery"]
    call.require("Read", view)
    wanted = call.request.options["savedQuery"]
    found = call.environment.database.rows_of(view, ("returnedtypecode", "fetchxml"), [guid_in(wanted)])
    if not found:
        raise row_missing(view.logical_name, wanted)
    ((of, text),) = found.values()
    if of != table.logical_name:
        raise ApiError(400, "0x80060888", f"The view is not one of '{table.logical_name}'.")
    return text if isinstance(text, str) else ""


def _shown(call: Call, parts: Sequence[Part], rows: Sequence[Sequence[Row]]) -> Iterator[list[JsonRow]]:
    for part, own in zip(parts, rows, strict=True):
        shown = render(call, Shape(part.table, part.columns), own)
        yield [_renamed(part, row) for row in shown] if part.alias else shown


def _renamed(part: Part, row: JsonRow) -> JsonRow:
    """Return the columns of a joined table under their alias; lookups keep the column's name."""
    names = {column.property_name: f"{part.alias}.{column.logical_name}" for column in part.columns}
    pairs = ((name.partition("@"), value) for name, value in row.items())
    return {f"{names[name]}{at}{rest}": value for (name, at, rest), value in pairs if name in names}


def _merged(pieces: Sequence[JsonRow]) -> JsonRow:
    return {name: value for piece in pieces for name, value in piece.items() if value is not None}
