"""Who may talk to a server on this machine: programs of the machine, and its pages; no page from elsewhere.

A web page can send a browser to 127.0.0.1. Two ways are closed here. With DNS rebinding, the page's own name leads to this
machine, so that its scripts may read the answers: the Host header then has that name. With a cross-site request, the page posts
a form or a simple body without reading the answer: the browser then names the page's origin.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_REFUSED = "This server answers to programs and pages of this machine alone ({}). Nothing was done."


class LocalOnly:
    """Refuses what another site makes a browser send.

    `guarded` are starts of paths below which a page from elsewhere may change nothing.
    """

    def __init__(self, app: ASGIApp, guarded: Sequence[str]) -> None:
        self._app = app
        self._guarded = tuple(guarded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with 403, or pass it on."""
        if scope["type"] == "http" and (reason := self._refusal(scope)):
            await PlainTextResponse(_REFUSED.format(reason), 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str:
        headers = Headers(scope=scope)
        if not is_loopback(f"//{headers.get('host', '')}"):
            return "the header Host names another one"
        if scope["method"] in _READING or not scope["path"].startswith(self._guarded):
            return ""
        origin = headers.get("origin")
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") or not (origin is None or is_loopback(origin)):
            return "the request comes from a page of another site"
        return ""


def is_loopback(address: str) -> bool:
    """Whether an address, such as http://127.0.0.1:8050, is of this machine. 'null' is not an address."""
    try:
        return urlsplit(address).hostname in LOOPBACK
    except ValueError:
        return False
