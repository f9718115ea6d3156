"""One request to Dataverse: token, headers, limits on where it may go, and the answer as a value or a named error.

Writes are never repeated here: the caller owns the retry. Reads are repeated where the connection waits out pauses.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from linker.adapters import telemetry
from linker.adapters.outgoing import TokenSource
from linker.adapters.write_limiter import SHORT_WAIT_S, Limiter
from linker.core.addresses import is_same_origin, origin_of, path_of
from linker.core.errors import (
    ConfigurationError,
    DataverseError,
    TableBusyError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from linker.core.throttling.error_classification import (
    CUSTOMIZATION_LOCK,
    NO_MEMBER,
    TABLE_THROTTLE,
    Answer,
    is_of_dataverse,
    judge,
    throttle_kind,
)

API = "/api/data/v9.2/"
PAGE_SIZE = "odata.maxpagesize=5000"
# Sent with every request (docs/reference/dataverse.md 14). If-None-Match: null keeps proxies from answering with an older row.
HEADERS = {
    "Accept": "application/json",
    "OData-MaxVersion": "4.0",
    "OData-Version": "4.0",
    "If-None-Match": "null",
}
READ_TIMEOUT_S = 60.0
READ_LIMIT_S = 120.0  # a read from its token to the last byte: an answer that trickles keeps each single wait short
THROTTLED_WAIT_S = 30.0  # when a 429 came without Retry-After
BUSY_WAITS = 3  # of one read for a busy table
TABLE_WAIT_S = 2.0  # when it was a busy table: its budget is one of seconds
OPTIONAL_AT_ONCE = 4  # questions of a process that a run can do without: they never take the room of other requests
MAX_CODE, MAX_WORDS = 100, 2_000  # characters of an error that are used: a plug-in may say anything, at any length
MAX_WAIT_S = 86_400.0  # what asks for more than a day is asked again after one
LOCKED_WAIT_S = 15.0  # another customisation runs; documented waits are 10 to 30 s (docs/reference/dataverse.md 8.4)


@dataclass(slots=True)
class Meter:
    """What one activity asked of Dataverse."""

    requests: int = 0
    throttled: int = 0
    dop_hint: int = 0


@dataclass(frozen=True, slots=True)
class Connection:
    """A way to one Dataverse environment, shared by all activities of a process."""

    url: str
    client: httpx.AsyncClient
    tokens: TokenSource
    write_timeout_s: float = 150.0
    extra_headers: Mapping[str, str] = field(default_factory=dict)
    limiter: Limiter = field(default_factory=Limiter)
    optional_room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPTIONAL_AT_ONCE))

    async def send(  # noqa: PLR0913 - each says something else about one request
        self,
        meter: Meter,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        reads: bool = False,
        operations: int = 1,
        returns_json: bool = False,
    ) -> httpx.Response:
        """Return the answer to one request. `path` is relative to the API, or a link that Dataverse gave.
        `reads` says that a POST changes nothing, so that silence is a passing fault and no unknown outcome.
        `returns_json` says that Dataverse answers this write with JSON, as some actions do, and not with 204.
        `operations` are the parts of a batch: service protection counts each of them (docs/reference/dataverse.md 1.6).

        Raises ThrottledError, TransientError, DataverseError; UnknownOutcomeError when Dataverse did not clearly answer a
        write.
        """
        writes = method != "GET" and not reads
        waited = 0
        while True:
            try:
                answer = await self._time_request(meter, method, path, body, headers or {}, operations, writes=writes)
                return self._judge_answer(meter, answer, writes=writes, returns_json=returns_json)
            except (ThrottledError, TableBusyError) as error:
                if writes:
                    raise
                await self.pause(error, waited)
                waited += 1

    async def _time_request(
        self,
        meter: Meter,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        operations: int,
        *,
        writes: bool,
    ) -> httpx.Response:
        # One bound on a request from here to its answer, waits for token and pool included: an attempt that checked that a
        # write still fits into its time checked all of it. httpx bounds each phase alone.
        limit_s = self.write_timeout_s if writes else READ_LIMIT_S
        try:
            with telemetry.request(method, path) as sent:
                async with asyncio.timeout(limit_s):
                    request = await self._build_request(method, path, body, headers, writes=writes)
                    answer, seconds = await self._exchange(meter, request, writes=writes)
                sent.status = answer.status_code
        except TimeoutError as error:
            silent = UnknownOutcomeError if writes else TransientError
            raise silent(f"{method} {path[:200]} got no answer within {limit_s:g} s.") from error
        text = answer.headers.get("x-ms-dop-hint", "")
        hint = int(text) if len(text) < 10 and text.isdecimal() else 0
        meter.dop_hint = hint or meter.dop_hint
        if answer.status_code != 429:
            self.limiter.answered(seconds, operations, hint)
        return answer

    def _judge_answer(
        self, meter: Meter, answer: httpx.Response, *, writes: bool, returns_json: bool
    ) -> httpx.Response:
        """Return an answer that is a success by its contract. Raises what any other answer means."""
        if answer.is_success and (not writes or is_done(answer) or (returns_json and _json(answer) is not None)):
            return answer
        code, text = error_of(answer)
        if writes and not is_of_dataverse(answer.status_code, code):
            raise unclear(answer.status_code, text)
        retry_after = answer.headers.get("Retry-After")
        raise self.refusal(meter, answer.status_code, code or "", text, writes=writes, retry_after=retry_after)

    async def _build_request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], *, writes: bool
    ) -> httpx.Request:
        authorization = f"Bearer {await self.tokens.token()}"
        try:
            return self.client.build_request(
                method,
                self.address(path),
                content=body,
                headers={**HEADERS, **self.extra_headers, **headers, "Authorization": authorization},
                timeout=self.write_timeout_s if writes else READ_TIMEOUT_S,
            )
        except httpx.InvalidURL as error:  # a name of some table or column is longer than any address
            raise ConfigurationError(f"{path[:200]} makes no address ({error}). Nothing was sent.") from error

    def address(self, path: str) -> str:
        """Return the absolute address of a path. Links are followed to the configured environment only, however spelled."""
        if "//" not in path.split("?", 1)[0]:
            return self.url + API + path
        if not (path.isprintable() and is_same_origin(path, self.url) and path_of(path).startswith(API)):
            raise ConfigurationError(
                f"Dataverse sent a link outside {self.url}; it was not followed. Nothing was written."
            )
        return str(origin_of(self.url)) + path_of(path)

    async def _exchange(self, meter: Meter, request: httpx.Request, *, writes: bool) -> tuple[httpx.Response, float]:
        """Send a request when it may be sent; return the answer, and after how many seconds it came."""
        await self.limiter.admit()
        meter.requests += 1
        began_s = time.monotonic()
        try:
            return await self.client.send(request), time.monotonic() - began_s
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TransientError(f"{self.url} could not be reached: {error!r}.") from error
        except httpx.RequestError as error:
            if writes:
                raise UnknownOutcomeError(f"{request.method} {request.url.path} got no answer: {error!r}") from error
            raise TransientError(f"{request.url.path} got no answer: {error!r}.") from error

    def refusal(
        self, meter: Meter, status: int, code: str, text: str, *, writes: bool, retry_after: str | None = None
    ) -> Exception:
        """Return what an error answer means, whole or as a part of a batch."""
        if status == 401:
            self.tokens.forget()
            return TransientError(
                f"{self.url} refused the token (401). {text} If this stays: is the app's identity an application user there, "
                "and is LINKER_DATAVERSE_URL the address of that environment?",
                wait_s=1.0,
            )
        if code.lower() == NO_MEMBER:
            return ConfigurationError(
                f"The app's identity is not a user of {self.url}, or a disabled one. The request wrote nothing. "
                "Run 'python -m linker setup' as an administrator of that environment; docs/identity.md says how."
            )
        said = f"Dataverse answered {f'{status} {code}'.rstrip()}: {text}"
        match judge(status, code, text):
            case Answer.WAIT:
                return self._throttling_error(meter, code, text, retry_after)
            case Answer.RETRY:
                return TransientError(said, wait_s=LOCKED_WAIT_S if code.lower() == CUSTOMIZATION_LOCK else 5.0)
            case Answer.UNSURE:
                return UnknownOutcomeError(f"{said} The write may still be stored.") if writes else TransientError(said)
            case _ if status >= 500 and status != 501 and not writes:  # no row is to blame
                return TransientError(said)
            case _:
                return DataverseError(status, code, text)

    def _throttling_error(self, meter: Meter, code: str, text: str, retry_after: str | None) -> TransientError:
        asked_s = retry_after_s(retry_after, time.time())
        if code == TABLE_THROTTLE:
            return TableBusyError(f"An elastic table of Dataverse is busy: {text}", wait_s=asked_s or TABLE_WAIT_S)
        meter.throttled += 1
        wait_s = asked_s or THROTTLED_WAIT_S
        telemetry.record_throttle(wait_s)
        self.limiter.refused(wait_s, throttle_kind(code))
        return ThrottledError(f"Dataverse asked for a pause: {text}", wait_s=wait_s)

    async def pause(self, error: ThrottledError | TableBusyError, waited: int) -> None:
        """Wait as a throttled read demands, where this connection waits. Raises the error: the activity ends instead.

        `waited` counts the pauses of this read since an answer. A busy table is waited for in place: its budget is one of
        seconds, and a step of many reads that began again with each refusal would never end where some are refused.
        """
        if not isinstance(error, TableBusyError) or error.wait_s > SHORT_WAIT_S or waited == BUSY_WAITS:
            raise error
        await self.limiter.rest(error.wait_s)

    def note_answer(self) -> None:
        """Note that a read was answered: patience begins again where the connection has it."""


def is_done(answer: httpx.Response) -> bool:
    """Return whether an answer is that of a write: 204, or the parts of a batch (docs/reference/dataverse.md 2 to 4)."""
    is_batch = answer.headers.get("Content-Type", "").lower().startswith("multipart/mixed")
    return answer.status_code == 204 or (answer.status_code == 200 and is_batch)


def unclear(status: int, text: str) -> UnknownOutcomeError:
    """Return what an answer to a write means that Dataverse did not clearly give."""
    return UnknownOutcomeError(
        f"A write was answered {status} ({text[:200] or 'no words'}), and not clearly by Dataverse. It may still be stored."
    )


def error_of(answer: httpx.Response) -> tuple[str | None, str]:
    """Return code and text of an error answer; None and how it begins without them (docs/reference/dataverse.md 13.1)."""
    page = answer.text.lstrip()[:200]
    return error_in(_json(answer)) or (None, "a web page instead of an answer" if page.startswith("<") else page)


def error_in(body: Any) -> tuple[str, str] | None:
    """Return code and text of an error body, None when it is none."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    return str(error.get("code") or "")[:MAX_CODE], str(error.get("message") or "")[:MAX_WORDS]


def retry_after_s(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, in either of its two forms; None when it is absent or odd."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return min(float(value), MAX_WAIT_S)
    try:
        at = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return min(max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now), MAX_WAIT_S)


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None
