"""Requests and answers of the Web API, the same for HTTP and for the parts of a `$batch`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import unquote_plus

import orjson

from sandbox.webapi.errors import ApiError, payload_error

JSON_TYPE: Final = "application/json; odata.metadata=minimal"
MAX_URL: Final = 32_768
MAX_URL_IN_BATCH: Final = 65_536
_HELP: Final = "http://go.microsoft.com/fwlink/?LinkID=398563&error=Microsoft.Crm.CrmException%3a"
_PREFERENCE: Final = re.compile(r'([\w.-]+)\s*(?:=\s*(?:"([^"]*)"|([^,;\s]+)))?')


@dataclass(frozen=True)
class ApiRequest:
    """One operation. `path` is relative to the service root and still percent-encoded; header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    caller: str
    references: Mapping[str, str] = field(default_factory=dict)
    """Content-IDs of a `$batch` and the URLs that they stand for, such as `$1` -> `/contacts(...)`."""

    @cached_property
    def options(self) -> dict[str, str]:
        """The query options, decoded; `+` is a blank (dataverse.md 17.2). Names are case-sensitive."""
        pairs = (part.partition("=") for part in self.query.split("&") if part)
        return {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}

    @property
    def aliases(self) -> dict[str, str]:
        """The parameters such as `@p1`."""
        return {name: value for name, value in self.options.items() if name.startswith("@")}

    @cached_property
    def preferences(self) -> dict[str, str]:
        """The preferences of `Prefer`, several in one header (dataverse.md 14)."""
        found = _PREFERENCE.finditer(self.headers.get("prefer", ""))
        return {match[1].lower(): match[2] if match[2] is not None else match[3] or "" for match in found}

    @property
    def strong(self) -> bool:
        """Whether metadata must be fresh (`Consistency: Strong`)."""
        return self.headers.get("consistency", "").lower() == "strong"

    @property
    def annotations(self) -> str:
        """The wanted annotations, "" for none; `*` is all."""
        return self.preferences.get("odata.include-annotations", "")

    def json(self) -> dict[str, Any]:
        """Return the body, which must be a JSON object."""
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise payload_error(f"Microsoft.OData.ODataException: {error}") from None
        if not isinstance(document, dict):
            raise payload_error("Microsoft.OData.ODataException: a JSON object is expected.")
        return document


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """One answer; `OData-Version` is added where it leaves."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def json_answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> ApiResponse:
    """Return a JSON answer."""
    return ApiResponse(status, {"Content-Type": JSON_TYPE, **(headers or {})}, orjson.dumps(document))


def no_content(headers: Mapping[str, str] | None = None) -> ApiResponse:
    """Return 204."""
    return ApiResponse(204, dict(headers or {}))


def error_answer(error: ApiError, request: ApiRequest | None = None) -> ApiResponse:
    """Return an error as JSON, with its details if annotations are asked for (dataverse.md 13.1)."""
    body: dict[str, object] = {"code": error.code, "message": error.message}
    prefix = "@Microsoft.PowerApps.CDS."
    if request and request.annotations in {"*", "Microsoft.PowerApps.CDS.ErrorDetails.*"}:
        body |= {f"{prefix}ErrorDetails.{name}": value for name, value in error.details.items()}
    if request and request.annotations == "*":
        body[f"{prefix}ErrorDetails.OperationStatus"] = "0"
        body[f"{prefix}ErrorDetails.SubErrorCode"] = "0"
        body[f"{prefix}HelpLink"] = f"{_HELP}{error.code}&client=platform"
        body[f"{prefix}TraceText"] = ""
        body[f"{prefix}InnerError.Message"] = error.message
    return json_answer({"error": body}, error.status, error.headers)
