"""CreateMultiple, UpdateMultiple and UpsertMultiple on standard tables (dataverse.md 2)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sandbox.collation import guid_text
from sandbox.database import Change, new_key, update_rows
from sandbox.schema.model import Table
from sandbox.webapi.call import Call
from sandbox.webapi.errors import DUPLICATE_RECORD, OBJECT_DOES_NOT_EXIST, ApiError, no_resource, payload_error
from sandbox.webapi.messages import ApiResponse, json_answer, no_content
from sandbox.webapi.payloads import Payload, PayloadReader, check_parents, require_write
from sandbox.webapi.references import alternate_values, key_of
from sandbox.webapi.rows import check_alternate_keys, given_key, insert
from sandbox.webapi.urls import parse_path, relative
from sandbox.webapi.writing import PlannedWrite, Written, planned

type Targets = Sequence[Mapping[str, Any]]


def _targets(call: Call, table: Table, message: str) -> Targets:
    """Return the rows of a bulk request; each names its type (dataverse.md 2.1). Raises the 400 answer."""
    if message not in table.messages and message != "UpsertMultiple":
        raise no_resource(f"{call.environment.api_url}/{call.request.path}")
    targets = call.request.json().get("Targets")
    if not isinstance(targets, list) or not targets:
        raise payload_error("Microsoft.OData.ODataException: 'Targets' must be an array with rows.", table.entity_set)
    wanted = f"Microsoft.Dynamics.CRM.{table.logical_name}"
    for target in targets:
        if not isinstance(target, dict) or str(target.get("@odata.type", "")).lstrip("#") != wanted:
            raise payload_error(
                "Microsoft.OData.ODataException: A type named in '@odata.type' is required for each target; "
                f"expected '{wanted}'.",
                table.entity_set,
            )
    return targets


def plan_create_multiple(call: Call, table: Table) -> PlannedWrite:
    """Plan CreateMultiple: all rows or none; answers their ids in order."""
    targets = _targets(call, table, "CreateMultiple")
    reader = PayloadReader(call, table)
    rows = {given_key(table, target) or new_key(): reader.read(target) for target in targets}
    if len(rows) < len(targets):
        raise ApiError(412, DUPLICATE_RECORD, "Cannot insert duplicate key.")
    context = f"{call.environment.api_url}/$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"
    answer = json_answer({"@odata.context": context, "Ids": [guid_text(key) for key in rows]})
    return _plan_creates(call, table, rows, answer)


def _plan_creates(call: Call, table: Table, rows: Mapping[bytes, Payload], answer: ApiResponse) -> PlannedWrite:
    require_write(call, "Create", table, rows.values())

    def apply() -> Written:
        check_parents(call, (parent for payload in rows.values() for parent in payload.parents))
        for key, payload in rows.items():
            insert(call, table, Change(key, payload.values))
        return Written(answer, len(rows))

    ids = [guid_text(key) for key in rows]
    return planned(call, "CreateMultiple", table, ids, _columns(rows.values()), apply)


def plan_update_multiple(call: Call, table: Table) -> PlannedWrite:
    """Plan UpdateMultiple: all rows or none; of rows given twice the first counts, silently (dataverse.md 2.5)."""
    reader = PayloadReader(call, table)
    rows: dict[bytes, Payload] = {}
    for target in _targets(call, table, "UpdateMultiple"):
        key = given_key(table, target)
        if key is None:
            raise payload_error(
                f"Microsoft.OData.ODataException: The primary key '{table.primary_id}' is required for each target; "
                "alternate keys cannot be used with UpdateMultiple.",
                table.entity_set,
            )
        payload = reader.read(target)
        rows.setdefault(key, payload)
    return _plan_updates(call, table, rows)


def _plan_updates(call: Call, table: Table, rows: Mapping[bytes, Payload]) -> PlannedWrite:
    require_write(call, "Write", table, rows.values())
    ids = [guid_text(key) for key in rows]

    def apply() -> Written:
        check_parents(call, (parent for payload in rows.values() for parent in payload.parents))
        changes = [Change(key, payload.values) for key, payload in rows.items()]
        if table.alternate_keys:
            for change in changes:
                check_alternate_keys(call, table, change.key, change.values)
        updated = update_rows(call.environment.database, table, changes, call.stamp)
        if updated.missing:
            raise _rows_missing(
                table, [row_id for row_id, key in zip(ids, rows, strict=True) if key in updated.missing]
            )
        return Written(no_content(), updated.rows_changed)

    return planned(call, "UpdateMultiple", table, ids, _columns(rows.values()), apply)


def _rows_missing(table: Table, ids: Sequence[str]) -> ApiError:
    """Return the answer to rows that do not exist (dataverse.md 2.6); the transaction is undone."""
    return ApiError(404, OBJECT_DOES_NOT_EXIST, f"{table.display_name} With Ids = {', '.join(ids)} Do Not Exist")


def plan_upsert_multiple(call: Call, table: Table) -> list[PlannedWrite]:
    """Plan UpsertMultiple: rows by id or by `@odata.id`; the same row twice refuses all (dataverse.md 2.5).

    It is a CreateMultiple of the rows that are new and an UpdateMultiple of the others, in one transaction.
    """
    reader = PayloadReader(call, table)
    rows: dict[bytes, Payload] = {}
    for target in _targets(call, table, "UpsertMultiple"):
        key, payload = _upsert_row(call, table, target, reader.read(target))
        if key in rows:
            raise ApiError(412, DUPLICATE_RECORD, "Cannot insert duplicate key.")
        rows[key] = payload
    known = call.environment.database.rows_of(table, (), list(rows))
    old = {key: payload for key, payload in rows.items() if key in known}
    new = {key: payload for key, payload in rows.items() if key not in known}
    updates = [_plan_updates(call, table, old)] if old else []
    return updates + ([_plan_creates(call, table, new, no_content())] if new else [])


def _upsert_row(call: Call, table: Table, target: Mapping[str, Any], payload: Payload) -> tuple[bytes, Payload]:
    url = target.get("@odata.id")
    if url is None:
        return given_key(table, target) or new_key(), payload
    (segment,) = parse_path(relative(str(url))[0]) or (None,)
    if segment is None or segment.name != table.entity_set:
        raise payload_error(f"Microsoft.OData.ODataException: '{url}' is not a row of this table.", table.entity_set)
    values = {**alternate_values(table, segment), **payload.values}
    return key_of(call, table, segment) or new_key(), Payload(values, payload.parents)


def _columns(payloads: Iterable[Payload]) -> frozenset[str]:
    return frozenset(name for payload in payloads for name in payload.values)
