"""GET of rows: collections with paging and counts, single rows, counts alone."""

from collections.abc import Mapping, Sequence
from typing import Final

from sandbox.database.collation import guid_key, guid_text
from sandbox.database.select import COUNT_LIMIT, Page, Query, count_matching, select_page
from sandbox.query.parser import parse_filter, parse_orderby
from sandbox.query.syntax import Condition, Order
from sandbox.runtime import ReadOperation
from sandbox.schema.kinds import PARTITION
from sandbox.schema.model import Table
from sandbox.webapi.operations.change_tracking import PREFERENCE, count_tracked, read_changes, tracks_changes
from sandbox.webapi.operations.elastic_tables import DEFAULT_PAGE, check_orders, count_limit
from sandbox.webapi.operations.virtual_tables import VIRTUAL_ROWS, virtual_page
from sandbox.webapi.protocol.annotations import JsonRow
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.cookies import read_cookie, write_cookie
from sandbox.webapi.protocol.errors import QUERY_ERROR, ApiError, not_supported, row_missing
from sandbox.webapi.protocol.messages import JSON_TYPE, ApiResponse, json_answer
from sandbox.webapi.protocol.partitions import same_partition
from sandbox.webapi.protocol.rendering import render, rows_by_key
from sandbox.webapi.protocol.shapes import Shape, read_shape, read_top

_LIST_OPTIONS: Final = frozenset(
    {"$select", "$filter", "$orderby", "$top", "$count", "$expand", "$skiptoken", "tag", "partitionId"}
)
_UNSUPPORTED: Final = {
    "fetchXml": "FetchXML queries",
    "sql": "SQL queries",
    "$deltatoken": "change tracking of a single row",
    "savedQuery": "saved queries",
    "userQuery": "saved queries",
}
_REFUSED: Final = frozenset({"$skip", "$search", "$format"})
_OF_COLLECTIONS: Final = frozenset({"$filter", "$orderby", "$count", "$skip", "$top"})
_TOTAL: Final = "Microsoft.Dynamics.CRM.totalrecordcount"
_METADATA_VERSION: Final = "Microsoft.Dynamics.CRM.globalmetadataversion"
type Links = tuple[tuple[str, Sequence[bytes]], ...]


async def list_rows(call: Call, table: Table, links: Links = (), context: str | None = None) -> ApiResponse:
    """Answer a GET of a collection; `links` restrict it to the rows of a navigation property."""
    if tracks_changes(call):
        return await _list_changes(call, table, links)
    check_options(call)
    options = call.request.options
    page_rows, paged = _page_size(call, table)
    shape = read_shape(call, table, options, page_rows if "odata.maxpagesize" in call.request.preferences else None)
    number, query = _query(call, shape, page_rows, links)
    page = virtual_page(call, query) if table.virtual else None
    page = page or select_page(call.environment.database, call.schema, query, call.dialect)
    document: JsonRow = {"@odata.context": f"{call.api_url}/$metadata#{context or context_of(shape)}"}
    document |= _counts(call, query, options)
    document["value"] = render(call, shape, page.rows)
    if page.next_after is not None and paged:
        document["@odata.nextLink"] = _next_link(call, query, page, number + 1)
    await count_read(call, table, len(page.rows))
    return json_answer(document, headers=applied_preferences(call, table))


async def _list_changes(call: Call, table: Table, links: Links) -> ApiResponse:
    if links:
        raise not_supported("change tracking of a navigation property")
    answer, rows = read_changes(call, table, _page_size(call, table)[0])
    await count_read(call, table, rows)
    answer.headers.update(applied_preferences(call, table))
    return answer


async def get_row(call: Call, table: Table, key: bytes) -> ApiResponse:
    """Answer a GET of one row; raises the 404 answer.

    `If-None-Match` with its ETag answers 304, unless the answer also shows what the ETag does not cover.
    """
    _check_row_options(call)
    shape = read_shape(call, table, call.request.options, one=True)
    row = single_row(call, shape, key)
    await count_read(call, table, 1)
    covered = not shape.expands and not call.request.annotations
    etag = row.get("@odata.etag")
    if covered and etag is not None and call.request.headers.get("if-none-match") == etag:
        return ApiResponse(304, {"Content-Type": JSON_TYPE})
    context = {"@odata.context": f"{call.api_url}/$metadata#{context_of(shape)}/$entity"}
    return json_answer(context | row, headers=applied_preferences(call, table) | ({"ETag": str(etag)} if etag else {}))


