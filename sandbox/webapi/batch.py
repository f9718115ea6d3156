"""`$batch`: several operations in one request, and change sets that are all or nothing (docs/reference/dataverse.md 3)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final
from urllib.parse import unquote
from uuid import uuid4

from sandbox.query.syntax import QueryError
from sandbox.runtime import BatchPart, Environment
from sandbox.webapi.operations.writing import PlannedWrite, run_writes
from sandbox.webapi.protocol.call import open_call
from sandbox.webapi.protocol.errors import ApiError, not_supported, payload_error
from sandbox.webapi.protocol.messages import ApiRequest, ApiResponse, error_answer
from sandbox.webapi.protocol.multipart import (
    ChangeSet,
    Item,
    Operation,
    join_parts,
    read_items,
    write_answer,
    write_part,
)
from sandbox.webapi.protocol.references import referenced
from sandbox.webapi.protocol.urls import parse_path, relative
from sandbox.webapi.router import answer, as_api_error, plan

_REFERENCE: Final = re.compile(r"^/?(\$[\w-]+)")


async def answer_batch(environment: Environment, request: ApiRequest) -> ApiResponse:
    """Answer a `$batch`: 200 with an answer for each part, or 400 when one failed and processing stopped there."""
    try:
        items = read_items(request)
    except ApiError as error:
        return error_answer(error, request)
    going_on = "odata.continue-on-error" in request.preferences
    boundary = f"batchresponse_{uuid4()}"
    references: dict[str, str] = {}
    parts: list[bytes] = []
    for item in items:
        part, failed = await _answer_item(environment, item, references)
        if failed and not going_on:
            return write_answer(boundary, [part], 400)
        parts.append(part)
    return write_answer(boundary, parts, 200)


async def _answer_item(environment: Environment, item: Item, references: dict[str, str]) -> tuple[bytes, bool]:
    if isinstance(item, ChangeSet):
        return await _answer_change_set(environment, item, references)
    answered = await _answer_operation(environment, item, references)
    return write_part(answered, item.content_id), answered.status >= 400


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
        return write_part(error_answer(as_api_error(error)), None), True
    ids = [operation.content_id for operation in change_set.operations]
    body = join_parts(boundary, [write_part(answered, i) for answered, i in zip(answers, ids, strict=True)])
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
    """Return a request whose `$n` URL stands for the row of an earlier part. Raises the 400 answer for an unknown number."""
    wanted = _REFERENCE.match(request.path)
    if wanted:
        url = referenced(references, wanted[1])
        path = relative(url)[0] + request.path[wanted.end() :]
        request = _of_existing(replace(request, path=path))
    return replace(request, references=references)


def _of_existing(request: ApiRequest) -> ApiRequest:
    """Return a request for a row that exists once an earlier member ran: a PATCH of it is never a create."""
    return replace(request, headers={"if-match": "*", **request.headers})
