"""The multipart text of $batch (docs/reference/dataverse.md 3): CRLF, one part a request, answers in the order of the parts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from linker.core.errors import ConfigurationError, TransientError

BOUNDARY = "batch_linker"
CONTENT_TYPE = f'multipart/mixed; boundary="{BOUNDARY}"'


@dataclass(frozen=True, slots=True)
class Part:
    """One request inside a batch. Headers that steer it (If-Match, bypass) belong here: on the envelope they do nothing."""

    method: str
    path: str  # absolute path, e.g. /api/data/v9.2/contacts(...)
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PartAnswer:
    """Status and JSON body of one answer inside a batch, and its Retry-After."""

    status: int
    body: Any
    retry_after: str | None = None


def build(parts: Sequence[Part]) -> bytes:
    """Return the body of a batch request. Two line ends after the closing boundary avoid a documented refusal."""
    lines: list[str] = []
    for part in parts:
        lines += [f"--{BOUNDARY}", "Content-Type: application/http", "Content-Transfer-Encoding: binary", ""]
        lines += [_one_line(f"{part.method} {part.path} HTTP/1.1"), "Accept: application/json"]
        lines += [_one_line(f"{name}: {value}") for name, value in part.headers.items()]
        lines += ["Content-Type: application/json; type=entry", "", _one_line(part.body)] if part.body else ["", ""]
    return "\r\n".join([*lines, f"--{BOUNDARY}--", "", ""]).encode()


def _one_line(text: str) -> str:
    """Return a text that cannot begin another line, and with it another header or request."""
    if "\r" in text or "\n" in text:
        raise ConfigurationError(f"A line of a batch would be two: {text[:40]!r}. The batch was not sent.")
    return text


def parse(content_type: str, body: bytes, expected: int) -> list[PartAnswer]:
    """Return the answers in a batch response. Raises TransientError when it is damaged, or has fewer than parts were sent."""
    boundary = content_type.partition("boundary=")[2].partition(";")[0].strip().strip('"').encode()
    sections = (b"\r\n" + body).split(b"\r\n--" + boundary)[1:-1] if boundary else []
    try:
        answers = [_answer(section) for section in sections]
    except (ValueError, IndexError, RecursionError) as error:
        raise TransientError(f"An answer in a batch of {expected} could not be read.") from error
    if len(answers) < expected:
        raise TransientError(f"A batch of {expected} requests got {len(answers)} answers.")
    return answers


def _answer(section: bytes) -> PartAnswer:
    _, _, http = section.partition(b"\r\n\r\n")
    head, _, payload = http.partition(b"\r\n\r\n")
    payload = payload.strip()
    body = json.loads(payload) if payload.startswith(b"{") else None
    return PartAnswer(int(head.split(maxsplit=2)[1]), body, _retry_after(head))


def _retry_after(head: bytes) -> str | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"retry-after":
            return value.decode("latin-1").strip()
    return None
