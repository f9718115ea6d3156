"""What every change of metadata has in common: the privilege that it needs, and the answer that names what it made."""

from collections.abc import Callable

from sandbox.database import Database
from sandbox.schema.model import Schema
from sandbox.webapi.call import Call
from sandbox.webapi.messages import no_content
from sandbox.webapi.privileges import require
from sandbox.webapi.writing import PlannedWrite, Written


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