def single_row(call: Call, shape: Shape, key: bytes) -> JsonRow:
    """Return one row in a shape. Raises the 404 answer."""
    found = rows_by_key(call, shape, [key])
    if not found and call.environment.database.rows_of(shape.table, (), [key]):
        raise ApiError(
            403, "0x80040220", f"SecLib::AccessCheckEx failed. ObjectID: {guid_text(key)}, AccessRights: ReadAccess"
        )
    if not found:
        raise row_missing(shape.table.logical_name, guid_text(key))
    return render(call, shape, found)[0]


async def count_rows(call: Call, table: Table, links: Links = ()) -> ApiResponse:
    """Answer `GET set/$count`: digits, at most 5,000 of a standard table (docs/reference/dataverse.md 5.3)."""
    if tracks_changes(call):
        count = count_tracked(call, table)
    else:
        check_options(call)
        call.require("Read", table)
        query = Query(table, condition=_condition(call), links=(*links, *_partition(call, table)))
        count = count_matching(call.environment.database, call.schema, query, call.dialect, count_limit(call, table))
    await count_read(call, table, 0)
    return ApiResponse(200, {"Content-Type": "text/plain"}, str(count).encode())


def check_options(call: Call) -> None:
    """Raise the 501 or 400 answer for query options that are not answered; names are case-sensitive."""
    for name in call.request.options:
        if name in _UNSUPPORTED:
            raise not_supported(_UNSUPPORTED[name])
        if name in _REFUSED or (name.startswith("$") and name not in _LIST_OPTIONS):
            raise ApiError(400, QUERY_ERROR, f"The query parameter {name} is not supported.")
    if call.request.options.get("$count", "true") not in {"true", "false"}:
        raise ApiError(
            400, QUERY_ERROR, f"Invalid value '{call.request.options['$count']}' for $count query option found."
        )


def _check_row_options(call: Call) -> None:
    """Raise the 400 answer for query options that one row does not have."""
    if _OF_COLLECTIONS & call.request.options.keys():
        raise ApiError(
            400,
            QUERY_ERROR,
            "The requested resource is not a collection. Query options $filter, $orderby, $count, $skip, and $top can "
            "be applied only on collections.",
        )
    check_options(call)


def applied_preferences(call: Call, table: Table) -> dict[str, str]:
    """Return the `Preference-Applied` header for what was honoured of a read's `Prefer`."""
    applied = [PREFERENCE] if PREFERENCE in call.request.preferences else []
    if "odata.maxpagesize" in call.request.preferences:
        applied.append(f"odata.maxpagesize={min(_max_page_size(call), largest_page(call, table, asked=True))}")
    if call.request.annotations:
        applied.append(f'odata.include-annotations="{call.request.annotations}"')
    return {"Preference-Applied": ",".join(applied)} if applied else {}


async def count_read(call: Call, table: Table, rows: int) -> None:
    """Count a read and let the hooks know."""
    counters = call.environment.counters.of(table.logical_name)
    counters.reads += 1
    counters.rows_read += rows
    request = call.request
    operation = ReadOperation(table.logical_name, rows, call.user_id, request.headers, request.path)
    await call.environment.hooks.after_read(operation)


def _max_page_size(call: Call) -> int:
    wanted = call.request.preferences["odata.maxpagesize"]
    if not wanted.isdecimal() or int(wanted) == 0:
        raise ApiError(400, "0x0", f"The page size '{wanted}' is not valid.")
    return int(wanted)


def largest_page(call: Call, table: Table, *, asked: bool) -> int:
    """Return how many rows a page can have; whether more than the default can be asked for of elastic rows is open."""
    config = call.environment.config
    if table.standard:
        return config.max_page
    if table.virtual:
        return VIRTUAL_ROWS
    return config.page_max if asked else DEFAULT_PAGE


