"""Navigation properties in a path: related rows, and `$ref` that links and unlinks them (docs/reference/dataverse.md 4)."""

from collections.abc import Sequence

import orjson

from sandbox.database.collation import guid_text
from sandbox.database.security import associate, disassociate, partners
from sandbox.database.select import Query, select_page
from sandbox.schema.column_types import Column
from sandbox.schema.model import ManyToMany, OneToMany, Table
from sandbox.webapi.operations.reading import Links, count_rows, get_row, list_rows, single_row
from sandbox.webapi.operations.rows import entity_url, plan_values
from sandbox.webapi.operations.writing import PlannedWrite, Written
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError, payload_error, row_missing, segment_not_found, wrong_method
from sandbox.webapi.protocol.messages import ApiResponse, json_answer, no_content
from sandbox.webapi.protocol.partitions import living_links
from sandbox.webapi.protocol.payloads import Parent, Payload
from sandbox.webapi.protocol.references import existing_key, row_reference
from sandbox.webapi.protocol.shapes import Shape, find_navigation
from sandbox.webapi.protocol.urls import Segment


def _relationship(call: Call, table: Table, name: str) -> tuple[OneToMany | ManyToMany, bool]:
    try:
        return find_navigation(call, table, name)
    except ApiError:
        raise segment_not_found(name) from None  # in a path, unlike in $expand, an unknown name is a 404


async def read_below(call: Call, table: Table, key: bytes, path: Sequence[Segment]) -> ApiResponse:
    """Answer `GET set(key)/...`: a column, or related rows, over any number of single-valued navigation properties."""
    first, rest = path[0], path[1:]
    column = table.column_of(first.name)
    if column is not None and first.arguments is None:
        return _read_column(call, table, key, column, [segment.name for segment in rest])
    relationship, collection = _relationship(call, table, first.name)
    call.require("Read", table)
    if collection or isinstance(relationship, ManyToMany):
        return await _read_collection(call, *_related(call, table, key, relationship), path)
    if first.arguments is not None:
        raise segment_not_found(f"{first.name}({first.arguments})")
    return await _read_parent(call, table, key, relationship, rest)


def _read_column(call: Call, table: Table, key: bytes, column: Column, rest: Sequence[str]) -> ApiResponse:
    if rest not in ([], ["$value"]):
        raise segment_not_found(rest[0])
    value = single_row(call, Shape(table, (column,)), key)[column.property_name]
    if value is None:
        return no_content()
    if rest:
        text = value if isinstance(value, str) else orjson.dumps(value).decode()
        return ApiResponse(200, {"Content-Type": "text/plain"}, text.encode())
    context = f"{call.api_url}/$metadata#{table.entity_set}({guid_text(key)})/{column.property_name}"
    return json_answer({"@odata.context": context, "value": value})


async def _read_parent(
    call: Call, table: Table, key: bytes, relationship: OneToMany, rest: Sequence[Segment]
) -> ApiResponse:
    if not call.environment.database.rows_of(table, (), [key]):
        raise row_missing(table.logical_name, guid_text(key))
    parent = call.schema.tables[relationship.referenced_entity]
    parent_key = living_links(call, table, relationship, [key]).get(key)
    if parent_key is None:
        return no_content()  # empty, a dead link, or a lookup with several targets points at another table
    if [segment.name for segment in rest] == ["$ref"]:
        return json_answer(_reference(call, parent, parent_key))
    return await (read_below(call, parent, parent_key, rest) if rest else get_row(call, parent, parent_key))


async def _read_collection(call: Call, related: Table, links: Links, path: Sequence[Segment]) -> ApiResponse:
    """Answer related rows, their number, their URLs, or one of them that the path names by its key."""
    names = [segment.name for segment in path[1:]]
    if path[0].arguments is not None:
        return await _read_member(call, related, links, path)
    if names == ["$count"]:
        return await count_rows(call, related, links)
    if names not in ([], ["$ref"]):
        raise segment_not_found(names[0])
    if not names:
        return await list_rows(call, related, links)
    query = Query(related, links=links)
    rows = select_page(call.environment.database, call.schema, query, call.dialect).rows
    urls = [_reference(call, related, row[1]) for row in rows if isinstance(row[1], bytes)]
    return json_answer({"@odata.context": f"{call.api_url}/$metadata#Collection($ref)", "value": urls})


