"""Creating, changing and deleting columns and keys (docs/reference/dataverse.md 8.1 and 17.5)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from sandbox.database import Database
from sandbox.schema.column_types import Column
from sandbox.schema.model import Index, Table, metadata_id
from sandbox.webapi.metadata.documents import COLLECTIONS
from sandbox.webapi.metadata.parsing import (
    custom_name,
    label_text,
    read_column,
    required_level,
)
from sandbox.webapi.metadata.planning import INVALID, check_new_column, plan_change, schema_of
from sandbox.webapi.metadata.reading import find_document, find_table
from sandbox.webapi.metadata.relationships import (
    plan_relationship,
    plan_relationship_change,
    plan_relationship_removal,
    removal_of,
)
from sandbox.webapi.metadata.tables import (
    plan_table,
    plan_table_change,
    plan_table_removal,
)
from sandbox.webapi.operations.writing import PlannedWrite
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError, no_resource, wrong_method
from sandbox.webapi.protocol.members import flag_in, texts_in, whole_in
from sandbox.webapi.protocol.urls import Segment

_IN_USE: Final = "0x8004f01f"


def plan_definition_change(call: Call, segments: Sequence[Segment]) -> PlannedWrite:
    """Plan a POST, PUT or DELETE below EntityDefinitions or RelationshipDefinitions; they never see an old schema."""
    call, method = replace(call, schema=schema_of(call)), call.request.method
    if segments[0].name == "RelationshipDefinitions":
        plans = {
            "POST": plan_relationship,
            "PUT": plan_relationship_change,
            "DELETE": plan_relationship_removal,
        }
        if method not in plans:
            raise wrong_method(method)
        return plans[method](call, segments[0])
    if segments[0].arguments is None:
        if method != "POST" or len(segments) > 1:
            raise wrong_method(method)
        return plan_table(call)
    table = find_table(call, segments[0])
    if len(segments) == 1:
        return _plan_on_table(call, table)
    return _plan_member(call, table, segments[1])


def _plan_on_table(call: Call, table: Table) -> PlannedWrite:
    match call.request.method:
        case "DELETE":
            return plan_table_removal(call, table)
        case "PUT":
            return plan_table_change(call, table)
    raise wrong_method(call.request.method)


def _plan_member(call: Call, table: Table, segment: Segment) -> PlannedWrite:
    plans: dict[tuple[str, str], Callable[[Call, Table, Segment], PlannedWrite]] = {
        ("POST", "Attributes"): _plan_column,
        ("PUT", "Attributes"): _plan_column_change,
        ("DELETE", "Attributes"): _plan_column_removal,
        ("POST", "Keys"): _plan_key,
        ("DELETE", "Keys"): _plan_key_removal,
    }
    plan = plans.get((call.request.method, segment.name))
    if plan is None:
        raise no_resource(f"{call.api_url}/{call.request.path}")
    return plan(call, table, segment)


# -- columns


def _plan_column(call: Call, table: Table, _segment: Segment) -> PlannedWrite:
    given = read_column(call.request.json())
    column = replace(given, metadata_id=metadata_id(table.logical_name, given.logical_name))
    check_new_column(table, column)
    return plan_change(
        call,
        "prvCreateAttribute",
        lambda database: database.add_columns(table, [column]),
        f"EntityDefinitions({table.metadata_id})/Attributes({column.metadata_id})",
    )


def _find_column(call: Call, table: Table, segment: Segment) -> Column:
    documents = COLLECTIONS["Attributes"](call.schema, table)
    return table.columns[find_document(documents, segment)["LogicalName"]]


def _plan_column_change(call: Call, table: Table, segment: Segment) -> PlannedWrite:
    """Plan a PUT of a whole definition; label, length, requirement and column security can change, the type cannot."""
    column = _find_column(call, table, segment)
    document = call.request.json()
    changed = replace(
        column,
        display_name=label_text(document, "DisplayName") or column.display_name,
        description=label_text(document, "Description") or column.description,
        max_length=whole_in(document, "MaxLength", column.max_length) or column.max_length,
        required=required_level(document, column.required),
        secured=flag_in(document, "IsSecured", column.secured),
    )
    return plan_change(
        call, "prvWriteAttribute", lambda database: database.replace_table(table.with_columns([changed]))
    )


def _plan_column_removal(call: Call, table: Table, segment: Segment) -> PlannedWrite:
    column = _find_column(call, table, segment)
    if not column.custom:
        raise ApiError(400, "0x80045018", f"The system column {column.logical_name} cannot be deleted.")
    keys = [name for name, columns in table.alternate_keys.items() if column.logical_name in columns]
    if keys or column.logical_name == table.primary_name:
        what = f"the key {keys[0]}" if keys else "the primary name"
        raise ApiError(400, _IN_USE, f"The column {column.logical_name} cannot be deleted: it belongs to {what}.")
    for relationship in schema_of(call).lookups(table.logical_name):
        if relationship.referencing_attribute == column.logical_name:
            return removal_of(call, relationship)
    return plan_change(call, "prvDeleteAttribute", lambda database: database.drop_column(table, column))


# -- alternate keys


def _plan_key(call: Call, table: Table, _segment: Segment) -> PlannedWrite:
    if not table.standard:
        raise ApiError(400, INVALID, f"{table.logical_name} is not a standard table: it has no custom alternate keys.")
    document = call.request.json()
    name, columns = custom_name(document), texts_in(document, "KeyAttributes")
    if not columns or len(set(columns)) < len(columns) or not table.columns.keys() >= set(columns):
        text = f"The key attributes of {name} must be columns of {table.logical_name}, each named once."
        raise ApiError(400, "0x80060886", text)
    if name in table.alternate_keys:
        raise ApiError(400, "0x80060884", f"An entity key with the name {name} already exists on {table.logical_name}.")
    grown = replace(
        table, alternate_keys={**table.alternate_keys, name: columns}, indexes=(*table.indexes, Index(columns))
    )
    url = f"EntityDefinitions({table.metadata_id})/Keys({metadata_id('key', table.logical_name, name)})"
    return plan_change(call, "prvCreateAttribute", lambda database: database.replace_table(grown), url)


def _plan_key_removal(call: Call, table: Table, segment: Segment) -> PlannedWrite:
    document = find_document(COLLECTIONS["Keys"](call.schema, table), segment)
    kept = {name: columns for name, columns in table.alternate_keys.items() if name != document["SchemaName"]}
    indexes = list(table.indexes)
    indexes.remove(Index(table.alternate_keys[document["SchemaName"]]))
    shrunk = replace(table, alternate_keys=kept, indexes=tuple(indexes))

    def change(database: Database) -> None:
        database.drop_indexes(table)
        database.replace_table(shrunk)

    return plan_change(call, "prvDeleteAttribute", change)
