"""Navigation properties in a path: reading related rows, and `$ref` that links and unlinks them (dataverse.md 4)."""

from sandbox.database.security import associate, disassociate, partners
from sandbox.schema.model import ManyToMany, OneToMany, Table
from sandbox.webapi.call import Call
from sandbox.webapi.errors import ApiError, payload_error, row_missing, segment_not_found, wrong_method
from sandbox.webapi.messages import ApiResponse, json_answer, no_content
from sandbox.webapi.payloads import Parent, Payload
from sandbox.webapi.reading import Links, count_rows, get_row, list_rows, single_row
from sandbox.webapi.references import existing_key, row_reference
from sandbox.webapi.rows import entity_url, plan_values
from sandbox.webapi.shapes import Shape, find_navigation
from sandbox.webapi.urls import Segment
from sandbox.webapi.writing import PlannedWrite, Written


def _relationship(call: Call, table: Table, name: str) -> tuple[OneToMany | ManyToMany, bool]:
    try:
        return find_navigation(call, table, name)
    except ApiError:
        raise segment_not_found(name) from None  # in a path, unlike in $expand, an unknown name is a 404


async def read_property(call: Call, table: Table, key: bytes, name: str, last: str | None) -> ApiResponse:
    """Answer `GET set(key)/name`, also with `/$count`, `/$value` or `/$ref`: a column or related rows."""
    column = table.column_of(name)
    if column is not None:
        row = single_row(call, Shape(table, (column,)), key)
        if last == "$value":
            return ApiResponse(200, {"Content-Type": "text/plain"}, str(row[name]).encode())
        url = f"{call.environment.api_url}/$metadata#{table.entity_set}({call.request.path.partition('(')[2]}"
        return json_answer({"@odata.context": url, "value": row[name]}) if row[name] is not None else no_content()
    relationship, collection = _relationship(call, table, name)
    call.require("Read", table)
    if not collection and isinstance(relationship, OneToMany):
        return await _read_parent(call, table, key, relationship, last)
    related, links = _related(call, table, key, relationship)
    if last == "$count":
        return await count_rows(call, related, links)
    return await list_rows(call, related, links)


async def _read_parent(call: Call, table: Table, key: bytes, relationship: OneToMany, last: str | None) -> ApiResponse:
    found = call.environment.database.rows_of(table, (relationship.referencing_attribute,), [key])
    if key not in found:
        raise row_missing(table.display_name, call.request.path)
    (parent_key,) = found[key]
    if not isinstance(parent_key, bytes):
        return no_content()
    parent = call.schema.tables[relationship.referenced_entity]
    if last == "$ref":
        return json_answer({"@odata.id": entity_url(call, parent, parent_key)})
    return await get_row(call, parent, parent_key)


def _related(call: Call, table: Table, key: bytes, relationship: OneToMany | ManyToMany) -> tuple[Table, Links]:
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
    parent = (table, key) if method == "POST" else None
    return _plan_lookup(call, child, child_key, relationship, parent)


def _plan_lookup(
    call: Call, table: Table, key: bytes, relationship: OneToMany, parent: tuple[Table, bytes] | None
) -> PlannedWrite:
    if parent is not None and parent[0].logical_name != relationship.referenced_entity:
        raise payload_error("Microsoft.OData.ODataException: the row is not of the type of the navigation property.")
    parents = (Parent(parent[0].logical_name, parent[1]),) if parent else ()
    value = parent[1] if parent else None
    return plan_values(call, table, key, Payload({relationship.referencing_attribute: value}, parents))


def _given(call: Call) -> tuple[Table, bytes]:
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
