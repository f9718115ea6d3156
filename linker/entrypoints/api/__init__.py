"""The HTTP API without its transport: operations, and how they are served. function_app.py puts them on routes."""

from linker.entrypoints.api.lists import get_audit, get_errors, get_runs, get_samples
from linker.entrypoints.api.openapi import document
from linker.entrypoints.api.runs import (
    get_run,
    get_status,
    post_cancel,
    post_pause,
    post_resume,
    post_run,
    post_unification_event,
)
from linker.entrypoints.api.tables import get_first_link, get_insights, get_preflight, get_row, post_approve
from linker.entrypoints.messages import Reply, Request
from linker.entrypoints.operations import Call, Operation, operation
from linker.entrypoints.serving import Api

__all__ = [
    "OPERATIONS",
    "Api",
    "Operation",
    "Reply",
    "Request",
    "get_audit",
    "get_errors",
    "get_first_link",
    "get_insights",
    "get_openapi",
    "get_preflight",
    "get_row",
    "get_run",
    "get_runs",
    "get_samples",
    "get_status",
    "post_approve",
    "post_cancel",
    "post_pause",
    "post_resume",
    "post_run",
    "post_unification_event",
]


@operation("GET", "/openapi.json")
async def get_openapi(call: Call) -> Reply:
    """Show this document."""
    return Reply(200, document(OPERATIONS, call.request.base_url))


# A new operation goes on its route in function_app.py, and here: the OpenAPI document lists these.
OPERATIONS: tuple[Operation, ...] = (
    post_run,
    post_unification_event,
    get_runs,
    get_run,
    post_cancel,
    get_errors,
    get_samples,
    get_row,
    get_insights,
    get_status,
    get_preflight,
    get_first_link,
    post_approve,
    post_pause,
    post_resume,
    get_audit,
    get_openapi,
)