def _page_size(call: Call, table: Table) -> tuple[int, bool]:
    """Return how many rows to answer and whether more pages may follow; maxpagesize beats $top."""
    options = call.request.options
    largest = largest_page(call, table, asked="odata.maxpagesize" in call.request.preferences or "$top" in options)
    if "odata.maxpagesize" in call.request.preferences:
        return min(_max_page_size(call), largest), True
    if "$top" not in options:
        return largest, True
    return min(read_top(options["$top"]), largest), False


def _condition(call: Call) -> Condition | None:
    text = call.request.options.get("$filter")
    return None if text is None else parse_filter(text, call.request.aliases)


def _query(call: Call, shape: Shape, page_rows: int, links: Links) -> tuple[int, Query]:
    options = call.request.options
    orders = parse_orderby(options["$orderby"], call.request.aliases) if "$orderby" in options else ()
    check_orders(call, shape.table, [shape.table.column_of(order.path.names[-1]) for order in orders])
    number, after = 1, None
    if "$skiptoken" in options:
        number, after = read_cookie(options["$skiptoken"], _cookie_names(shape.table, orders))
    links = (*links, *_partition(call, shape.table))
    return number, Query(shape.table, shape.columns, _condition(call), orders, page_rows, after, links)


def _partition(call: Call, table: Table) -> Links:
    """Return the restriction to the rows of one partition that `?partitionId=` asks for."""
    wanted = call.request.options.get("partitionId")
    return () if wanted is None or not table.elastic else partition_links(call, table, wanted)


def partition_links(call: Call, table: Table, wanted: str) -> Links:
    """Return the restriction of an elastic table to the rows of one partition."""
    database = call.environment.database
    keys = database.keys_with(table, {PARTITION: wanted})
    own = {key: wanted for key in [_key_in(wanted)] if key is not None}
    keys += [key for key in own if same_partition(call, key, None, wanted)]
    stored = database.rows_of(table, (PARTITION,), keys)
    return ((table.primary_id, [key for key, (kept,) in stored.items() if same_partition(call, key, kept, wanted)]),)


def _key_in(text: str) -> bytes | None:
    try:
        return guid_key(text)
    except ValueError:
        return None


def _counts(call: Call, query: Query, options: Mapping[str, str]) -> JsonRow:
    counted = options.get("$count", "false") == "true"
    count = -1
    limit = COUNT_LIMIT
    if counted:
        limit = count_limit(call, query.table)
        without_page = Query(query.table, condition=query.condition, links=query.links)
        count = count_matching(call.environment.database, call.schema, without_page, call.dialect, limit + 1)
    found: JsonRow = {"@odata.count": min(count, limit)} if counted else {}
    return found | annotations_of_rows(call, min(count, limit), exceeded=count > limit)


def annotations_of_rows(call: Call, count: int = -1, *, exceeded: bool = False) -> JsonRow:
    """Return the annotations of a list that were asked for. A `count` of -1 says that no count was asked for."""
    known: JsonRow = {
        _TOTAL: count,
        f"{_TOTAL}limitexceeded": exceeded,
        _METADATA_VERSION: str(call.environment.database.metadata_version),
    }
    return {f"@{name}": value for name, value in known.items() if call.request.wants(name)}


def context_of(shape: Shape) -> str:
    """Return the text after `$metadata#` in the context of rows."""
    return f"{shape.table.entity_set}{shape.context}"


def _next_link(call: Call, query: Query, page: Page, number: int) -> str:
    token = write_cookie(_cookie_names(query.table, query.orders), number, page.next_after or (), page.first or ())
    kept = [part for part in call.request.query.split("&") if part and not _is_skiptoken(part)]
    return f"{call.api_url}/{call.request.path}?{'&'.join([*kept, f'$skiptoken={token}'])}"


def _cookie_names(table: Table, orders: Sequence[Order]) -> list[str]:
    return [*(order.path.names[-1] for order in orders), table.primary_id]


def _is_skiptoken(part: str) -> bool:
    return part.startswith(("$skiptoken=", "%24skiptoken="))
