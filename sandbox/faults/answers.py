"""The answers of faults that answer by themselves, as Dataverse or a gateway in front of it would send them."""

import sqlite3
from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from sandbox.faults.model import Fault
from sandbox.middleware.admission import throttled
from sandbox.middleware.service_protection import refusal
from sandbox.switches.config import SandboxConfig
from sandbox.webapi.operations.elastic_tables import table_throttled
from sandbox.webapi.protocol.errors import PLUGIN_ABORTED, ApiError
from sandbox.webapi.protocol.messages import error_answer

_LOCKED: Final = (
    "Cannot start another [EntityCustomization] because there is a previous [EntityCustomization] running at this "
    "moment. Use Solution History for more details."
)
_NAMES: Final = {
    "name_reserved": (500, "0x80060890", "An object with same name exists in solution."),
    "name_not_unique": (
        400,
        "0x80044363",
        "The schema name is not unique: an object with the same name already exists.",
    ),
    "navigation_name_taken": (400, "0x80072551", "The NavigationPropertyName is not unique within an entity."),
}
"""What a new column or relationship gets while a deleted one keeps its name, or when a name clashes."""
_HTML: Final = (
    "<!DOCTYPE html><html><head><title>Service Unavailable</title></head><body><h2>Service Unavailable</h2><hr>"
    "<p>HTTP Error 503. The service is unavailable.</p></body></html>"
)


def answer_of(fault: Fault, config: SandboxConfig) -> Response | None:
    """Return the answer of a fault, None if its kind is not an answer."""
    make = _ANSWERS.get(fault.kind)
    return make(fault, config) if make else None


def operation_error(fault: Fault) -> ApiError | sqlite3.OperationalError:
    """Return the error of a fault that strikes an operation (docs/reference/dataverse.md 2.6), or of a full disk."""
    if fault.kind == "disk_full":
        return sqlite3.OperationalError("database or disk is full")
    if fault.kind == "plugin_refusal":
        return _aborted(fault)
    if fault.kind == "deadlock":
        message = "Generic SQL error. CRM ErrorCode: -2147204784 Sql ErrorCode: -2146232060 Sql Number: 1205"
        return ApiError(fault.status or 400, "0x80044150", message)
    message = "SQL timeout expired. CRM ErrorCode: -2147204783 Sql ErrorCode: -2146232060 Sql Number: -2"
    return ApiError(fault.status or 400, "0x80044151", message)


def _limit(name: str) -> Callable[[Fault, SandboxConfig], Response]:
    def answer(fault: Fault, config: SandboxConfig) -> Response:
        wait_s = (1 if fault.retry_after_s is None else fault.retry_after_s) * config.time_scale
        return throttled(refusal(config, name, wait_s))

    return answer


def _customization_lock(fault: Fault, config: SandboxConfig) -> Response:
    del config
    return _error(ApiError(429, "0x80071151", _LOCKED, _retry_after(fault)))


def _server_error(fault: Fault, config: SandboxConfig) -> Response:
    del config
    return _error(ApiError(fault.status or 500, "0x80040216", "An unexpected error occurred."))


def _aborted(fault: Fault) -> ApiError:
    return ApiError(fault.status or 400, PLUGIN_ABORTED, "ISV code aborted the operation.")


def _name_refused(fault: Fault, config: SandboxConfig) -> Response:
    del config
    status, code, message = _NAMES[fault.kind]
    return _error(ApiError(fault.status or status, code, message))


def _unauthorized(fault: Fault, config: SandboxConfig) -> Response:
    del fault, config
    challenge = 'Bearer error="invalid_token", error_description="The token expired."'
    return Response(status_code=401, headers={"WWW-Authenticate": challenge})


def _unavailable(fault: Fault, config: SandboxConfig) -> Response:
    del config
    return Response(_HTML, fault.status or 503, _retry_after(fault), "text/html; charset=us-ascii")


def _error(error: ApiError) -> Response:
    answer = error_answer(error)
    return Response(answer.body, answer.status, {"OData-Version": "4.0", **answer.headers})


def _retry_after(fault: Fault) -> dict[str, str]:
    return {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}


_ANSWERS: Final[dict[str, Callable[[Fault, SandboxConfig], Response]]] = {
    "requests_limit": _limit("requests"),
    "execution_limit": _limit("execution"),
    "concurrency_limit": _limit("concurrency"),
    "customization_lock": _customization_lock,
    "server_error": _server_error,
    "plugin_refusal": lambda fault, _config: _error(_aborted(fault)),
    "unauthorized": _unauthorized,
    "unavailable": _unavailable,
    "table_throttled": lambda fault, _config: _error(table_throttled(_retry_after(fault))),
    **dict.fromkeys(_NAMES, _name_refused),
}
