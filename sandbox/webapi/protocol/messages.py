"""Requests and answers of the Web API, the same for HTTP and for the parts of a `$batch`."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final
from urllib.parse import unquote_plus
from uuid import NAMESPACE_OID, uuid4, uuid5

import orjson

from sandbox.webapi.protocol.errors import MESSAGE_NAMES, PLUGIN_ABORTED, QUERY_ERROR, ApiError, payload_error
from sandbox.webapi.protocol.languages import localized

JSON_TYPE: Final = "application/json; odata.metadata=minimal"
MAX_URL: Final = 32_768
MAX_URL_IN_BATCH: Final = 65_536
_DETAILS: Final = "Microsoft.PowerApps.CDS."
_HELP: Final = "http://go.microsoft.com/fwlink/?LinkID=398563&error=Microsoft.Crm.CrmException%3a"
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
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
    address: str = ""
    """Scheme and host as the client wrote them, such as `https://Contoso.crm4.dynamics.com`; links repeat them."""
    server: int = 0
    """The virtual web server that has the request, from 0."""
    references: Mapping[str, str] = field(default_factory=dict)
    """Content-IDs of a `$batch` and the URLs that they stand for, such as `$1` -> `/contacts(...)`."""

    @cached_property
    def options(self) -> dict[str, str]:
        """The query options, decoded; `+` is a blank (docs/reference/dataverse.md 17.2). Names are case-sensitive."""
        pairs = [part.partition("=") for part in self.query.split("&") if part]
        options = {unquote_plus(name): unquote_plus(value) for name, _, value in pairs}
        if len(options) < len(pairs):
            _refuse_repeated(unquote_plus(name) for name, _, _ in pairs)
        return options

    @property
    def aliases(self) -> dict[str, str]:
        """The parameters such as `@p1`."""
        return {name: value for name, value in self.options.items() if name.startswith("@")}

    @cached_property
    def preferences(self) -> dict[str, str]:
        """The preferences of `Prefer`, several in one header (docs/reference/dataverse.md 14)."""
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

    def wants(self, annotation: str) -> bool:
        """Return whether an annotation is asked for, by its name or by a pattern such as `Microsoft.Dynamics.CRM.*`."""
        patterns = (pattern.strip() for pattern in self.annotations.split(","))
        return any(annotation == p or (p.endswith("*") and annotation.startswith(p[:-1])) for p in patterns)

    def json(self) -> dict[str, Any]:
        """Return the body, which must be a JSON object."""
        try:
            document = orjson.loads(self.body.removeprefix(_BYTE_ORDER_MARK))
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
    """Return an error as JSON, with its details if annotations are asked for (docs/reference/dataverse.md 13.1)."""
    message = localized(error.code, error.message)
    body: dict[str, object] = {"code": error.code, "message": message}
    details = {f"ErrorDetails.{name}": value for name, value in {**_details(error), **error.details}.items()}
    details |= {
        "HelpLink": f"{_HELP}{error.code.removeprefix('0x')}&client=platform",
        "TraceText": "",
        "InnerError.Message": message,
    }
    for name, value in details.items():
        if request and request.wants(f"{_DETAILS}{name}"):
            body[f"@{_DETAILS}{name}"] = value
    return json_answer({"error": body}, error.status, error.headers)


_SUB_ERRORS: Final = {PLUGIN_ABORTED: "-2146233088"}  # what .NET gives an exception without a code of its own


def _details(error: ApiError) -> dict[str, str]:
    """Return what recordings of 2025 and 2026 show of an error that the platform names; older ones show a status."""
    name = MESSAGE_NAMES.get(error.code)
    if name is None:
        return {"OperationStatus": "0", "SubErrorCode": _SUB_ERRORS.get(error.code, "0")}
    return {
        "ApiExceptionSourceKey": "Plugin/Microsoft.Crm.ObjectModel.CustomBusinessEntityService",
        "ApiStepKey": str(uuid5(NAMESPACE_OID, name)),
        "ApiDepthKey": "1",
        "ApiActivityIdKey": str(uuid4()),
        "ApiPluginSolutionNameKey": "System",
        "ApiStepSolutionNameKey": "System",
        "ApiExceptionCategory": "ClientError" if error.status < 500 else "SystemFailure",
        "ApiExceptionMessageName": name,
        "ApiExceptionHttpStatusCode": str(error.status),
    }


def joined_headers(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by lower-case name; one that is sent several times, such as `Prefer`, is one list."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.strip().lower()
        headers[key] = f"{headers[key]}, {value.strip()}" if key in headers else value.strip()
    return headers


def _refuse_repeated(names: Iterable[str]) -> None:
    """Raise the 400 answer for a query option that is in the URL twice; unknown parameters may."""
    for name, times in Counter(names).items():
        if times > 1 and name.startswith(("$", "@")):
            raise ApiError(
                400,
                QUERY_ERROR,
                f"Query option '{name}' was specified more than once, but it must be specified at most once.",
            )
