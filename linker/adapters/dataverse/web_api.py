"""Requests to the Web API as the linker sends them: reads, pages, row updates, and batches of these.

The multipart text of $batch (docs/reference/dataverse.md 3) has CRLF and one part a request, and answers come in the order of
the parts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any, Final

from linker.adapters.dataverse import response_models
from linker.adapters.dataverse.http import API, PAGE_SIZE, Connection, Meter, error_in, unclear
from linker.adapters.outgoing import json_of
from linker.core.errors import (
    ConfigurationError,
    DataverseError,
    TableBusyError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from linker.core.throttling.error_classification import is_about_no_row, is_of_dataverse

# No custom step or workflow runs, no flow is triggered. Needs prvBypassCustomBusinessLogic (docs/reference/dataverse.md 10).
BYPASS: Final = {
    "MSCRM.BypassBusinessLogicExecution": "CustomSync,CustomAsync",
    "MSCRM.SuppressCallbackRegistrationExpanderJob": "true",
}
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


def build_batch(parts: Sequence[Part]) -> bytes:
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


def parse_batch(content_type: str, body: bytes, expected: int) -> list[PartAnswer]:
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


class WebApi:
    """Reads and writes of one activity; it meters itself. Every method may raise what Connection.send raises.

    `write_headers` go with every write of rows and with no read: BYPASS, or nothing.
    """

    def __init__(
        self, connection: Connection, meter: Meter | None = None, write_headers: Mapping[str, str] | None = None
    ) -> None:
        self.connection = connection
        self.meter = meter or Meter()
        self.write_headers = write_headers or {}

    async def get(self, path: str, *, prefer: str = "", strong: bool = False) -> Any:
        """Return the JSON at a path. `strong` waits for new metadata on every server (docs/reference/dataverse.md 8.2)."""
        headers = {"Prefer": prefer} if prefer else {}
        headers |= {"Consistency": "Strong"} if strong else {}
        found = json_of(await self.connection.send(self.meter, "GET", path, headers=headers))
        self.connection.note_answer()
        return found

    async def first[T](self, path: str, kind: type[T], *, strong: bool = False) -> list[T]:
        """Return the rows of one response, each as the TypedDict `kind` describes it."""
        return response_models.rows_in(kind, await self.get(path, strong=strong))

    async def one[T](self, path: str, kind: type[T]) -> T:
        """Return the object at a path as the TypedDict `kind` describes it."""
        return response_models.read(kind, await self.get(path))

    async def rows(self, path: str, *, prefer: str = "") -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the rows of a query, one response of whatever size the server chooses at a time."""
        wishes = f"{PAGE_SIZE},{prefer}" if prefer else PAGE_SIZE
        link: str | None = path
        seen = set[str]()
        while link:
            if link in seen:
                raise TransientError("Dataverse sent a link to the next rows twice, so their end would never come.")
            seen.add(link)
            page = response_models.page_in(await self.get(link, prefer=wishes))
            yield page["value"]
            link = page.get("@odata.nextLink")

    # ---- shapes of writes, each with the write headers ----

    async def update_multiple(self, table: str, entity_set: str, rows: Iterable[Mapping[str, object]]) -> None:
        """Update rows that carry their key, all or none; never creates one (docs/reference/dataverse.md 2)."""
        targets = [{"@odata.type": f"Microsoft.Dynamics.CRM.{table}", **row} for row in rows]
        body = json.dumps({"Targets": targets}, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", **self.write_headers}
        path = f"{entity_set}/Microsoft.Dynamics.CRM.UpdateMultiple"
        await self.connection.send(self.meter, "POST", path, body=body, headers=headers)

    def patch(self, entity_set: str, key: str, body: Mapping[str, object], etag: str) -> Part:
        """Return the update of one row that exists and has this ETag ("*": any), as a part of a batch."""
        headers = {"If-Match": etag, **self.connection.extra_headers, **self.write_headers}
        return Part("PATCH", f"{API}{entity_set}({key})", json.dumps(body), headers)

    async def write_parts[K](
        self, parts: dict[K, Part], refused: dict[K, DataverseError] | None = None
    ) -> dict[K, DataverseError]:
        """Send single writes in batches; return those that were refused. Raises DataverseError for what is about no row, so
        that no further batch is sent.

        What was answered for good leaves `parts`, and joins `refused` if it was. So after an error, `parts` are what is still
        to be written.
        """
        refused = {} if refused is None else refused
        for keys in batched(list(parts), 100):
            answers = await self._exchange([parts[key] for key in keys])
            passing: list[Exception] = []
            for key, answer in zip(keys, answers, strict=True):
                error = None if answer.status == 204 else self._refusal(answer, writes=True)
                if error is None or isinstance(error, DataverseError):
                    del parts[key]
                    refused.update({key: error} if error else {})
                else:
                    passing.append(error)
            if passing:
                raise next((error for error in passing if isinstance(error, UnknownOutcomeError)), passing[0])
            if stops := [error for error in refused.values() if is_about_no_row(error)]:
                raise stops[0]
        return refused

    # ---- batches ----

    async def read_all(self, paths: Sequence[str], *, prefer: str = "") -> list[list[dict[str, Any]]]:
        """Return the rows of each query, asked in one batch and followed to their last page."""
        found: list[list[dict[str, Any]]] = []
        headers = {**self.connection.extra_headers, **({"Prefer": prefer} if prefer else {})}
        for group in batched([Part("GET", API + path, headers=headers) for path in paths], 50):
            for answer in await self._read_group(group):
                page = response_models.page_in(answer.body)
                rows = page["value"]
                if link := page.get("@odata.nextLink"):
                    rows += [row async for more in self.rows(link, prefer=prefer) for row in more]
                found.append(rows)
        return found

    async def read_statuses(self, paths: Sequence[str]) -> list[int]:
        """Return the HTTP status of each read. One batch asks them all, so the same server answers them."""
        parts = [Part("GET", API + path, headers=self.connection.extra_headers) for path in paths]
        return [answer.status for answer in await self._exchange(parts, reads=True)]

    async def _read_group(self, parts: Sequence[Part]) -> list[PartAnswer]:
        """Return the answers to a few reads. Those that Dataverse throttled are asked again where the connection waits.

        A busy table may answer a few parts for each pause, so only pauses that brought no answer count.
        """
        answers = await self._exchange(parts, reads=True)
        waited = 0
        while refused := [index for index, answer in enumerate(answers) if answer.status != 200]:
            error = self._refusal(answers[refused[0]])
            if not isinstance(error, (ThrottledError, TableBusyError)):
                raise error
            await self.connection.pause(error, waited)
            waited += 1
            again = await self._exchange([parts[index] for index in refused], reads=True)
            if any(answer.status == 200 for answer in again):
                waited = 0
                self.connection.note_answer()
            answers = [
                again[refused.index(index)] if index in refused else answer for index, answer in enumerate(answers)
            ]
        return answers

    async def _exchange(self, parts: Sequence[Part], *, reads: bool = False) -> list[PartAnswer]:
        headers = {"Content-Type": CONTENT_TYPE, "Prefer": "odata.continue-on-error"}
        body = build_batch(parts)
        answer = await self.connection.send(
            self.meter, "POST", "$batch", body=body, headers=headers, reads=reads, operations=len(parts)
        )
        try:
            return parse_batch(answer.headers.get("Content-Type", ""), answer.content, len(parts))
        except TransientError as error:
            raise error if reads else UnknownOutcomeError(f"{error} Its writes may be stored.") from error

    def _refusal(self, answer: PartAnswer, *, writes: bool = False) -> Exception:
        code, text = error_in(answer.body) or (None, "")
        if writes and not is_of_dataverse(answer.status, code):
            return unclear(answer.status, text)
        return self.connection.refusal(
            self.meter, answer.status, code or "", text, writes=writes, retry_after=answer.retry_after
        )
