"""`$batch`: several operations in one request, with change sets that are all or nothing on standard tables (dataverse.md 3)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import accumulate
from typing import Final
from urllib.parse import unquote
from uuid import uuid4

from sandbox.environment import BatchPart, Environment
from sandbox.query.syntax import QueryError
from sandbox.webapi.call import open_call
from sandbox.webapi.errors import ApiError, not_supported, payload_error
from sandbox.webapi.messages import MAX_URL_IN_BATCH, ApiRequest, ApiResponse, error_answer, joined_headers
from sandbox.webapi.references import referenced
from sandbox.webapi.router import answer, as_api_error, plan
from sandbox.webapi.urls import parse_path, relative
from sandbox.webapi.writing import PlannedWrite, run_writes

MAX_OPERATIONS: Final = 1000
_BOUNDARY: Final = re.compile(r'boundary=(?:"([^"]+)"|([^\s";,]+))', re.IGNORECASE)
_REFERENCE: Final = re.compile(r"^/?(\$[\w-]+)")


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


async def answer_batch(environment: Environment, request: ApiRequest) -> ApiResponse:
    """Answer a `$batch`: 200 with an answer for each part, or 400 when one failed and processing stopped there."""
    try:
        items = _items(request)
    except ApiError as error:
        return error_answer(error, request)
    going_on = "odata.continue-on-error" in request.preferences
    boundary = f"batchresponse_{uuid4()}"
    references: dict[str, str] = {}
    parts: list[bytes] = []
    for item in items:
        part, failed = await _answer_item(environment, item, references)
        if failed and not going_on:
            return _multipart(boundary, [part], 400)
        parts.append(part)
    return _multipart(boundary, parts, 200)


async def _answer_item(environment: Environment, item: Item, references: dict[str, str]) -> tuple[bytes, bool]:
    if isinstance(item, ChangeSet):
        return await _answer_change_set(environment, item, references)
    answered = await _answer_operation(environment, item, references)
    return _part(answered, item.content_id), answered.status >= 400


async def _answer_operation(environment: Environment, operation: Operation, references: dict[str, str]) -> ApiResponse:
    try:
        request = _resolved(operation.request, references)
        await environment.hooks.before_part(_announced(request))
    except ApiError as error:
        return error_answer(error, operation.request)
    answered = await answer(environment, request)
    _remember(operation, answered, references)
    return answered


async def _answer_change_set(
    environment: Environment, change_set: ChangeSet, references: dict[str, str]
) -> tuple[bytes, bool]:
    """Plan every member, then run them; a failure answers one error for the set."""
    boundary = f"changesetresponse_{uuid4()}"
    try:
        answers = await _run_change_set(environment, change_set, references)
    except (ApiError, QueryError) as error:
        return _part(error_answer(as_api_error(error)), None), True
    ids = [operation.content_id for operation in change_set.operations]
    body = _joined(boundary, [_part(answered, i) for answered, i in zip(answers, ids, strict=True)])
    return f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n".encode() + body, False


async def _run_change_set(
    environment: Environment, change_set: ChangeSet, references: dict[str, str]
) -> list[ApiResponse]:
    plans: list[list[PlannedWrite]] = []
    for operation in change_set.operations:
        request = _resolved(operation.request, references)
        url = f"{environment.api_url_at(request.address)}/{unquote(request.path)}"
        if url.lower() in {planned[-1].url.lower() for planned in plans}:
            request = _of_existing(request)
        await environment.hooks.before_part(_announced(request))
        if request.method == "GET":
            raise payload_error("Microsoft.OData.ODataException: a change set cannot contain a GET.")
        planned = plan(open_call(environment, request), parse_path(request.path))
        if operation.content_id and planned[-1].url:
            references[f"${operation.content_id}"] = planned[-1].url
        plans.append(planned)
    return await _run_members(environment, plans)


async def _run_members(environment: Environment, plans: Sequence[Sequence[PlannedWrite]]) -> list[ApiResponse]:
    """Run the members in one transaction; on elastic tables each has its own, and what it wrote stays (3.3)."""
    elastic = {write.elastic for planned in plans for write in planned}
    if elastic == {True}:
        return [(await run_writes(environment, planned))[-1] for planned in plans]
    if True in elastic:
        raise not_supported("change sets that write elastic and standard tables together")
    answers = await run_writes(environment, [write for planned in plans for write in planned])
    return [answers[end - 1] for end in accumulate(map(len, plans))]


def _announced(request: ApiRequest) -> BatchPart:
    return BatchPart(request.method, request.path, request.caller, request.headers)


def _remember(operation: Operation, answered: ApiResponse, references: dict[str, str]) -> None:
    url = answered.headers.get("OData-EntityId")
    if operation.content_id and url:
        references[f"${operation.content_id}"] = url


def _resolved(request: ApiRequest, references: Mapping[str, str]) -> ApiRequest:
    """Return a request whose `$n` URL stands for the row of an earlier part. Raises the 400 answer if there is none."""
    wanted = _REFERENCE.match(request.path)
    if wanted:
        url = referenced(references, wanted[1])
        path = relative(url)[0] + request.path[wanted.end() :]
        request = _of_existing(replace(request, path=path))
    return replace(request, references=references)


def _of_existing(request: ApiRequest) -> ApiRequest:
    """Return a request for a row that exists once an earlier member ran: a PATCH of it is never a create."""
    return replace(request, headers={"if-match": "*", **request.headers})


# -- reading the multipart body


def _items(request: ApiRequest) -> list[Item]:
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
    """Yield the parts between boundaries. Raises the 400 answer unless lines end in CRLF (dataverse.md 3.1)."""
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


# -- writing the multipart body


def _part(answered: ApiResponse, content_id: str | None) -> bytes:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id:
        lines.append(f"Content-ID: {content_id}")
    lines += ["", f"HTTP/1.1 {answered.status} {HTTPStatus(answered.status).phrase}", "OData-Version: 4.0"]
    lines += [f"{name}: {value}" for name, value in _part_headers(answered).items()]
    return "\r\n".join([*lines, "", ""]).encode() + answered.body


def _part_headers(answered: ApiResponse) -> dict[str, str]:
    """Return the headers of a part as Microsoft's examples have them (dataverse.md 3.2, 3.3)."""
    headers = dict(answered.headers)
    if answered.status >= 400:
        return {"REQ_ID": str(uuid4()), **headers}
    if headers.get("Content-Type", "").startswith("application/json"):
        headers["Content-Type"] += "; odata.streaming=true"
    if "OData-EntityId" in headers:
        headers = {"Location": headers["OData-EntityId"], **headers}
    return headers


def _joined(boundary: str, parts: Sequence[bytes]) -> bytes:
    mark = f"--{boundary}".encode()
    return b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"


def _multipart(boundary: str, parts: Sequence[bytes], status: int) -> ApiResponse:
    return ApiResponse(status, {"Content-Type": f"multipart/mixed; boundary={boundary}"}, _joined(boundary, parts))
