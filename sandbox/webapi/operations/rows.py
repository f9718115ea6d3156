"""POST, PATCH and DELETE of single rows, and of one column (docs/reference/dataverse.md 4)."""

import sqlite3
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from sandbox.database import Change, RestrictedError, delete_rows, insert_row, new_key, update_rows
from sandbox.database.collation import guid_key, guid_text
from sandbox.database.values import Stored
from sandbox.schema.kinds import PARTITION
from sandbox.schema.model import Table
from sandbox.webapi.operations.elastic_tables import etag
from sandbox.webapi.operations.reading import applied_preferences, context_of, single_row
from sandbox.webapi.operations.writing import PlannedWrite, Written, planned, without_automation
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import (
    DUPLICATE_KEY_VALUE,
    DUPLICATE_RECORD,
    VERSION_MISMATCH,
    ApiError,
    payload_error,
    row_missing,
    segment_not_found,
)
from sandbox.webapi.protocol.messages import ApiResponse, json_answer, no_content
from sandbox.webapi.protocol.partitions import check_partition, named_partition, read_partition
from sandbox.webapi.protocol.payloads import Payload, PayloadReader, check_parents, require_write
from sandbox.webapi.protocol.references import alternate_values, key_of
from sandbox.webapi.protocol.shapes import read_shape
from sandbox.webapi.protocol.urls import Segment
from sandbox.webapi.security.application_users import application_user
from sandbox.webapi.security.organization import BUSINESS_UNIT_ID


def plan_create(call: Call, table: Table) -> PlannedWrite:
    """Plan a POST of a new row."""
    document = call.request.json()
    key = given_key(table, document) or new_key()
    return _plan_insert(call, table, key, PayloadReader(call, table).read(document))


def given_key(table: Table, document: Mapping[str, object]) -> bytes | None:
    """Return the key that a payload carries, None without one. Raises the 400 answer if it is not a guid."""
    text = document.get(table.primary_id)
    if text is None:
        return None
    try:
        return guid_key(str(text))
    except ValueError as error:
        raise payload_error(f"Microsoft.OData.ODataException: {error}", table.entity_set) from None


def plan_update(call: Call, table: Table, segment: Segment) -> PlannedWrite:
    """Plan a PATCH: an update with `If-Match`, a create with `If-None-Match: *`, else whichever fits (upsert)."""
    alternate = alternate_values(table, segment)
    key = key_of(call, table, segment)
    payload = PayloadReader(call, table).read(call.request.json())
    exists = key is not None and bool(call.environment.database.rows_of(table, (), [key]))
    headers = call.request.headers
    if exists and headers.get("if-none-match") == "*":
        raise ApiError(412, DUPLICATE_RECORD, "A record with matching key values already exists.")
    partition = named_partition(call, table, segment)
    if key is not None and exists:
        check_partition(call, table, key, partition)
        payload = _unmoved(payload)
    if key is not None and exists and table.elastic and "if-match" not in headers:
        return _plan_replacement(call, table, key, payload)
    if key is not None and (exists or "if-match" in headers):
        return _plan_change(call, table, key, payload)
    if "if-match" in headers:
        raise row_missing(table.logical_name, segment.arguments or "")
    named = {PARTITION: read_partition(partition)} if partition else {}
    whole = Payload({**alternate, **named, **payload.values}, payload.parents)
    return _plan_insert(call, table, key or new_key(), whole)


def _unmoved(payload: Payload) -> Payload:
    """Return what a payload sets in a row that exists: its partition never changes."""
    return Payload({name: value for name, value in payload.values.items() if name != PARTITION}, payload.parents)


def _plan_replacement(call: Call, table: Table, key: bytes, payload: Payload) -> PlannedWrite:
    """Plan an upsert of an elastic row that exists: it replaces the whole row and fires no automation."""
    return without_automation(_plan_change(call, table, key, replaced(table, payload)))


def replaced(table: Table, payload: Payload) -> Payload:
    """Return the payload that leaves nothing of a row but what it sets itself."""
    kept = (table.primary_id, PARTITION, "ownerid")
    names = (c.logical_name for c in table.columns.values() if not (c.read_only or c.joined or c.logical_name in kept))
    return Payload({**dict.fromkeys(names), **payload.values}, payload.parents)


def plan_delete(call: Call, table: Table, key: bytes) -> PlannedWrite:
    """Plan a DELETE; lookups that point at the row are emptied or stop it, as their relationships say."""
    call.require("Delete", table)

    def apply() -> Written:
        _check_version(call, table, key)
        try:
            delete_rows(call.environment.database, table, [key])
        except RestrictedError as error:
            raise ApiError(
                405, "0x80040227", f"The record cannot be deleted because it is associated with another: {error}."
            ) from None
        return Written(no_content(), 1)

    return planned(call, "Delete", table, [guid_text(key)], frozenset(), apply)


def plan_column(call: Call, table: Table, key: bytes, name: str) -> PlannedWrite:
    """Plan `PUT set(key)/column` with a value, or DELETE, which clears it."""
    column = table.columns.get(name)
    if column is None or column.property_name != name:
        raise segment_not_found(name)
    value = _given_value(call, table) if call.request.method == "PUT" else None
    return _plan_change(call, table, key, PayloadReader(call, table).read({name: value}))


def _given_value(call: Call, table: Table) -> object:
    document = call.request.json()
    if "value" not in document:
        raise payload_error("Microsoft.OData.ODataException: the property 'value' is missing.", table.entity_set)
    return document["value"]


