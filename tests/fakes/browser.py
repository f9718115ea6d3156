"""Asks the pages as a browser does, without HTTP: it keeps the session's cookie, says where it is, and fills in forms."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qsl, urlencode, urlsplit

from linker.entrypoints import portal
from linker.entrypoints.api import Reply, Request
from tests.fakes.client import BASE, Starter
from tests.fakes.world import World

SAME_SITE = {"sec-fetch-site": "same-origin"}


class Browser:
    """One person before the pages of a world. `headers` are what the platform adds for a user who signed in."""

    def __init__(self, world: World, *, authenticated: bool = False, headers: dict[str, str] | None = None) -> None:
        self.start = Starter()
        self.portal = portal.Portal(lambda: world.deps, portal.PAGES, authenticated)
        self.headers = SAME_SITE | (headers or {})

    async def sign_in(self, page: str = "") -> Reply:
        """Begin a session, as after a key that the host took."""
        return self._kept(await self.portal.open_session(Request({}, {}, self.headers, _form(page=page), BASE)))

    async def get(self, address: str = "/api/portal") -> Reply:
        """Open a page."""
        return self._kept(await self.portal.serve("GET", self._request(address)))

    async def post(self, address: str, **fields: object) -> Reply:
        """Send a form."""
        return self._kept(await self.portal.serve("POST", self._request(address, _form(**fields)), self.start))

    async def token(self, address: str = "/api/portal") -> str:
        """Return the token that the forms of a page carry."""
        found = re.search(r'name="token" value="([^"]+)"', (await self.get(address)).text)
        assert found is not None
        return found[1]

    async def text(self, address: str = "/api/portal") -> str:
        """Return what can be read on a page."""
        reply = await self.get(address)
        assert reply.status == 200, reply.text
        return text_of(reply.text)

    def _request(self, address: str, body: bytes = b"") -> Request:
        parts = urlsplit(address)
        rest = parts.path.removeprefix("/api/portal").strip("/")
        return Request({"rest": rest}, dict(parse_qsl(parts.query)), self.headers, body, BASE)

    def _kept(self, reply: Reply) -> Reply:
        if "Set-Cookie" in reply.headers:
            self.headers["cookie"] = reply.headers["Set-Cookie"].partition(";")[0]
        return reply


def text_of(html: str) -> str:
    """Return what can be read of a page, its white space folded."""
    visible = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    visible = re.sub(r"</?data\b[^>]*>", "", visible)  # a number in a text
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", visible)))


def _form(**fields: object) -> bytes:
    return urlencode(fields, doseq=True).encode()
