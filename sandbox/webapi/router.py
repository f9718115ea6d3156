"""Finds what a request is about and hands it on; the table of contents of the Web API."""

from collections.abc import Sequence
from typing import Final

from sandbox.query.syntax import (
    QueryError,
    RefusedJoinError,
    SecuredColumnError,
    TooManyConditionsError,
    TooManyLinksError,
    UnsupportedQueryError,
)
from sandbox.runtime import Environment
from sandbox.schema.model import Table
from sandbox.webapi.metadata.changing import plan_definition_change
from sandbox.webapi.metadata.csdl import read_csdl
from sandbox.webapi.metadata.reading import read_definitions
from sandbox.webapi.operations.actions import ACTIONS
from sandbox.webapi.operations.aggregating import aggregate
from sandbox.webapi.operations.bulk import (
    plan_create_multiple,
    plan_delete_multiple,
    plan_update_multiple,
    plan_upsert_multiple,
)
from sandbox.webapi.operations.elastic_tables import PROVIDER_ERROR, throttle
from sandbox.webapi.operations.fetching import asks_for_fetch, fetch_rows
from sandbox.webapi.operations.functions import FUNCTIONS
from sandbox.webapi.operations.navigation import plan_reference, read_below
from sandbox.webapi.operations.not_implemented import DATAVERSE_MESSAGES
from sandbox.webapi.operations.reading import count_rows, get_row, list_rows
from sandbox.webapi.operations.rows import plan_column, plan_create, plan_delete, plan_update
from sandbox.webapi.operations.writing import PlannedWrite, run_writes
from sandbox.webapi.protocol.call import Call, open_call
from sandbox.webapi.protocol.errors import (
    COLUMN_READ_DENIED,
    QUERY_ERROR,
    TOO_MANY_CONDITIONS,
    TOO_MANY_LINKS,
    ApiError,
    no_resource,
    not_supported,
    segment_not_found,
    wrong_method,
)
from sandbox.webapi.protocol.messages import ApiRequest, ApiResponse, error_answer, json_answer
from sandbox.webapi.protocol.references import existing_key
from sandbox.webapi.protocol.urls import Segment, parse_path, unquoted
from sandbox.webapi.security.roles import (
    plan_add_privileges,
    plan_remove_privilege,
    retrieve_principal_attribute_privileges,
    retrieve_role_privileges,
    retrieve_user_privileges,
)

_NAMESPACE: Final = "Microsoft.Dynamics.CRM."
_ROLE_ACTIONS: Final = {
    f"{_NAMESPACE}AddPrivilegesRole": plan_add_privileges,
    f"{_NAMESPACE}RemovePrivilegeRole": plan_remove_privilege,
}
_USER_FUNCTIONS: Final = {
    f"{_NAMESPACE}RetrieveUserPrivileges": retrieve_user_privileges,
    f"{_NAMESPACE}RetrievePrincipalAttributePrivileges": retrieve_principal_attribute_privileges,
}
_DEFINITIONS: Final = frozenset({"EntityDefinitions", "RelationshipDefinitions"})
_UNSUPPORTED: Final = {
    "GlobalOptionSetDefinitions": "global option sets",
    "ManagedPropertyDefinitions": "managed property definitions",
    "RetrieveMetadataChanges": "RetrieveMetadataChanges",
    "CreatePolymorphicLookupAttribute": "polymorphic lookups made at run time",
    "CreateCustomerRelationships": "customer lookups made at run time",
    "RetrieveEntityChanges": "RetrieveEntityChanges; the Web API tracks changes by a preference",
    "Merge": "merging rows",
    **{name: name for name in DATAVERSE_MESSAGES},
}


async def answer(environment: Environment, request: ApiRequest) -> ApiResponse:
    """Answer one operation; refusals become error answers. Only a fault's own exceptions pass through."""
    try:
        call = open_call(environment, request)
        segments = parse_path(request.path)
        if request.method == "GET":
            return await _read(call, segments)
        return (await run_writes(environment, plan(call, segments)))[-1]
    except (ApiError, QueryError) as error:
        return error_answer(as_api_error(error), request)


