"""Requests, answers, and pages of lists as values, without the transport that carries them."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import BaseModel, Field

JSON, CSV, NDJSON, PROBLEM = "application/json", "text/csv", "application/x-ndjson", "application/problem+json"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `path` holds the route's parameters; names of `headers` are lower case."""

    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = ""  # before /api

    def with_whole_characters(self) -> Request:
        """Return the request with halves of characters replaced: they can be neither stored nor sent on."""
        path, query, headers = (
            {name: sendable(text) for name, text in part.items()} for part in (self.path, self.query, self.headers)
        )
        return replace(self, path=path, query=query, headers=headers)


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. `body` is a JSON value, or the text of another media type."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = JSON

    @property
    def text(self) -> str:
        """The body as it is sent: valid JSON and valid Unicode, whatever came in from outside."""
        return sendable(self.body if isinstance(self.body, str) else to_text(self.body))


def to_text(value: Any) -> str:
    """Return a JSON value as text. A number that JSON does not have becomes null."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=False)


def sendable(text: str) -> str:
    """Return a text with halves of characters replaced: Dataverse stores UTF-16, and a text may have been cut anywhere."""
    return text.encode(errors="replace").decode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


class ProblemError(Exception):
    """A request that is refused. `detail` says why and what to do, and repeats nothing of the request."""

    def __init__(self, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status, self.title, self.detail, self.headers = status, title, detail, headers or {}

    def reply(self) -> Reply:
        """Return the answer (RFC 9457)."""
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail}
        return Reply(self.status, body, self.headers, PROBLEM)


def not_found(what: str, hint: str = "") -> ProblemError:
    """Return the refusal for something that does not exist, with a sentence on where to look."""
    return ProblemError(404, "Not found", f"No {what} was found. {hint}".rstrip())


def to_continuation(key: str) -> str:
    """Return the opaque text by which a caller asks for what comes after `key`."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def from_continuation(text: str) -> str:
    """Return the key in a continuation. Raises ProblemError for any other text."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise ProblemError(
            400, "Invalid continuation token", "Pass the continuation of the previous response unchanged."
        ) from None


class PageQuery(BaseModel):
    """Which page of a list."""

    top: Annotated[int, Field(ge=1, le=100, description="Most entries of one page.")] = 20
    continuation: Annotated[
        str,
        Field(
            max_length=1_000,
            description="From the page before; without it, the first page.",
            json_schema_extra={"format": "continuation"},
        ),
    ] = ""

    @property
    def after(self) -> str:
        """Key of the last entry of the page before. Raises ProblemError for any other text."""
        return from_continuation(self.continuation)


async def first_of[T](entries: AsyncIterator[T], most: int) -> tuple[list[T], bool]:
    """Return up to `most` entries, and whether there are more."""
    found: list[T] = []
    async for entry in entries:
        if len(found) == most:
            return found, True
        found.append(entry)
    return found, False
