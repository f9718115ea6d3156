"""One request to Dataverse: token, headers, limits on where it may go, and the answer as a value or a named error.

Nothing is repeated here: the caller owns the retry.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx

from linker.adapters import telemetry
from linker.adapters.write_limiter import Limiter
from linker.core.addresses import is_same_origin, origin_of, path_of
from linker.core.errors import ConfigurationError, DataverseError, ThrottledError, TransientError, UnknownOutcomeError
from linker.core.throttling.error_classification import CUSTOMIZATION_LOCK, NO_MEMBER, Answer, judge, throttle_kind

API = "/api/data/v9.2/"
PAGE_SIZE = "odata.maxpagesize=5000"
# Sent with every request (dataverse.md 14). If-None-Match: null keeps proxies from answering with an older row.
HEADERS = {
    "Accept": "application/json",
    "OData-MaxVersion": "4.0",
    "OData-Version": "4.0",
    "If-None-Match": "null",
}
READ_TIMEOUT_S = 60.0
THROTTLED_WAIT_S = 30.0  # when a 429 came without Retry-After
MAX_CODE, MAX_WORDS = 100, 2_000  # characters of an error that are used: a plug-in may say anything, at any length
MOST_WAIT_S = 86_400.0  # what asks for more than a day is asked again after one
LOCKED_WAIT_S = 15.0  # another customisation runs; documented waits are 10 to 30 s (dataverse.md 8.4)


class TokenSource(Protocol):
    """Bearer tokens for one audience."""

    async def token(self) -> str:
        """Return a token that is valid for some minutes. Raises ConfigurationError when there is none to get."""
        ...

    def forget(self) -> None:
        """Drop what is cached: the last token was refused."""
        ...


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

    async def send(
        self,
        meter: Meter,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        reads: bool = False,
        operations: int = 1,
    ) -> httpx.Response:
        """Return the answer to one request. `path` is relative to the API, or a link that Dataverse gave.
        `reads` says that a POST changes nothing, so that silence is a passing fault and no unknown outcome.
        `operations` are the parts of a batch: service protection counts each of them (dataverse.md 1.6).

        Raises ThrottledError, TransientError, DataverseError; UnknownOutcomeError when a write got no answer.
        """
        writes = method != "GET" and not reads
        # One bound on a write from here to its answer, waits for token and pool included: who checked that a write still
        # fits into an attempt's time checked all of it. httpx bounds each phase alone.
        limit_s = self.write_timeout_s if writes else None
        try:
            with telemetry.request(method, path) as sent:
                async with asyncio.timeout(limit_s):
                    await self.limiter.admit()
                    began_s = time.monotonic()
                    answer = await self._asked(meter, method, path, body, headers or {}, writes=writes)
                sent.status = answer.status_code
        except TimeoutError as error:
            raise UnknownOutcomeError(f"{method} {path[:200]} got no answer within {limit_s:g} s.") from error
        hint = _integer(answer.headers.get("x-ms-dop-hint"))
        meter.dop_hint = hint or meter.dop_hint
        if answer.status_code != 429:
            self.limiter.answered(time.monotonic() - began_s, operations, hint)
        if answer.is_success:
            return answer
        raise self._refused(answer, meter, writes=writes)

    async def _asked(
        self,
        meter: Meter,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        writes: bool,
    ) -> httpx.Response:
        authorization = f"Bearer {await self.tokens.token()}"
        try:
            request = self.client.build_request(
                method,
                self.address(path),
                content=body,
                headers={**HEADERS, **self.extra_headers, **headers, "Authorization": authorization},
                timeout=self.write_timeout_s if writes else READ_TIMEOUT_S,
            )
        except httpx.InvalidURL as error:  # a name of some table or column is longer than any address
            raise ConfigurationError(f"{path[:200]} makes no address ({error}). Nothing was sent.") from error
        meter.requests += 1
        return await self._exchange(request, writes=writes)

    def address(self, path: str) -> str:
        """Return the absolute address of a path. Links are followed within the configured environment only, whatever way
        they spell its host, and always to the host of the settings.
        """
        if "//" not in path.split("?", 1)[0]:
            return self.url + API + path
        if not (path.isprintable() and is_same_origin(path, self.url) and path_of(path).startswith(API)):
            raise ConfigurationError(
                f"Dataverse sent a link outside {self.url}; it was not followed. Nothing was written."
            )
        return str(origin_of(self.url)) + path_of(path)

    async def _exchange(self, request: httpx.Request, *, writes: bool) -> httpx.Response:
        try:
            return await self.client.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise TransientError(f"{self.url} could not be reached: {error!r}.") from error
        except httpx.RequestError as error:
            if writes:
                raise UnknownOutcomeError(f"{request.method} {request.url.path} got no answer: {error!r}") from error
            raise TransientError(f"{request.url.path} got no answer: {error!r}.") from error

    def _refused(self, answer: httpx.Response, meter: Meter, *, writes: bool) -> Exception:
        code, text = error_of(answer)
        if answer.status_code == 401:
            self.tokens.forget()
            return TransientError(
                f"{self.url} refused the token (401). {text} If this stays: is the app's identity an application user there, "
                "and is LINKER_DATAVERSE_URL the address of that environment?",
                wait_s=1.0,
            )
        if code.lower() == NO_MEMBER:
            return ConfigurationError(
                f"The app's identity is not a user of {self.url}, or a disabled one. Nothing was written. "
                "Run 'python -m linker setup' as an administrator of that environment; docs/identity.md says how."
            )
        match judge(answer.status_code, code, text):
            case Answer.WAIT:
                meter.throttled += 1
                wait_s = retry_after_s(answer.headers.get("Retry-After"), time.time()) or THROTTLED_WAIT_S
                telemetry.throttled(wait_s)
                self.limiter.refused(wait_s, throttle_kind(code))
                return ThrottledError(f"Dataverse asked for a pause: {text}", wait_s=wait_s)
            case Answer.RETRY:
                locked = LOCKED_WAIT_S if code.lower() == CUSTOMIZATION_LOCK else 5.0
                return TransientError(f"Dataverse answered {answer.status_code} {code}: {text}", wait_s=locked)
            case _ if answer.status_code >= 500 and answer.status_code != 501 and not writes:  # no row is to blame
                return TransientError(f"Dataverse answered {answer.status_code} {code}: {text}")
            case _:
                return DataverseError(answer.status_code, code, text)


def error_of(answer: httpx.Response) -> tuple[str, str]:
    """Return code and text of an error answer; both may be empty, and the body may be HTML (dataverse.md 13.1)."""
    page = answer.text.lstrip()[:200]
    return error_in(_json(answer)) or ("", "a web page instead of an answer" if page.startswith("<") else page)


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
        return min(float(value), MOST_WAIT_S)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return min(max(0.0, (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now), MOST_WAIT_S)


def parse_time(text: str) -> float:
    """Return the epoch seconds of a Dataverse time such as '2026-11-23T20:15:00Z'."""
    return datetime.fromisoformat(text).timestamp()


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None


def _integer(text: str | None) -> int:
    return int(text) if text and len(text) < 10 and text.isdecimal() else 0
