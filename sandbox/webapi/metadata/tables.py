"""Creating, changing and deleting tables (docs/reference/dataverse.md 8.1, 8.4 and 17.5)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sandbox.schema.model import ManyToMany, Table
from sandbox.webapi.metadata.documents import table_document
from sandbox.webapi.metadata.parsing import label_text, read_table
from sandbox.webapi.metadata.planning import plan_change, schema_of
from sandbox.webapi.operations.writing import PlannedWrite, Written
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError
from sandbox.webapi.protocol.members import Json, objects_in
from sandbox.webapi.protocol.messages import json_answer, no_content
from sandbox.webapi.security.privileges import require

_FIRST_CUSTOM_CODE: Final = 10_200


def plan_create_entities(call: Call) -> PlannedWrite:
    """Plan the action CreateEntities, which Microsoft's SDK uses to create tables."""
    require(call.environment, call.caller, "prvCreateEntity")
    tables = _new_tables(call, objects_in(call.request.json(), "Entities"))

    def apply() -> Written:
        _create(call, tables)
        context = f"{call.api_url}/$metadata#Microsoft.Dynamics.CRM.CreateEntitiesResponse"
        return Written(json_answer({"@odata.context": context, "EntityIds": [t.metadata_id for t in tables]}))

    return PlannedWrite(apply, customizes=True)


def plan_table(call: Call) -> PlannedWrite:
    """Plan `POST EntityDefinitions`, which creates one table with its name column."""
    require(call.environment, call.caller, "prvCreateEntity")
    (table,) = _new_tables(call, [call.request.json()])

    def apply() -> Written:
        _create(call, [table])
        headers = {"OData-EntityId": f"{call.api_url}/EntityDefinitions({table.metadata_id})"}
        if call.request.preferences.get("return") != "representation":
            return Written(no_content(headers))
        context = {"@odata.context": f"{call.api_url}/$metadata#EntityDefinitions/$entity"}
        headers |= {"Preference-Applied": "return=representation"}
        return Written(json_answer(context | table_document(table), 201, headers))

    return PlannedWrite(apply, customizes=True)


def _new_tables(call: Call, documents: Sequence[Json]) -> list[Table]:
    taken = {table.object_type_code for table in schema_of(call).tables.values()}
    first = max([_FIRST_CUSTOM_CODE, *taken]) + 1
    collation = call.environment.config.elastic_case
    return [read_table(document, code, collation) for code, document in enumerate(documents, first)]


def _create(call: Call, tables: Sequence[Table]) -> None:
    call.environment.database.changing_server = call.request.server
    for table in tables:
        if table.logical_name in names_in_use(call):
            raise table_exists(table.logical_name)
        call.environment.database.create_table(table)


def names_in_use(call: Call) -> set[str]:
    """Return the names of all tables, those of intersect tables among them."""
    schema = schema_of(call)
    pairs = (one for one in schema.relationships.values() if isinstance(one, ManyToMany))
    return {*schema.tables, *(one.intersect_entity for one in pairs)}


def table_exists(name: str) -> ApiError:
    """Return the answer to a table whose name is in use."""
    return ApiError(400, "0x80044346", f"An entity with the specified name {name} already exists.")


def plan_table_change(call: Call, table: Table) -> PlannedWrite:
    """Plan a PUT of a whole definition; labels can change, and change tracking can be switched on."""
    document = call.request.json()
    changed = replace(
        table,
        display_name=label_text(document, "DisplayName") or table.display_name,
        display_collection_name=label_text(document, "DisplayCollectionName") or table.display_collection_name,
        description=label_text(document, "Description") or table.description,
        change_tracking=table.change_tracking or document.get("ChangeTrackingEnabled") is True,
    )
    return plan_change(call, "prvWriteEntity", lambda database: database.replace_table(changed))


def plan_table_removal(call: Call, table: Table) -> PlannedWrite:
    """Plan a DELETE of a custom table with its rows and relationships. Raises the 400 answer for another one."""
    if not table.custom:
        raise ApiError(400, "0x80045018", f"The system table {table.logical_name} cannot be deleted.")
    return plan_change(call, "prvDeleteEntity", lambda database: database.drop_table(table))
