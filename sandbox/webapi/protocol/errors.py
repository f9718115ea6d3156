"""Errors as Dataverse answers them: an HTTP status, a code and a message (docs/reference/dataverse.md 13)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

OBJECT_DOES_NOT_EXIST: Final = "0x80040217"
PRIVILEGE_DENIED: Final = "0x80040220"
DUPLICATE_RECORD: Final = "0x80040237"
PAYLOAD_ERROR: Final = "0x80048d19"
SEGMENT_NOT_FOUND: Final = "0x8006088a"
QUERY_ERROR: Final = "0x80060888"
VERSION_MISMATCH: Final = "0x80060882"
KEY_NOT_DEFINED: Final = "0x80060890"
RECORD_NOT_FOUND_BY_KEY: Final = "0x80060891"
DUPLICATE_KEY_VALUE: Final = "0x80060892"
STRING_TOO_LONG: Final = "0x80044331"
VALUE_OUT_OF_RANGE: Final = "0x8004431a"
TOO_MANY_CONDITIONS: Final = "0x8004430C"
TOO_MANY_LINKS: Final = "0x8004430D"
AGGREGATE_LIMIT: Final = "0x8004E023"
PLUGIN_ABORTED: Final = "0x80040265"
COLUMN_CREATE_DENIED: Final = "0x8004f502"
COLUMN_READ_DENIED: Final = "0x8004f504"
COLUMN_UPDATE_DENIED: Final = "0x8004f507"
CUSTOMIZATION_LOCK: Final = "0x80071151"
NOT_IMPLEMENTED: Final = "0x80040219"
MESSAGE_NAMES: Final[Mapping[str, str]] = {
    OBJECT_DOES_NOT_EXIST: "ObjectDoesNotExist",
    PRIVILEGE_DENIED: "PrivilegeDenied",
    DUPLICATE_RECORD: "DuplicateRecord",
    VERSION_MISMATCH: "ConcurrencyVersionMismatch",
    DUPLICATE_KEY_VALUE: "DuplicateRecordEntityKey",
    STRING_TOO_LONG: "StringLengthTooLong",
    VALUE_OUT_OF_RANGE: "PicklistValueOutOfRange",
    COLUMN_CREATE_DENIED: "AttributePrivilegeCreateIsMissing",
    COLUMN_READ_DENIED: "AttributePermissionReadIsMissing",
    COLUMN_UPDATE_DENIED: "AttributePermissionUpdateIsMissingDuringUpdate",
}
"""What the platform calls its errors; those of the OData layer in front of it have no name."""


@dataclass(eq=False)
class ApiError(Exception):
    """The answer to a request that is refused. `code` may be "" or "0x0", as in Dataverse."""

    status: int
    code: str
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, object] = field(default_factory=dict)
    """More error details by name, for those who ask for annotations."""

    def __str__(self) -> str:
        return f"{self.status} {self.code} {self.message}"


def not_supported(feature: str) -> ApiError:
    """Return the answer to what Dataverse may do and the sandbox does not."""
    return ApiError(501, NOT_IMPLEMENTED, f"The sandbox does not support {feature}.")


def payload_error(message: str, entity_set: str = "") -> ApiError:
    """Return the answer to a body that cannot be read (docs/reference/dataverse.md 13.5)."""
    where = f" for Entity :'{entity_set}'" if entity_set else ""
    return ApiError(
        400,
        PAYLOAD_ERROR,
        f"Error identified in Payload provided by the user{where}, For more information on this error please follow "
        f"this help link https://go.microsoft.com/fwlink/?linkid=2195293  ---->  InnerException : {message}",
    )


def segment_not_found(segment: str) -> ApiError:
    """Return the answer to an unknown entity set or property in a URL."""
    return ApiError(404, SEGMENT_NOT_FOUND, f"Resource not found for the segment '{segment}'.")


def no_resource(url: str) -> ApiError:
    """Return the answer to an unknown action or function (docs/reference/dataverse.md 13.5)."""
    return ApiError(404, "", f"No HTTP resource was found that matches the request URI '{url}'.")


def wrong_method(method: str) -> ApiError:
    """Return the answer to a verb that the resource does not have."""
    return ApiError(405, "", f"The requested resource does not support http method '{method}'.")


def row_missing(logical_name: str, row_id: str) -> ApiError:
    """Return the answer to a single row that does not exist."""
    return ApiError(404, OBJECT_DOES_NOT_EXIST, f"Entity '{logical_name}' With Id = {row_id} Does Not Exist")
