"""Actions that are bound to no table."""

from collections.abc import Callable
from typing import Final
from uuid import uuid4

from sandbox.database import delete_rows
from sandbox.database.collation import guid_text
from sandbox.schema.model import Table
from sandbox.webapi.metadata.tables import plan_create_entities
from sandbox.webapi.operations.writing import PlannedWrite, Written, planned
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError, not_supported
from sandbox.webapi.protocol.members import Json, object_in, objects_in
from sandbox.webapi.protocol.messages import json_answer, no_content
from sandbox.webapi.protocol.references import guid_in
from sandbox.webapi.security.privileges import require


def plan_publish(call: Call) -> PlannedWrite:
    """Plan PublishXml or PublishAllXml: new columns are usable without it (docs/reference/dataverse.md 8.2)."""
    require(call.environment, call.caller, "prvPublishCustomization")
    return PlannedWrite(lambda: Written(no_content()), customizes=True)


def _plan_can_be(what: str) -> Callable[[Call], PlannedWrite]:
    """Return the plan of CanBeReferenced or CanBeReferencing (docs/reference/dataverse.md 8.6)."""

    def plan(call: Call) -> PlannedWrite:
        name = str(call.request.json().get("EntityName"))
        if name not in call.schema.tables:
            raise ApiError(400, "0x80041102", f"The entity with a name = '{name}' was not found in the MetadataCache.")
        context = f"{call.api_url}/$metadata#Microsoft.Dynamics.CRM.{what}Response"
        return PlannedWrite(lambda: Written(json_answer({"@odata.context": context, what: True})))

    return plan


def plan_bulk_delete(call: Call) -> PlannedWrite:
    """Plan BulkDelete for the queries that Microsoft's SDK sends: an `In` on the key (docs/reference/dataverse.md 17.3).

    In Dataverse a system job deletes the rows later; here they are gone when the answer comes.
    """
    require(call.environment, call.caller, "prvBulkDelete")
    queries = objects_in(call.request.json(), "QuerySet")
    if len(queries) != 1:
        raise not_supported("BulkDelete with other than one query")
    table, keys = _rows_of_query(call, queries[0])
    call.require("Delete", table)
    context = f"{call.api_url}/$metadata#Microsoft.Dynamics.CRM.BulkDeleteResponse"

    def apply() -> Written:
        deleted = delete_rows(call.environment.database, table, keys)
        return Written(json_answer({"@odata.context": context, "JobId": str(uuid4())}), deleted)

    return planned(call, "Delete", table, [guid_text(key) for key in keys], frozenset(), apply)


def _rows_of_query(call: Call, query: Json) -> tuple[Table, list[bytes]]:
    table = call.schema.tables.get(str(query.get("EntityName")))
    conditions = objects_in(object_in(query, "Criteria"), "Conditions")
    if table is None or len(conditions) != 1:
        raise not_supported("BulkDelete by other queries than an In on the primary key")
    condition = conditions[0]
    if condition.get("AttributeName") != table.primary_id or condition.get("Operator") != "In":
        raise not_supported("BulkDelete by other queries than an In on the primary key")
    return table, [guid_in(value.get("Value")) for value in objects_in(condition, "Values")]


ACTIONS: Final[dict[str, Callable[[Call], PlannedWrite]]] = {
    "CreateEntities": plan_create_entities,
    "PublishXml": plan_publish,
    "PublishAllXml": plan_publish,
    "CanBeReferenced": _plan_can_be("CanBeReferenced"),
    "CanBeReferencing": _plan_can_be("CanBeReferencing"),
    "BulkDelete": plan_bulk_delete,
}