async def _read_member(call: Call, related: Table, links: Links, path: Sequence[Segment]) -> ApiResponse:
    key = existing_key(call, related, Segment(related.entity_set, path[0].arguments))
    member = Query(related, limit=1, links=(*links, (related.primary_id, [key])))
    if not select_page(call.environment.database, call.schema, member, call.dialect).rows:
        raise row_missing(related.logical_name, guid_text(key))
    return await (read_below(call, related, key, path[1:]) if path[1:] else get_row(call, related, key))


def _reference(call: Call, table: Table, key: bytes) -> dict[str, str]:
    return {"@odata.id": entity_url(call, table, key)}


def _related(call: Call, table: Table, key: bytes, relationship: OneToMany | ManyToMany) -> tuple[Table, Links]:
    """Return the table of related rows and what restricts it to them. Raises the 404 answer if the row is missing."""
    if not call.environment.database.rows_of(table, (), [key]):
        raise row_missing(table.logical_name, guid_text(key))
    if isinstance(relationship, OneToMany):
        child = call.schema.tables[relationship.referencing_entity]
        return child, ((relationship.referencing_attribute, [key]),)
    other = relationship.entity2 if table.logical_name == relationship.entity1 else relationship.entity1
    related = call.schema.tables[other]
    keys = partners(call.environment.database, relationship, table.logical_name, key)
    return related, ((related.primary_id, keys),)


def plan_reference(call: Call, table: Table, key: bytes, navigation: Segment) -> PlannedWrite:
    """Plan PUT, POST or DELETE of `set(key)/nav/$ref`. Raises the 404 or 405 answer."""
    relationship, collection = _relationship(call, table, navigation.name)
    method = call.request.method
    if isinstance(relationship, ManyToMany):
        return _plan_pair(call, table, key, relationship, navigation)
    if not collection:
        if method not in {"PUT", "DELETE"}:
            raise wrong_method(method)
        return _plan_lookup(call, table, key, relationship, _given(call) if method == "PUT" else None)
    if method not in {"POST", "DELETE"}:
        raise wrong_method(method)
    child = call.schema.tables[relationship.referencing_entity]
    child_key = _other(call, child, navigation)
    parent = (table, key, None) if method == "POST" else None
    return _plan_lookup(call, child, child_key, relationship, parent)


def _plan_lookup(
    call: Call, table: Table, key: bytes, relationship: OneToMany, parent: tuple[Table, bytes, str | None] | None
) -> PlannedWrite:
    if parent is not None and parent[0].logical_name != relationship.referenced_entity:
        raise payload_error("Microsoft.OData.ODataException: the row is not of the type of the navigation property.")
    parents = (Parent(parent[0].logical_name, parent[1]),) if parent else ()
    value = parent[1] if parent else None
    partition = table.partition_of(relationship.referencing_attribute)
    named = {partition.logical_name: parent[2] if parent else None} if partition else {}
    return plan_values(call, table, key, Payload({relationship.referencing_attribute: value, **named}, parents))


def _given(call: Call) -> tuple[Table, bytes, str | None]:
    url = call.request.json().get("@odata.id")
    if not isinstance(url, str):
        raise payload_error("Microsoft.OData.ODataException: '@odata.id' is required.")
    return row_reference(call, url)


def _other(call: Call, table: Table, navigation: Segment) -> bytes:
    """Return the row at the other end: in the body, in parentheses after the navigation property, or in `$id`."""
    if call.request.method == "POST":
        return _given(call)[1]
    if navigation.arguments is not None:
        return existing_key(call, table, Segment(table.entity_set, navigation.arguments))
    if "$id" not in call.request.options:
        raise ApiError(400, "0x0", "The row to remove is missing: name it in parentheses or in $id.")
    return row_reference(call, call.request.options["$id"])[1]


def _plan_pair(call: Call, table: Table, key: bytes, relationship: ManyToMany, navigation: Segment) -> PlannedWrite:
    first = table.logical_name == relationship.entity1
    other_table = call.schema.tables[relationship.entity2 if first else relationship.entity1]
    call.require("Append", table)
    call.require("AppendTo", other_table)
    other = _other(call, other_table, navigation)
    pair = (key, other) if first else (other, key)
    change = associate if call.request.method == "POST" else disassociate

    def apply() -> Written:
        change(call.environment.database, relationship, [pair])
        return Written(no_content())

    return PlannedWrite(apply)
