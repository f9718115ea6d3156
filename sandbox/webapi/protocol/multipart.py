"""The multipart body of a `$batch` and of its answer (docs/reference/dataverse.md 3)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from uuid import uuid4

from sandbox.webapi.protocol.errors import ApiError, payload_error
from sandbox.webapi.protocol.messages import MAX_URL_IN_BATCH, ApiRequest, ApiResponse, joined_headers
from sandbox.webapi.protocol.urls import relative

MAX_OPERATIONS: Final = 1000
_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]+)"|([^\s";,]+))', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Operation:
    """One request inside a batch."""

    request: ApiRequest
    content_id: str | None


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Operations that succeed or fail together."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    headers: Mapping[str, str]
    body: bytes


type Item = Operation | ChangeSet


def read_items(request: ApiRequest) -> list[Item]:
    """Return what a batch asks for. Raises the 400 answer for a body that is not one."""
    if request.method != "POST":
        raise ApiError(405, "", f"The requested resource does not support http method '{request.method}'.")
    boundary = _boundary(request.headers)
    if not boundary:
        raise payload_error("Microsoft.OData.ODataException: the boundary of the multipart body is missing.")
    items = [_item(request, part) for part in _parts(_with_crlf(request.body), boundary)]
    count = sum(len(item.operations) if isinstance(item, ChangeSet) else 1 for item in items)
    if count > MAX_OPERATIONS:
        raise ApiError(400, "0x80060888", f"The batch exceeds the maximum of {MAX_OPERATIONS} operations.")
    return items


def _boundary(headers: Mapping[str, str]) -> str:
    match = _BOUNDARY.search(headers.get("content-type", ""))
    return match[1] or match[2] if match else ""


def _item(request: ApiRequest, part: _Part) -> Item:
    boundary = _boundary(part.headers)
    if not boundary:
        return _operation(request, part)
    members = _parts(part.body, boundary)
    return ChangeSet(tuple(_operation(request, member) for member in members))


def _with_crlf(body: bytes) -> bytes:
    """Return a body whose lines end in CRLF: bare line feeds count if two of them end it (Microsoft: batch errors)."""
    bare = b"\r\n" not in body and body.endswith(b"\n\n")
    return body.replace(b"\n", b"\r\n") if bare else body


def _parts(body: bytes, boundary: str) -> Iterator[_Part]:
    """Yield the parts between boundaries. Raises the 400 answer unless lines end in CRLF (docs/reference/dataverse.md 3.1)."""
    mark = b"--" + boundary.encode()
    pieces = re.split(rb"(?:^|\r?\n)" + re.escape(mark), body)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        raise payload_error("Microsoft.OData.ODataException: Stream was not readable.")
    for piece in pieces[1:-1]:
        if not piece.startswith(b"\r\n"):
            raise payload_error("System.ArgumentException: Stream was not readable.")
        headers, _, content = piece[2:].partition(b"\r\n\r\n")
        yield _Part(_headers(headers), content)


def _headers(text: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.decode("utf-8", "replace").split("\r\n") if ":" in line)
    return joined_headers((name, value) for name, _, value in pairs)


def _operation(batch: ApiRequest, part: _Part) -> Operation:
    head, _, body = part.body.partition(b"\r\n\r\n")
    line, _, headers = head.lstrip(b"\r\n").partition(b"\r\n")
    words = line.decode("utf-8", "replace").split(" ")
    if len(words) < 3 or not words[-1].startswith("HTTP/"):
        raise payload_error("System.ArgumentException: Stream was not readable.")
    url = " ".join(words[1:-1])
    if len(url) > MAX_URL_IN_BATCH:
        raise ApiError(414, "", "The request URI is too long.")
    path, query = relative(url)
    if path.endswith("$batch"):
        raise payload_error("Microsoft.OData.ODataException: a batch cannot contain a batch.")
    request = ApiRequest(
        words[0].upper(), path, query, _headers(headers), body, batch.caller, batch.address, batch.server
    )
    return Operation(request, part.headers.get("content-id") or request.headers.get("content-id"))


def write_part(answered: ApiResponse, content_id: str | None) -> bytes:
    """Return an answer as a part, with the Content-ID of its request."""
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id:
        lines.append(f"Content-ID: {content_id}")
    lines += ["", f"HTTP/1.1 {answered.status} {HTTPStatus(answered.status).phrase}", "OData-Version: 4.0"]
    lines += [f"{name}: {value}" for name, value in _part_headers(answered).items()]
    return "\r\n".join([*lines, "", ""]).encode() + answered.body


def _part_headers(answered: ApiResponse) -> dict[str, str]:
    """Return the headers of a part as Microsoft's examples have them (docs/reference/dataverse.md 3.2, 3.3)."""
    headers = dict(answered.headers)
    if answered.status >= 400:
        return {"REQ_ID": str(uuid4()), **headers}
    if headers.get("Content-Type", "").startswith("application/json"):
        headers["Content-Type"] += "; odata.streaming=true"
    if "OData-EntityId" in headers:
        headers = {"Location": headers["OData-EntityId"], **headers}
    return headers


def join_parts(boundary: str, parts: Sequence[bytes]) -> bytes:
    """Return the parts with the boundary around each."""
    mark = f"--{boundary}".encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def write_answer(boundary: str, parts: Sequence[bytes], status: int) -> ApiResponse:
    """Return the answer of a batch."""
    return ApiResponse(status, {"Content-Type": f"multipart/mixed; boundary={boundary}"}, join_parts(boundary, parts))
