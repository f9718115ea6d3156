"""What goes out and what comes in: requests to configured hosts alone, with the app's tokens, and answers of a bounded size.

The hooks are those of the HTTP client for Dataverse and Customer Insights (bootstrap). Table Storage uses a client of
Microsoft, and the command line has its own. The tokens of the app's identity are for Dataverse, Customer Insights, and Table
Storage; a failure to get one says what to do.
"""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import httpx

from linker.core.errors import ConfigurationError, LinkerError, TransientError

if TYPE_CHECKING:  # Microsoft's packages cost 0.2 s to import: cold start
    from azure.core.credentials import AccessToken
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import AzureError


MAX_ANSWER_BYTES = 32 * 1024 * 1024  # a full page of 5,000 mapping rows takes about 2 MB
CODINGS = "gzip"  # what is asked for; one that came uninvited could hide any size


class AnswerTooLargeError(httpx.TransportError):
    """More came than any answer holds; the rest was not read."""


def only_to(addresses: Iterable[str]) -> Callable[[httpx.Request], Awaitable[None]]:
    """Return the hook that lets requests through to these scheme, host and port alone: they carry tokens.

    The hook raises ConfigurationError for any other; nothing was sent then.
    """
    allowed = frozenset(_origin(httpx.URL(address)) for address in addresses)

    async def check(request: httpx.Request) -> None:
        if _origin(request.url) not in allowed:
            raise ConfigurationError(
                f"A request to {request.url.host} was not sent: only the addresses in the settings are asked. "
                "Nothing was written. If this stays, report it: no setting leads there."
            )

    return check


async def bound_answer(answer: httpx.Response) -> None:
    """Hook on answers that are about to be read: they are decoded here, and never beyond MAX_ANSWER_BYTES."""
    coding = answer.headers.pop("Content-Encoding", "identity").strip().lower()
    answer.stream = _Bounded(cast("httpx.AsyncByteStream", answer.stream), coding)  # the client is asynchronous


def json_of(answer: httpx.Response) -> Any:
    """Return the JSON of an answer. Raises TransientError when it is none, or nested too deeply."""
    try:
        return answer.json()
    except (ValueError, RecursionError) as error:
        raise TransientError(
            f"{answer.url.host} answered {answer.status_code} with something that is not JSON."
        ) from error


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, coding: str) -> None:
        self._stream, self._coding = stream, coding

    async def __aiter__(self) -> AsyncIterator[bytes]:
        room = MAX_ANSWER_BYTES
        async for part in self._decode(room + 1):
            room -= len(part)
            if room < 0:
                raise AnswerTooLargeError(f"The answer is larger than {MAX_ANSWER_BYTES:,} bytes.")
            yield part

    async def _decode(self, most: int) -> AsyncIterator[bytes]:
        """Yield the content in parts of at most `most` bytes; a part of that size may be cut off."""
        if self._coding == "identity":
            async for raw in self._stream:
                yield raw
            return
        if self._coding != CODINGS:
            raise httpx.DecodingError(f"The answer came in coding {self._coding[:40]!r}, which was not asked for.")
        inflate, began = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16), False
        async for raw in self._stream:
            began = True
            yield _inflate(inflate, raw, most)
        if began and not inflate.eof:
            raise httpx.DecodingError("The answer ends in the middle of its compressed content.")

    async def aclose(self) -> None:
        await self._stream.aclose()


def _inflate(inflate: Any, raw: bytes, most: int) -> bytes:
    try:
        return bytes(inflate.decompress(raw, most))
    except zlib.error as error:
        raise httpx.DecodingError("The compressed content of the answer is damaged.") from error


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


# ---- tokens ----


class TokenSource(Protocol):
    """Bearer tokens for one audience."""

    async def token(self) -> str:
        """Return a token that is valid for some minutes. Raises ConfigurationError when there is none to get."""
        ...

    def forget(self) -> None:
        """Drop what is cached: the last token was refused."""
        ...


