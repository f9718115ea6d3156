"""Functions that are bound to no table: who am I, how many rows, which organization."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import orjson

from sandbox.webapi.metadata.documents import LANGUAGE
from sandbox.webapi.operations.cosmos_queries import execute_cosmos_sql_query
from sandbox.webapi.operations.elastic_tables import check_countable
from sandbox.webapi.protocol.call import Call
from sandbox.webapi.protocol.errors import ApiError
from sandbox.webapi.protocol.messages import ApiResponse, json_answer
from sandbox.webapi.protocol.urls import Segment, argument
from sandbox.webapi.security.organization import BUSINESS_UNIT_ID, ORGANIZATION_ID, VERSION

_SNAPSHOT_AGE: Final = timedelta(hours=24)


def _context(call: Call, name: str) -> dict[str, object]:
    return {"@odata.context": f"{call.api_url}/$metadata#Microsoft.Dynamics.CRM.{name}Response"}


async def who_am_i(call: Call, _segment: Segment) -> ApiResponse:
    """Answer `WhoAmI` (docs/reference/dataverse.md 11)."""
    ids = {"BusinessUnitId": BUSINESS_UNIT_ID, "UserId": call.user_id, "OrganizationId": ORGANIZATION_ID}
    return json_answer(_context(call, "WhoAmI") | ids)


async def retrieve_version(call: Call, _segment: Segment) -> ApiResponse:
    """Answer `RetrieveVersion`."""
    return json_answer(_context(call, "RetrieveVersion") | {"Version": VERSION})


async def retrieve_languages(call: Call, segment: Segment) -> ApiResponse:
    """Answer `RetrieveAvailableLanguages` and `RetrieveProvisionedLanguages`: English alone, as all labels are."""
    name = "RetrieveProvisionedLanguages" if "Provisioned" in segment.name else "LocaleIds"
    return json_answer(_context(call, segment.name) | {name: [LANGUAGE]})


async def retrieve_current_organization(call: Call, _segment: Segment) -> ApiResponse:
    """Answer `RetrieveCurrentOrganization` (docs/reference/dataverse.md 11)."""
    detail = {
        "OrganizationId": ORGANIZATION_ID,
        "FriendlyName": "Sandbox",
        "OrganizationVersion": VERSION,
        "OrganizationType": "CustomerTest",  # what the reference of OrganizationType calls a sandbox instance
        "EnvironmentId": ORGANIZATION_ID,
        "Geo": "EMEA",
        "UniqueName": "sandbox",
        "UrlName": "sandbox",
        "State": "Enabled",
        "Endpoints": {
            "Count": 1,
            "IsReadOnly": False,
            "Keys": ["WebApplication"],
            "Values": [f"{call.environment.base_url}/"],
        },
    }
    return json_answer(_context(call, "RetrieveCurrentOrganization") | {"Detail": detail})


def _names(array: str) -> list[str]:
    """Return the names of an array in double or single quotes. Raises the 400 answer."""
    try:
        names = orjson.loads(array.replace("'", '"'))
    except orjson.JSONDecodeError:
        names = None
    if not isinstance(names, list):
        raise ApiError(400, "0x0", f"'{array}' is not an array of names.")
    return [str(name) for name in names]


async def retrieve_total_record_count(call: Call, segment: Segment) -> ApiResponse:
    """Answer `RetrieveTotalRecordCount`: counts of whole tables that may be a day old (docs/reference/dataverse.md 5.3)."""
    names = _names(argument(segment, "EntityNames", call.request.aliases))
    unknown = [name for name in names if name not in call.schema.tables]
    if unknown:
        raise ApiError(
            400, "0x80041102", f"The entity with a name = '{unknown[0]}' was not found in the MetadataCache."
        )
    tables = [call.schema.tables[name] for name in names]
    call.require("Read", *tables)
    for table in tables:
        check_countable(call, table)
    oldest = call.environment.clock() - _SNAPSHOT_AGE
    counts = [call.environment.snapshots.count(call.environment.database, table, oldest) for table in tables]
    collection = {"Count": len(names), "IsReadOnly": False, "Keys": names, "Values": counts}
    return json_answer(_context(call, "RetrieveTotalRecordCount") | {"EntityRecordCountCollection": collection})


def _valid_relatives(name: str, parameter: str) -> "Function":
    """Return the function that lists the other ends of a relationship."""

    async def function(call: Call, segment: Segment) -> ApiResponse:
        if argument(segment, parameter, call.request.aliases) not in call.schema.tables:
            raise ApiError(400, "0x80041102", "The entity was not found in the MetadataCache.")
        return json_answer(_context(call, name) | {"EntityNames": sorted(call.schema.tables)})

    return function


type Function = Callable[[Call, Segment], Awaitable[ApiResponse]]

FUNCTIONS: Final[dict[str, Function]] = {
    "WhoAmI": who_am_i,
    "RetrieveVersion": retrieve_version,
    "RetrieveAvailableLanguages": retrieve_languages,
    "RetrieveProvisionedLanguages": retrieve_languages,
    "RetrieveCurrentOrganization": retrieve_current_organization,
    "RetrieveTotalRecordCount": retrieve_total_record_count,
    "ExecuteCosmosSqlQuery": execute_cosmos_sql_query,
    "GetValidReferencingEntities": _valid_relatives("GetValidReferencingEntities", "ReferencedEntityName"),
    "GetValidReferencedEntities": _valid_relatives("GetValidReferencedEntities", "ReferencingEntityName"),
}
