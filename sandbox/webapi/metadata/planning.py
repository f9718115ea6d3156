"""What every change of metadata has in common: the privilege that it needs, and the answer that names what it made."""

from collections.abc import Callable
from typing import Final

from sandbox.database import Database
from sandbox.schema.column_types import Column
from sandbox.schema.model import Schema, Table
from sandbox.webapi.metadata.parsing import column_exists
from sandbox.webapi.operations.writing import PlannedWrite, Written
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError
from sandbox.webapi.protocol.messages import no_content
from sandbox.webapi.security.privileges import require

INVALID: Final = "0x80047014"


def schema_of(call: Call) -> Schema:
    """Return the schema as it is now; changes never work on the lagging one."""
    return call.environment.database.schema


def plan_change(call: Call, privilege: str, change: Callable[[Database], None], url: str = "") -> PlannedWrite:
    """Plan a change that answers 204, with the URL of what it made. Raises the 403 answer."""
    require(call.environment, call.caller, privilege)
    database = call.environment.database

    def apply() -> Written:
        database.changing_server = call.request.server
        change(database)
        return Written(no_content({"OData-EntityId": f"{call.api_url}/{url}"} if url else {}))

    return PlannedWrite(apply, customizes=True)


def check_new_column(table: Table, column: Column) -> None:
    """Raise the 400 answer for a column that a table cannot get."""
    if not table.takes_columns:  # which code Dataverse gives is not documented
        raise ApiError(
            400, INVALID, f"No attributes can be created on {table.logical_name}: CanCreateAttributes is false."
        )
    existing = table.columns.get(column.logical_name)
    if existing is None:
        return
    if existing.schema_name == column.schema_name:
        raise ApiError(
            400,
            "0x80047013",
            f"An attribute with the specified name {column.schema_name} already exists on entity {table.logical_name}.",
        )
    raise column_exists(table.logical_name, column)