ANSWER_S: Final = (
    60.0  # one request for a token with all that Microsoft's client repeats, so that no answer can hang a run
)
MARGIN_S: Final = 300.0  # a token is replaced so long before it ends
LAST_USE_S: Final = 30.0  # one that cannot be replaced is used until so long before it ends
MIN_USE_S: Final = 5.0
# An identity endpoint that restarts or learns of an identity answers 400 or 404 for a moment.
_REFUSED_WAITS_S: Final = (1.0, 3.0)
_ADVICE: Final = "In Azure, assign the managed identity to the app; locally, sign in with 'az login'."


class _RefusedError(ConfigurationError):
    """The identity service answered, and refused. A single refusal passes."""


class Identity:
    """The app's identity as Microsoft's clients ask for it (AsyncTokenCredential). Failures are errors of core.errors."""

    def __init__(self, client_id: str | None, credential: AsyncTokenCredential | None = None) -> None:
        self._client_id = client_id
        self._credential = credential
        self._retired: list[AsyncTokenCredential] = []

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token. Raises TransientError while the identity service fails, ConfigurationError when it keeps refusing."""
        for wait_s in (*_REFUSED_WAITS_S, None):
            try:
                return await self._request_token(scopes, options)
            except _RefusedError:
                if wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    def forget(self) -> None:
        """Ask with a credential that remembers nothing from now on."""
        self._retired += [self._credential] if self._credential else []
        self._credential = None

    async def close(self) -> None:
        """Close every credential that was used."""
        self.forget()
        for used in self._retired:
            await used.close()
        self._retired.clear()

    async def __aenter__(self) -> Identity:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _request_token(self, scopes: tuple[str, ...], options: dict[str, Any]) -> AccessToken:
        from azure.core.exceptions import AzureError

        try:
            self._credential = self._credential or credential(self._client_id)
            async with asyncio.timeout(ANSWER_S):
                return await self._credential.get_token(*scopes, **options)
        except TimeoutError as error:
            raise TransientError(f"The identity service gave no token within {ANSWER_S:g} s.") from error
        except AzureError as error:
            raise _meaning(scopes[0] if scopes else "", error) from error


class Tokens:
    """Bearer tokens for one audience from the app's identity."""

    def __init__(self, audience: str, client_id: str | None, identity: Identity | None = None) -> None:
        self._scope = f"{audience}/.default"
        self._identity = identity or Identity(client_id)
        self._token, self._good_until, self._ends = "", 0.0, 0.0  # epoch s

    async def token(self) -> str:
        """Return a token that is still valid. Raises ConfigurationError when there is none to get, TransientError when the
        identity service fails and the last token has ended.
        """
        now = time.time()
        if now < self._good_until:
            return self._token
        try:
            found = await self._identity.get_token(self._scope)
        except LinkerError:
            if now < self._ends - LAST_USE_S:
                return self._token
            raise
        self._token, self._ends = found.token, float(found.expires_on)
        self._good_until = max(self._ends - MARGIN_S, now + MIN_USE_S)
        return self._token

    def forget(self) -> None:
        """Ask for a new token next time: the last one was refused."""
        self._identity.forget()
        self._good_until = self._ends = 0.0

    async def close(self) -> None:
        """Close every credential that was used."""
        await self._identity.close()


def credential(client_id: str | None) -> AsyncTokenCredential:
    """Return the app's identity: managed identity where the platform offers one, else the developer's sign-in."""
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    if "IDENTITY_ENDPOINT" in os.environ:
        return ManagedIdentityCredential(client_id=client_id)
    return DefaultAzureCredential(managed_identity_client_id=client_id)


def _meaning(scope: str, error: AzureError) -> LinkerError:
    """An answer of 400 to 404 refuses; any other answer, or none, is a passing fault of the identity service.

    Without an answer, ClientAuthenticationError says that no credential is set up at all.
    """
    from azure.core.exceptions import ClientAuthenticationError

    status = getattr(error, "status_code", None)
    said = error.message.splitlines()[0][:300] if error.message else type(error).__name__
    if isinstance(error, ClientAuthenticationError):
        if status is None:
            return ConfigurationError(f"No token for {scope}: {said} {_ADVICE}")
        if status in (400, 401, 403, 404):
            return _RefusedError(f"No token for {scope}: the identity service answered {status}. {said} {_ADVICE}")
    what = f"answered {status}" if status else "could not be reached"
    return TransientError(f"No token for {scope}: the identity service {what}. {said}")
