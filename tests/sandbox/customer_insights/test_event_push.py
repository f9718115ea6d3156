"""Azure Monitor messages on their way to an address."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from sandbox.customer_insights.event_push import EventPush
from sandbox.server.app import Sandbox
from tests.sandbox.conftest import in_process


class Receiver(HTTPServer):
    """Keeps what is posted; answers `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.messages: list[dict[str, object]] = []
        self.status = 202

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/events"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self.server.messages.append(json.loads(self.rfile.read(length)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def delivered(push: EventPush) -> None:
    assert push._courier is not None
    await push._courier


async def test_messages_are_posted_in_order(sandbox: Sandbox, admin: httpx.AsyncClient, receiver: Receiver) -> None:
    before = len((await admin.get("/events")).json())
    await admin.post("/config", json={"events_url": receiver.url})
    await admin.post("/unifications", json={"move": 0.1})
    push = sandbox.simulator.workflow._push
    assert isinstance(push, EventPush)
    await delivered(push)
    assert receiver.messages == (await admin.get("/events")).json()[before:]
    assert len(receiver.messages) == 10


async def test_a_message_that_is_not_taken_is_logged_and_the_unification_continues(
    sandbox: Sandbox, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 500
    async with in_process(sandbox, "/sandbox") as admin:
        await admin.post("/config", json={"events_url": receiver.url})
        with caplog.at_level(logging.WARNING, "sandbox.pushing"):
            answer = await admin.post("/unifications", json={})
            push = sandbox.simulator.workflow._push
            assert isinstance(push, EventPush)
            await delivered(push)
    assert answer.status_code == 200
    assert len(caplog.records) == 10


def test_nothing_is_sent_before_the_server_runs() -> None:
    push = EventPush(lambda: "http://127.0.0.1:9/events")
    push({"records": []})
    assert push._courier is None
