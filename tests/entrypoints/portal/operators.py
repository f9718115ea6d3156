"""An operator before the pages of an app."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from linker.core.model import RunRequest
from linker.entrypoints import api
from linker.entrypoints.api import Reply
from tests.fakes.app import FakeApp
from tests.fakes.browser import Browser, text_of
from tests.fakes.client import Client
from tests.fakes.principal import headers

PEOPLE, LEFT = 20, 4
ACTIONS = "/api/portal/actions"


class Operator:
    """An operator before the pages of an app, from tests that are not asynchronous themselves."""

    def __init__(self, app: FakeApp, role: str = "operator") -> None:
        self.app = app
        self.browser = Browser(app.world, authenticated=True, headers=headers(("roles", role)))
        self.token = app.do(self._token())

    def get(self, address: str = ACTIONS) -> Reply:
        return self.app.do(self.browser.get(address))

    def read(self, address: str = ACTIONS) -> str:
        return text_of(self.get(address).text)

    def post(self, address: str, **fields: object) -> Reply:
        return self.app.do(self.browser.post(address, token=self.token, **fields))

    def approve(self) -> Reply:
        """Allow the first link of contact as the page shows it."""
        page = self.get("/api/portal/tables/contact/approve").text
        digest = page.partition('name="digest" value="')[2].partition('"')[0]
        return self.post("/api/portal/tables/contact/approve", key="k1", digest=digest)

    def review(self, **fields: object) -> str:
        return text_of(self.reviewed(**fields).text)

    def reviewed(self, **fields: object) -> Reply:
        """Choose a run, and follow to its review: an address of its own, so that Back leads there again."""
        chosen = self.post(f"{ACTIONS}/review", **fields)
        assert chosen.status == 303, text_of(chosen.text)
        reply = self.get(chosen.headers["Location"])
        assert reply.status == 200, text_of(reply.text)
        return reply

    @property
    def started(self) -> list[RunRequest]:
        return [ticket.request for ticket in self.browser.start.started]

    def audited(self) -> list[dict[str, Any]]:
        reply = self.app.do(Client(self.app.world).ask(api.get_audit))
        return list(reply.body["value"])

    async def _token(self) -> str:
        from linker.core.roles import form_token

        return form_token(await self.app.world.deps.salt(), "7c0f")


def run_of(reply: Reply) -> str:
    """The run whose progress details an action led to."""
    assert reply.status == 303, text_of(reply.text)
    return parse_qs(urlsplit(reply.headers["Location"]).query)["run"][0]
