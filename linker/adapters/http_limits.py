"""What goes out and what comes in over HTTP: requests to the configured hosts alone, answers of a bounded size.

Both are hooks of the HTTP client for Dataverse and Customer Insights (bootstrap). Table Storage and tokens use clients of
Microsoft, and the command line has its own.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, cast

import httpx

from linker.core.errors import ConfigurationError, TransientError

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
