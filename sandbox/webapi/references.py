"""Reads what points at a row: keys in URLs, `@odata.bind` values, `@odata.id`."""

from collections.abc import Mapping

from sandbox.collation import guid_key
from sandbox.database.compiler import Dialect
from sandbox.database.select import Query, select_page
from sandbox.database.values import ColumnValueError, Stored, lenient
from sandbox.query.syntax import Compare, Junction, Kind, Literal, Path
from sandbox.schema.model import Table
from sandbox.webapi.call import Call
from sandbox.webapi.errors import (
    KEY_NOT_DEFINED,
    RECORD_NOT_FOUND_BY_KEY,
    ApiError,
    payload_error,
    segment_not_found,
)
from sandbox.webapi.partitions import check_properties
from sandbox.webapi.urls import Segment, parse_path, relative, unquoted


def row_reference(call: Call, url: str) -> tuple[Table, bytes]:
    """Return the row that a URL names: absolute, rooted or relative, by id or alternate key, or `$n` of a `$batch`.

    Raises the 400 answer if it is no reference, the 404 answer if an alternate key finds nothing.
    """
    if url.startswith("$"):
        url = referenced(call.request.references, url)
    segments = parse_path(relative(url)[0])
    if len(segments) != 1 or segments[0].arguments is None:
        raise payload_error(f"Microsoft.OData.ODataException: '{url}' is not a valid entity reference.")
    table = call.table_of_set(segments[0].name)
    key = key_of(call, table, segments[0])
    if key is None:
        raise record_not_found(table)
    return table, key


def referenced(references: Mapping[str, str], name: str) -> str:
    """Return the URL that a Content-ID of a `$batch` stands for. Raises the 400 answer if there is none (yet)."""
    if name not in references:
        raise ApiError(400, "0x80060888", f"Content-ID Reference: '{name}' does not exist in the batch context.")
    return references[name]


def guid_in(value: object) -> bytes:
    """Return the key of a guid in a request. Raises the 400 answer if it is none."""
    try:
        return guid_key(str(value))
    except ValueError as error:
        raise payload_error(f"Microsoft.OData.ODataException: {error}") from None


def key_of(call: Call, table: Table, segment: Segment) -> bytes | None:
    """Return the key of a segment such as `contacts(...)`, None if its alternate key finds no row.

    Raises the 400 answer if it is no key.
    """
    named = segment.named_arguments
    check_properties(table, named)
    text = (segment.single_key or "") if not named else named.get(table.primary_id)
    if text is None:
        return _by_alternate_key(call, table, alternate_values(table, segment))
    try:
        return guid_key(unquoted(text.strip()))
    except ValueError:
        raise ApiError(
            400, "0x0", f"Bad Request - Error in query syntax: '{text}' is not a valid key of '{table.entity_set}'."
        ) from None


def alternate_values(table: Table, segment: Segment) -> Mapping[str, Stored]:
    """Return the columns and values of an alternate key in a URL; none if the row is named by its id.

    Raises the 400 answer if the table defines no such key.
    """
    named = segment.named_arguments
    if not named or table.primary_id in named:
        return {}
    wanted = {name.removeprefix("_").removesuffix("_value") for name in named}
    if not any(wanted == set(columns) for columns in table.alternate_keys.values()):
        raise ApiError(
            400,
            KEY_NOT_DEFINED,
            f"The specified key attributes are not a defined key for the {table.logical_name} entity",
        )
    try:
        return {
            column.logical_name: lenient(column, unquoted(value))
            for name, value in named.items()
            if (column := table.column_of(name)) is not None
        }
    except ColumnValueError as error:
        raise ApiError(400, "0x0", str(error)) from None


def _by_alternate_key(call: Call, table: Table, values: Mapping[str, Stored]) -> bytes | None:
    parts = tuple(Compare("eq", Path((name,)), _escaped(value)) for name, value in values.items())
    query = Query(table, condition=Junction("and", parts), limit=1)
    rows = select_page(call.environment.database, call.schema, query, Dialect(call.dialect.string_order)).rows
    return rows[0][1] if rows and isinstance(rows[0][1], bytes) else None


def _escaped(value: Stored) -> Literal:
    """Return a literal that compares exactly: brackets take the meaning from wildcards."""
    if isinstance(value, str):
        return Literal("".join(f"[{c}]" if c in "%_[" else c for c in value), Kind.TEXT)
    return Literal(None if isinstance(value, bytes) else value, Kind.NUMBER)


def record_not_found(table: Table) -> ApiError:
    """Return the answer to a reference that leads to no row (dataverse.md 2.2)."""
    return ApiError(
        404,
        RECORD_NOT_FOUND_BY_KEY,
        f"A record with the specified key values does not exist in {table.logical_name} entity",
    )


def existing_key(call: Call, table: Table, segment: Segment) -> bytes:
    """Return the key of a segment that must name a row by id or alternate key. Raises the 404 answer."""
    if segment.arguments is None:
        raise segment_not_found(segment.name)
    key = key_of(call, table, segment)
    if key is None:
        raise record_not_found(table)
    return key
