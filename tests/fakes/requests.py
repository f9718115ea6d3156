"""What the linker asks of Dataverse, read from HTTP: a request or a part of a batch, and its kind by which tests count."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from sandbox.query.evaluation import Test, compile_test
from sandbox.query.parser import parse_filter
from sandbox.query.syntax import Path
from sandbox.webapi.protocol.errors import ApiError
from sandbox.webapi.protocol.messages import ApiRequest
from sandbox.webapi.protocol.multipart import Operation, read_items

URL = "https://contoso.crm4.dynamics.com"
API = "/api/data/v9.2/"
COLUMN = "msdynci_lookupfield_customerprofile"
NAVIGATION = "msdynci_LookupField_CustomerProfile"
PROFILE_SET = "msdynci_customerprofiles"
STAMP = "2026-11-01T00:00:00Z"
MISSING_ROW = "0x80040217"
MISSING_TARGET = "0x80060891"
CHANGED_ROW = "0x80060882"
LABEL = "@OData.Community.Display.V1.FormattedValue"


class Refusal(Exception):  # noqa: N818 - an answer, not an error of the fake
    """An error answer."""

    def __init__(self, status: int, code: str = "", text: str = "", retry_after: str | None = None) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text
        self.headers = {"Retry-After": retry_after} if retry_after else {}

    @property
    def body(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.text}}

    def answer(self) -> httpx.Response:
        return httpx.Response(self.status, json=self.body, headers=self.headers)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, or one part of a batch."""

    method: str
    path: str  # below the API, decoded, without options
    options: dict[str, str]
    headers: dict[str, str]
    body: Any = None

    @property
    def kind(self) -> str:
        """Name by which tests count and stop requests."""
        return _kind(self)


def parse(method: str, url: str, headers: dict[str, str], content: bytes) -> Request:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    body = json.loads(content) if content else None
    path = unquote(parts.path).removeprefix(API)
    return Request(method, path, options, {name.lower(): value for name, value in headers.items()}, body)


def batch_parts(request: httpx.Request) -> list[Request]:
    headers = {name.lower(): value for name, value in request.headers.items()}
    batch = ApiRequest(request.method, "$batch", "", headers, request.content, "")
    try:
        found = [item.request for item in read_items(batch) if isinstance(item, Operation)]
    except ApiError as error:
        raise Refusal(error.status, error.code, error.message) from None
    return [
        parse(one.method, f"{URL}{API}{one.path}?{one.query}", dict(one.headers), one.body.strip()) for one in found
    ]


def _kind(asked: Request) -> str:  # noqa: PLR0911, PLR0912 - a table of names
    filtered, select = asked.options.get("$filter", ""), asked.options.get("$select", "")
    match asked.method, asked.path:
        case "GET", "msdynci_alternatekeys/$count":
            return "count"
        case "GET", "msdynci_alternatekeys" | "msdynci_customerprofiles" if "$orderby" in asked.options:
            return "marks"
        case "GET", "msdynci_alternatekeys" if "Dynamics.CRM.In(" in filtered:
            return "absent"
        case "GET", "msdynci_alternatekeys" if "$top" in asked.options:
            return (
                "source"
                if "$select" in asked.options and "alternatevalue" not in asked.options["$select"]
                else "sample"
            )
        case "GET", "msdynci_alternatekeys":
            return "mapping"
        case "GET", "msdynci_customerprofiles":
            if "customerprofileid" in filtered:
                return "profiles to touch"
            return "profiles" if filtered else "any profile"
        case "GET", path if path.split("(")[0] in ("EntityDefinitions", "sdkmessagefilters", "WhoAmI", "systemusers"):
            return "metadata"
        case "GET", _:
            if f"_{COLUMN}_value" not in select:
                return "empties" if "eq null" in filtered else "keys"
            if "ne null" in filtered:
                return "linked rows"
            return "links" if "Dynamics.CRM.In(" in filtered else "column"
        case "POST", "RelationshipDefinitions":
            return "create column"
        case "POST" | "PATCH", path if path.startswith(PROFILE_SET):
            return "touch"
        case "POST", _:
            return "update"
    return "clear" if None in (asked.body or {}).values() else "patch"


def filtered(rows: list[dict[str, Any]], asked: Request) -> list[dict[str, Any]]:
    """Return the rows that the filter of a request lets through."""
    expression = asked.options.get("$filter", "")
    return list(filter(matcher(expression), rows)) if expression else rows


def matcher(expression: str) -> Test[Mapping[str, Any]]:
    """Return the test that a filter stands for, with texts compared regardless of case (docs/reference/dataverse.md 6.2)."""
    return compile_test(parse_filter(expression), _value, fold_case=True)


def _value(row: Mapping[str, Any], path: Path) -> Any:
    return row.get(str(path))
