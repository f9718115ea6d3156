"""Makes a sandbox differ from itself: requests and answers are changed on their way."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx

type Change = tuple[str, str | Callable[[re.Match[str]], str]]
NO_CHANGE: Change = (r"(?!)", "")


@dataclass(frozen=True, slots=True)
class Twist:
    """One difference. `where` is a pattern for method, address, headers and body of a request; the others are replacements.

    With a `status` the request is answered at once, `times` times (0: always), and goes nowhere. `switches` are the
    sandbox's own.
    """

    where: str = ""
    asked: Change = NO_CHANGE
    told: Change = NO_CHANGE
    status: int = 0
    code: str = "0x80040220"
    without: str = ""  # name of a header that the answer loses
    times: int = 0
    switches: Mapping[str, Any] = field(default_factory=dict)


class Twisted(httpx.AsyncBaseTransport):
    """Passes requests on to a sandbox, twisted."""

    def __init__(self, inner: httpx.AsyncBaseTransport, twist: Twist) -> None:
        self._inner, self._twist, self._answered = inner, twist, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request that is meant, or ask it in other words."""
        body = (await request.aread()).decode()
        if not self._is_meant(request, body):
            return await self._inner.handle_async_request(request)
        twist = self._twist
        if twist.status and not (twist.times and self._answered >= twist.times):
            self._answered += 1
            return httpx.Response(twist.status, json={"error": {"code": twist.code, "message": "twisted"}})
        return await _told(await self._inner.handle_async_request(_asked(request, body, twist)), twist)

    def _is_meant(self, request: httpx.Request, body: str) -> bool:
        headers = "\n".join(f"{name}: {value}" for name, value in request.headers.items())
        text = f"{request.method} {unquote(str(request.url))}\n{headers}\n{body}"
        return re.search(self._twist.where, text) is not None


def _asked(request: httpx.Request, body: str, twist: Twist) -> httpx.Request:
    address = unquote(str(request.url))
    changed = re.sub(*twist.asked, address)
    headers = {name: value for name, value in request.headers.items() if name != "content-length"}
    url = request.url if changed == address else httpx.URL(changed)
    return httpx.Request(request.method, url, headers=headers, content=re.sub(*twist.asked, body))


async def _told(answer: httpx.Response, twist: Twist) -> httpx.Response:
    headers = [
        (name, value)
        for name, value in answer.headers.multi_items()
        if name not in (twist.without.lower(), "content-length")
    ]
    content = re.sub(*twist.told, (await answer.aread()).decode())
    return httpx.Response(answer.status_code, headers=headers, content=content)