def as_api_error(error: ApiError | QueryError) -> ApiError:
    """Return the answer to an error of a query; other refusals are answers already."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, UnsupportedQueryError):
        return not_supported(str(error))
    if isinstance(error, TooManyConditionsError):
        return ApiError(400, TOO_MANY_CONDITIONS, str(error))
    if isinstance(error, TooManyLinksError):
        return ApiError(400, TOO_MANY_LINKS, str(error))
    if isinstance(error, SecuredColumnError):
        return ApiError(403, COLUMN_READ_DENIED, str(error))
    if isinstance(error, RefusedJoinError):
        return ApiError(400, PROVIDER_ERROR, str(error))
    return ApiError(400, QUERY_ERROR, str(error))


async def _read(call: Call, segments: Sequence[Segment]) -> ApiResponse:
    if not segments:
        return _service_document(call)
    first = segments[0]
    if first.name == "$metadata" and len(segments) == 1:
        return await read_csdl(call)
    if first.name == "RetrieveRolePrivilegesRole":
        return await retrieve_role_privileges(call, first)
    if first.name in FUNCTIONS:
        return await FUNCTIONS[first.name](call, first)
    if first.name in _DEFINITIONS:
        return await read_definitions(call, segments)
    if first.name == "GlobalOptionSetDefinitions":
        return _no_option_sets(call, first)
    if first.name in _UNSUPPORTED:
        raise not_supported(_UNSUPPORTED[first.name])
    if first.name in ACTIONS:
        raise no_resource(f"{call.api_url}/{call.request.path}")
    return await _read_rows(call, segments)


def _unknown(call: Call, name: str) -> ApiError:
    """Return the 404 answer to what a table has no segment for; an action is not a resource of a GET."""
    if name.startswith(_NAMESPACE):
        return no_resource(f"{call.api_url}/{call.request.path}")
    return segment_not_found(name)


def _no_option_sets(call: Call, segment: Segment) -> ApiResponse:
    """Answer `GET GlobalOptionSetDefinitions`: the list is empty, and `$filter` is refused (seen live)."""
    if "$filter" in call.request.options:
        raise wrong_method(call.request.method)
    if segment.arguments is not None:
        name = unquoted(segment.named_arguments.get("Name", segment.single_key or ""))
        raise ApiError(404, "0x80040217", f"Could not find an optionset with the specified name: {name}.")
    return json_answer({"@odata.context": f"{call.api_url}/$metadata#GlobalOptionSetDefinitions", "value": []})


def _service_document(call: Call) -> ApiResponse:
    """Answer `GET /`: the entity sets."""
    names = sorted(table.entity_set for table in call.schema.tables.values())
    sets = [{"name": name, "kind": "EntitySet", "url": name} for name in names]
    return json_answer({"@odata.context": f"{call.api_url}/$metadata", "value": sets})


async def _read_rows(call: Call, segments: Sequence[Segment]) -> ApiResponse:
    table = call.table_of_set(segments[0].name)
    throttle(call, table)
    names = [segment.name for segment in segments[1:]]
    if segments[0].arguments is None:
        table = call.seen(table)
        if not names:
            if "$apply" in call.request.options:
                return await aggregate(call, table)
            return await (fetch_rows if asks_for_fetch(call) else list_rows)(call, table)
        if names == ["$count"]:
            return await count_rows(call, table)
        raise _unknown(call, names[0])
    key = existing_key(call, table, segments[0])
    if not names:
        return await get_row(call, call.seen(table), key)
    if table.logical_name == "systemuser" and len(names) == 1 and names[0] in _USER_FUNCTIONS:
        return await _USER_FUNCTIONS[names[0]](call, key)
    return await read_below(call, table, key, segments[1:])


def plan(call: Call, segments: Sequence[Segment]) -> list[PlannedWrite]:
    """Return what a request that is not a GET will do. Raises ApiError or QueryError if it cannot be done."""
    if not segments:
        raise wrong_method(call.request.method)
    name = segments[0].name
    if name in _DEFINITIONS:
        return [plan_definition_change(call, segments)]
    if name in ACTIONS and call.request.method == "POST" and len(segments) == 1:
        return [ACTIONS[name](call)]
    if name in _UNSUPPORTED:
        raise not_supported(_UNSUPPORTED[name])
    if name in FUNCTIONS:  # functions are asked by GET alone
        raise no_resource(f"{call.api_url}/{call.request.path}")
    table = call.table_of_set(segments[0].name)
    throttle(call, table)
    if segments[0].arguments is None:
        return _plan_on_set(call, table, segments[1:])
    if len(segments) == 1:
        return [_plan_on_row(call, table, segments[0])]
    return [_plan_below_row(call, table, segments)]


def _plan_on_set(call: Call, table: Table, rest: Sequence[Segment]) -> list[PlannedWrite]:
    if call.request.method != "POST":
        raise wrong_method(call.request.method)
    if not rest:
        return [plan_create(call, table)]
    namespace, _, action = rest[0].name.rpartition(".")
    if f"{namespace}." != _NAMESPACE:
        raise no_resource(f"{call.api_url}/{call.request.path}")
    match action:
        case "CreateMultiple":
            return [plan_create_multiple(call, table)]
        case "UpdateMultiple":
            return [plan_update_multiple(call, table)]
        case "UpsertMultiple":
            return plan_upsert_multiple(call, table)
        case "DeleteMultiple" if table.elastic:
            return [plan_delete_multiple(call, table)]
        case "DeleteMultiple":
            raise ApiError(400, "0x80040219", "DeleteMultiple has not yet been implemented.")
    raise no_resource(f"{call.api_url}/{call.request.path}")


def _plan_on_row(call: Call, table: Table, segment: Segment) -> PlannedWrite:
    match call.request.method:
        case "PATCH":
            return plan_update(call, table, segment)
        case "DELETE":
            return plan_delete(call, table, existing_key(call, table, segment))
    raise wrong_method(call.request.method)


def _plan_below_row(call: Call, table: Table, segments: Sequence[Segment]) -> PlannedWrite:
    key = existing_key(call, table, segments[0])
    name = segments[1].name
    if len(segments) == 3 and segments[2].name == "$ref":
        return plan_reference(call, table, key, segments[1])
    if table.logical_name == "role" and name in _ROLE_ACTIONS and call.request.method == "POST":
        return _ROLE_ACTIONS[name](call, table, key)
    if len(segments) == 2 and call.request.method in {"PUT", "DELETE"}:
        return plan_column(call, table, key, name)
    raise no_resource(f"{call.api_url}/{call.request.path}")
