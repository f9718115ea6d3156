"""CreateMultiple, UpdateMultiple, UpsertMultiple and DeleteMultiple (docs/reference/dataverse.md 2).

On a standard table a request is all or nothing; on an elastic one each row is written or refused by itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sandbox.database import Change, delete_rows, new_key, update_rows
from sandbox.database.collation import guid_text
from sandbox.runtime import WriteKind
from sandbox.schema.kinds import PARTITION
from sandbox.schema.model import Table
from sandbox.webapi.operations.elastic_tables import Row, write_alone
from sandbox.webapi.operations.rows import check_alternate_keys, given_key, insert, replaced
from sandbox.webapi.operations.writing import PlannedWrite, Written, planned, without_automation
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import DUPLICATE_RECORD, OBJECT_DOES_NOT_EXIST, ApiError, no_resource, payload_error
from sandbox.webapi.protocol.messages import ApiResponse, json_answer, no_content
from sandbox.webapi.protocol.partitions import check_partition, read_partition
from sandbox.webapi.protocol.payloads import Payload, PayloadReader, check_parents, require_write
from sandbox.webapi.protocol.references import alternate_values, key_of
from sandbox.webapi.protocol.urls import parse_path, relative

type Targets = Sequence[Mapping[str, Any]]


def _targets(call: Call, table: Table, message: str) -> Targets:
    """Return the rows of a bulk request; each names its type (docs/reference/dataverse.md 2.1). Raises the 400 answer."""
    if message not in table.messages and message != "UpsertMultiple":
        raise no_resource(f"{call.api_url}/{call.request.path}")
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
    """Plan CreateMultiple, which answers the ids in order."""
    targets = _targets(call, table, "CreateMultiple")
    reader = PayloadReader(call, table)
    rows = [Row(i, given_key(table, target) or new_key(), reader.read(target)) for i, target in enumerate(targets)]
    context = f"{call.api_url}/$metadata#Microsoft.Dynamics.CRM.CreateMultipleResponse"
    answer = json_answer({"@odata.context": context, "Ids": [guid_text(row.key) for row in rows]})
    return _plan_creates(call, table, rows, answer)


def _plan_creates(call: Call, table: Table, rows: Sequence[Row], answer: ApiResponse) -> PlannedWrite:
    require_write(call, "Create", table, [row.payload for row in rows])

    def create(some: Sequence[Row]) -> int:
        _check_parents(call, some)
        for row in some:
            insert(call, table, Change(row.key, row.payload.values))
        return len(some)

    return _planned(call, "CreateMultiple", table, rows, create, answer)


def plan_update_multiple(call: Call, table: Table) -> PlannedWrite:
    """Plan UpdateMultiple; of rows given twice the first counts, silently (docs/reference/dataverse.md 2.5)."""
    reader = PayloadReader(call, table)
    rows: dict[bytes, Row] = {}
    for index, target in enumerate(_targets(call, table, "UpdateMultiple")):
        key = _required_key(table, target, "UpdateMultiple")
        payload = reader.read(target)
        rows.setdefault(key, _addressed(table, Row(index, key, payload)))
    return _plan_updates(call, table, list(rows.values()))


def _addressed(table: Table, row: Row) -> Row:
    """Return a row whose partition names it and is not set: it never changes."""
    if not table.elastic or PARTITION not in row.payload.values:
        return row
    values = {name: value for name, value in row.payload.values.items() if name != PARTITION}
    return replace(row, payload=replace(row.payload, values=values), partition=row.payload.values[PARTITION])


def _required_key(table: Table, target: Mapping[str, Any], message: str) -> bytes:
    key = given_key(table, target)
    if key is None:
        raise payload_error(
            f"Microsoft.OData.ODataException: The primary key '{table.primary_id}' is required for each target; "
            f"alternate keys cannot be used with {message}.",
            table.entity_set,
        )
    return key


def _plan_updates(call: Call, table: Table, rows: Sequence[Row]) -> PlannedWrite:
    require_write(call, "Write", table, [row.payload for row in rows])

    def update(some: Sequence[Row]) -> int:
        _check_parents(call, some)
        for row in some if table.elastic else ():
            check_partition(call, table, row.key, row.partition)
        changes = [Change(row.key, row.payload.values) for row in some]
        if table.alternate_keys:
            for change in changes:
                check_alternate_keys(call, table, change.key, change.values)
        updated = update_rows(call.environment.database, table, changes, call.stamp)
        if updated.missing:
            raise _rows_missing(table, [row for row in some if row.key in updated.missing])
        return updated.rows_changed

    return _planned(call, "UpdateMultiple", table, rows, update, no_content())


def _rows_missing(table: Table, rows: Sequence[Row]) -> ApiError:
    """Return the answer to rows that do not exist (docs/reference/dataverse.md 2.6)."""
    ids = ", ".join(guid_text(row.key) for row in rows)
    return ApiError(404, OBJECT_DOES_NOT_EXIST, f"{table.display_name} With Ids = {ids} Do Not Exist")


def plan_upsert_multiple(call: Call, table: Table) -> list[PlannedWrite]:
    """Plan UpsertMultiple: rows by id or by `@odata.id`; the same row twice refuses all (docs/reference/dataverse.md 2.5).

    It is a CreateMultiple of the rows that are new and an UpdateMultiple of the others, in one transaction.
    """
    reader = PayloadReader(call, table)
    rows: dict[bytes, Row] = {}
    for index, target in enumerate(_targets(call, table, "UpsertMultiple")):
        key, payload = _upsert_row(call, table, target, reader.read(target))
        if key in rows:
            raise ApiError(412, DUPLICATE_RECORD, "Cannot insert duplicate key.")
        rows[key] = Row(index, key, payload)
    known = call.environment.database.rows_of(table, (), list(rows))
    old = [row for row in rows.values() if row.key in known]
    new = [row for row in rows.values() if row.key not in known]
    if table.elastic:  # an upsert replaces the whole row and fires nothing
        old = [replace(one, payload=replaced(table, one.payload)) for one in (_addressed(table, row) for row in old)]
        updates = [without_automation(_plan_updates(call, table, old))] if old else []
    else:
        updates = [_plan_updates(call, table, old)] if old else []
    return updates + ([_plan_creates(call, table, new, no_content())] if new else [])


def plan_delete_multiple(call: Call, table: Table) -> PlannedWrite:
    """Plan DeleteMultiple, which only elastic tables have (docs/reference/dataverse.md 2.1)."""
    call.require("Delete", table)
    rows: dict[bytes, Row] = {}
    for index, target in enumerate(_targets(call, table, "DeleteMultiple")):
        key = _required_key(table, target, "DeleteMultiple")
        rows.setdefault(key, Row(index, key, partition=read_partition(target.get(PARTITION))))

    def delete(some: Sequence[Row]) -> int:
        for row in some:
            check_partition(call, table, row.key, row.partition)
        if delete_rows(call.environment.database, table, [row.key for row in some]) < len(some):
            raise _rows_missing(table, some)
        return len(some)

    return _planned(call, "Delete", table, list(rows.values()), delete, no_content())


def _planned(
    call: Call,
    kind: WriteKind,
    table: Table,
    rows: Sequence[Row],
    write: Callable[[Sequence[Row]], int],
    answer: ApiResponse,
) -> PlannedWrite:
    """Return the write of all rows or none, or of each row alone on an elastic table (docs/reference/dataverse.md 2.5, 2.8)."""

    def together() -> Written:
        return Written(answer, write(rows))

    def alone() -> Written:
        return Written(answer, *write_alone(rows, write))

    columns = frozenset(name for row in rows for name in row.payload.values)
    ids = [guid_text(row.key) for row in rows]
    return planned(call, kind, table, ids, columns, alone if table.elastic else together)


def _check_parents(call: Call, rows: Sequence[Row]) -> None:
    check_parents(call, (parent for row in rows for parent in row.payload.parents))


def _upsert_row(call: Call, table: Table, target: Mapping[str, Any], payload: Payload) -> tuple[bytes, Payload]:
    url = target.get("@odata.id")
    if url is None:
        return given_key(table, target) or new_key(), payload
    segments = parse_path(relative(str(url))[0])
    if len(segments) != 1 or segments[0].name != table.entity_set:
        raise payload_error(f"Microsoft.OData.ODataException: '{url}' is not a row of this table.", table.entity_set)
    values = {**alternate_values(table, segments[0]), **payload.values}
    return key_of(call, table, segments[0]) or new_key(), Payload(values, payload.parents)