def plan_values(call: Call, table: Table, key: bytes, payload: Payload) -> PlannedWrite:
    """Plan an update of one row that must exist."""
    return _plan_change(call, table, key, payload)


def _plan_insert(call: Call, table: Table, key: bytes, payload: Payload) -> PlannedWrite:
    require_write(call, "Create", table, [payload])

    def apply() -> Written:
        check_parents(call, payload.parents)
        insert(call, table, Change(key, payload.values))
        return Written(_answer(call, table, key, created=True), 1)

    return planned(call, "Create", table, [guid_text(key)], frozenset(payload.values), apply)


def insert(call: Call, table: Table, change: Change) -> None:
    """Insert a row with the defaults of its table. Raises the 412 answer if the key exists."""
    given = {**_defaults(table, call.caller.user), **application_user(table, change.values)}
    values = {**given, **change.values}
    check_alternate_keys(call, table, change.key, values)
    try:
        insert_row(call.environment.database, table, Change(change.key, values), call.stamp)
    except sqlite3.IntegrityError:
        raise ApiError(412, DUPLICATE_RECORD, "Cannot insert duplicate key.") from None


def _defaults(table: Table, user: bytes) -> dict[str, Stored]:
    # Everything that users register is custom; level 0 is the platform itself (docs/reference/dataverse.md 9.1).
    status = table.columns.get("statuscode")
    known: dict[str, Stored] = {"statecode": 0, "statuscode": 1, "ownerid": user, "owninguser": user}
    known["customizationlevel"] = 1
    known["owningbusinessunit"] = guid_key(BUSINESS_UNIT_ID)
    if status is not None and status.options:
        known["statuscode"] = status.options[0].value
    return {name: value for name, value in known.items() if name in table.columns}


def check_alternate_keys(call: Call, table: Table, key: bytes, values: Mapping[str, Stored]) -> None:
    """Raise the 412 answer if another row has the same values of an alternate key."""
    for name, columns in table.alternate_keys.items():
        if PARTITION in columns or not all(values.get(column) is not None for column in columns):
            continue
        found = call.environment.database.keys_with(table, {column: values[column] for column in columns})
        if any(other != key for other in found):
            raise _duplicate_key(table, name, columns, values)


def _duplicate_key(table: Table, name: str, columns: Sequence[str], values: Mapping[str, Stored]) -> ApiError:
    """Return the answer to a row whose alternate key exists, with the text and details of recorded answers."""
    labels = ", ".join(table.columns[column].display_name for column in columns)
    shown = "".join(f"<{column}>{escape(str(values[column]))}</{column}>" for column in columns)
    return ApiError(
        412,
        DUPLICATE_KEY_VALUE,
        f"Entity Key {name} violated. A record with the same value for {labels} already exists. A duplicate record "
        "cannot be created. Select one or more unique values and try again.",
        details={
            "DuplicateAttributes": f"<DuplicateAttributes>{shown}</DuplicateAttributes>",
            "DuplicateEntity": table.logical_name,
        },
    )


def _plan_change(call: Call, table: Table, key: bytes, payload: Payload) -> PlannedWrite:
    require_write(call, "Write", table, [payload])

    def apply() -> Written:
        _check_version(call, table, key)
        check_parents(call, payload.parents)
        check_alternate_keys(call, table, key, payload.values)
        updated = update_rows(call.environment.database, table, [Change(key, payload.values)], call.stamp)
        return Written(_answer(call, table, key, created=False), updated.rows_changed)

    return planned(call, "Update", table, [guid_text(key)], frozenset(payload.values), apply)


def _check_version(call: Call, table: Table, key: bytes) -> None:
    """Raise the 404 answer if the row is missing, the 412 answer if `If-Match` names another version."""
    found = call.environment.database.rows_of(table, ("versionnumber",), [key])
    if key not in found:
        raise row_missing(table.logical_name, guid_text(key))
    wanted, (version,) = call.request.headers.get("if-match", "*"), found[key]
    if wanted != "*" and wanted != etag(table, version):
        raise ApiError(
            412,
            VERSION_MISMATCH,
            "The version of the existing record doesn't match the RowVersion property provided.",
        )


def entity_url(call: Call, table: Table, key: bytes) -> str:
    """Return the URL of a row; one in a partition of its own is named by both parts of its key."""
    found = call.environment.database.rows_of(table, (PARTITION,), [key]) if table.elastic else {}
    (partition,) = found.get(key, (None,))
    if isinstance(partition, str):
        named = partition.replace("'", "''")
        return f"{call.api_url}/{table.entity_set}({table.primary_id}={guid_text(key)},{PARTITION}='{named}')"
    return f"{call.api_url}/{table.entity_set}({guid_text(key)})"


def _answer(call: Call, table: Table, key: bytes, *, created: bool) -> ApiResponse:
    url = entity_url(call, table, key)
    if call.request.preferences.get("return") != "representation":
        return no_content({"OData-EntityId": url} | ({"Location": url} if created else {}))
    honoured = {"$select", "$expand"} if created else {"$select"}
    options = {name: value for name, value in call.request.options.items() if name in honoured}
    shape = read_shape(call, table, options, one=True)
    row = single_row(call, shape, key)
    context = {"@odata.context": f"{call.api_url}/$metadata#{context_of(shape)}/$entity"}
    applied = applied_preferences(call, table).get("Preference-Applied", "")
    headers = {"OData-EntityId": url, "Preference-Applied": ",".join(filter(None, ("return=representation", applied)))}
    return json_answer(context | row, 201 if created else 200, headers | ({"Location": url} if created else {}))
