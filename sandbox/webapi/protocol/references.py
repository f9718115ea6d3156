"""Reads what points at a row: keys in URLs, `@odata.bind` values, `@odata.id`."""

from collections.abc import Mapping

from sandbox.database.collation import guid_key
from sandbox.database.values import ColumnValueError, Stored, lenient
from sandbox.schema.column_types import TEXT_TYPES, Column
from sandbox.schema.model import Table
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import (
    KEY_NOT_DEFINED,
    RECORD_NOT_FOUND_BY_KEY,
    ApiError,
    payload_error,
    segment_not_found,
)
from sandbox.webapi.protocol.partitions import check_partition, named_partition
from sandbox.webapi.protocol.urls import Segment, parse_path, relative, unquoted


def row_reference(call: Call, url: str) -> tuple[Table, bytes, str | None]:
    """Return the row that a URL names: absolute, rooted or relative, by id or alternate key, or `$n` of a `$batch`.

    The third value is the partition that it names, None for none; whether the row is in it is not looked at.
    Raises the 400 answer if it is not a reference, the 404 answer if an alternate key finds nothing.
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
    return table, key, named_partition(call, table, segments[0])


def referenced(references: Mapping[str, str], name: str) -> str:
    """Return the URL that a Content-ID of a `$batch` stands for. Raises the 400 answer for one that is not known yet."""
    if name not in references:
        raise ApiError(400, "0x80060888", f"Content-ID Reference: '{name}' does not exist in the batch context.")
    return references[name]


def guid_in(value: object) -> bytes:
    """Return the key of a guid in a request. Raises the 400 answer for another text."""
    try:
        return guid_key(str(value))
    except ValueError as error:
        raise payload_error(f"Microsoft.OData.ODataException: {error}") from None


def key_of(call: Call, table: Table, segment: Segment) -> bytes | None:
    """Return the key of a segment such as `contacts(...)`, None if its alternate key finds no row.

    Raises the 400 answer if it is not a key.
    """
    named = segment.named_arguments
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
    columns = {name: column for name in named if (column := table.column_of(name)) is not None}
    wanted = {column.logical_name for column in columns.values()}
    if len(columns) < len(named) or not any(wanted == set(key) for key in table.alternate_keys.values()):
        raise ApiError(
            400,
            KEY_NOT_DEFINED,
            f"The specified key attributes are not a defined key for the {table.logical_name} entity",
        )
    return {column.logical_name: _key_value(table, column, named[name]) for name, column in columns.items()}


def _key_value(table: Table, column: Column, text: str) -> Stored:
    """Return what a literal in a key stands for; texts are quoted. Raises the 400 answer."""
    quoted = text.startswith("'") and text.endswith("'") and len(text) > len("''")
    try:
        value = lenient(column, unquoted(text))
    except ColumnValueError:
        value = None
    if value is None or (column.type in TEXT_TYPES and not quoted):
        raise ApiError(
            400, "0x0", f"Bad Request - Error in query syntax: '{text}' is not a valid key of '{table.entity_set}'."
        )
    return value


def _by_alternate_key(call: Call, table: Table, values: Mapping[str, Stored]) -> bytes | None:
    return next(iter(call.environment.database.keys_with(table, values)), None)


def record_not_found(table: Table) -> ApiError:
    """Return the answer to a reference that leads to no row (docs/reference/dataverse.md 2.2)."""
    return ApiError(
        404,
        RECORD_NOT_FOUND_BY_KEY,
        f"A record with the specified key values does not exist in {table.logical_name} entity",
    )


def existing_key(call: Call, table: Table, segment: Segment) -> bytes:
    """Return the key of a segment that must name a row by id or alternate key, in its partition.

    Raises the 404 answer.
    """
    if segment.arguments is None:
        raise segment_not_found(segment.name)
    key = key_of(call, table, segment)
    if key is None:
        raise record_not_found(table)
    check_partition(call, table, key, named_partition(call, table, segment))
    return key
