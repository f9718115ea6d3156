"""One GET after the other, each answer kept as it came: for a probe a refusal is an answer."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from linker.adapters.dataverse import Connection
from linker.adapters.dataverse.http import HEADERS, READ_TIMEOUT_S, error_of, retry_after_s
from linker.core.errors import LinkerError, TransientError
from tests.live.probes.privacy import describe_body, hide_literals
from tests.live.site import Pause

TRIES = 5
PASSING = frozenset({401, 429, 502, 503, 504})
WAIT_S = 15.0  # after a passing fault without Retry-After
ANNOTATIONS = 'odata.include-annotations="*"'


class WriteRefusedError(LinkerError):
    """A request other than GET was stopped on this machine: nothing was sent."""


async def refuse_writes(request: httpx.Request) -> None:
    """Request hook for a client that only reads. Raises WriteRefusedError for every method but GET."""
    if request.method != "GET":
        raise WriteRefusedError(f"A {request.method} was not sent: without --disposable only GET requests are.")


@asynccontextmanager
async def reading_only(client: httpx.AsyncClient) -> AsyncIterator[None]:
    """Let a client send GET requests alone while the context lasts."""
    hooks = client.event_hooks
    client.event_hooks = {**hooks, "request": [refuse_writes, *hooks["request"]]}
    try:
        yield
    finally:
        client.event_hooks = hooks


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back to one request. `code` and `text` are those of a refusal, "" otherwise."""

    status: int
    code: str = ""
    text: str = ""
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        """Whether the request succeeded."""
        return 200 <= self.status < 300

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of a list; the one row of an address that leads to a row; nothing for a refusal."""
        if not self.is_ok or not isinstance(self.body, dict):
            return []
        return list(self.body["value"]) if "value" in self.body else [self.body]

    @property
    def next_link(self) -> str | None:
        """Where the next page is, None when this is the last one."""
        return self.body.get("@odata.nextLink") if isinstance(self.body, dict) else None

    @property
    def refusal(self) -> str:
        """Status and code of a refusal, such as '400 0x80048d0b'."""
        return f"{self.status} {self.code}".strip()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer as the report shows them: no value of any row is in it."""

    asked: str
    status: int
    code: str
    text: str
    shape: str


@dataclass(slots=True)
class Asker:
    """Sends GET requests through the linker's own connection and keeps what was said.

    `values` are all texts that rows brought: the report is searched for them before it is written. `throttles` are the
    Retry-After headers of answers with status 429, None for one that came without.
    """

    connection: Connection
    pause: Pause
    exchanges: list[Exchange] = field(default_factory=list)
    values: set[str] = field(default_factory=set)
    throttles: list[str | None] = field(default_factory=list)

    async def get(self, path: str, *, prefer: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Return the answer to one GET, repeated while the fault may pass.

        `path` is relative to the API or a next link. Raises what the connection raises for an address that is not the
        environment's, and TransientError when no answer comes.
        """
        sent = {**(headers or {}), **({"Prefer": prefer} if prefer else {})}
        answer = await self._patiently(path, sent)
        if not path.startswith(("EntityDefinitions", "RetrieveCurrentOrganization")):
            self.values |= texts_in(answer.body) if answer.is_ok else set()
        self.exchanges.append(
            Exchange(hide_literals(path, sent), answer.status, answer.code, answer.text, describe_body(answer.body))
        )
        return answer

    async def pages(self, path: str, most_rows: int, *, prefer: str = "odata.maxpagesize=5000") -> list[Answer]:
        """Return the pages of a query until it ends, refuses, or has brought `most_rows` rows."""
        pages = [await self.get(path, prefer=prefer)]
        while (link := pages[-1].next_link) and sum(len(page.rows) for page in pages) < most_rows:
            pages.append(await self.get(link, prefer=prefer))
        return pages

    async def _patiently(
        self, path: str, headers: Mapping[str, str], method: str = "GET", body: bytes | None = None
    ) -> Answer:
        for _ in range(TRIES - 1):
            try:
                answer = await self._once(method, path, headers, body)
            except TransientError as lost:
                await self.pause(lost.wait_s)
                continue
            if answer.status not in PASSING:
                return answer
            if answer.status == httpx.codes.UNAUTHORIZED:
                self.connection.tokens.forget()
            await self.pause(retry_after_s(answer.headers.get("retry-after"), time.time()) or WAIT_S)
        return await self._once(method, path, headers, body)

    async def _once(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        authorization = f"Bearer {await self.connection.tokens.token()}"
        sent = {**HEADERS, **headers, "Authorization": authorization}
        url = self.connection.address(path)
        timeout_s = READ_TIMEOUT_S if method == "GET" else self.connection.write_timeout_s
        try:
            came = await self.connection.client.request(method, url, headers=sent, content=body, timeout=timeout_s)
        except httpx.TransportError as error:
            raise TransientError(f"{self.connection.url} gave no answer: {error!r}.", wait_s=WAIT_S) from error
        if came.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self.throttles.append(came.headers.get("Retry-After"))
        return answer_of(came)


class Maker(Asker):
    """Sends writes as well, for probes that `--disposable` allows."""

    async def send(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return the answer to one write, repeated while the fault may pass: each write here is safe to repeat."""
        encoded = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        answer = await self._patiently(path, {**kind, **(headers or {})}, method, encoded)
        asked = hide_literals(path, headers).replace("GET ", f"{method} ", 1)
        self.exchanges.append(Exchange(asked, answer.status, answer.code, answer.text, describe_body(answer.body)))
        return answer


def answer_of(came: httpx.Response) -> Answer:
    """Return an HTTP answer as a value."""
    code, text = (None, "") if came.is_success else error_of(came)
    return Answer(came.status_code, (code or "").lower(), text, _body(came), dict(came.headers))


def texts_in(body: Any) -> set[str]:
    """Return every text of the rows in an answer, however deep. Names of properties, tables, and columns do not count."""
    match body:
        case str():
            return {body}
        case list():
            return set().union(*map(texts_in, body))
        case dict():
            return set().union(*(texts_in(value) for name, value in body.items() if not _is_schema(name)))
        case _:
            return set()


def _is_schema(name: str) -> bool:
    return name.startswith("@odata") or "@Microsoft.Dynamics.CRM." in name  # such as lookuplogicalname


def _body(came: httpx.Response) -> Any:
    try:
        return came.json()
    except (ValueError, RecursionError):
        return came.text.lstrip("\ufeff")
