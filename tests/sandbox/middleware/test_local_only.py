"""A page of another site changes nothing in the sandbox, and reads nothing of it under a name of its own."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sandbox.middleware.local_only import LocalOnly, is_loopback


async def done(_: Request) -> PlainTextResponse:
    return PlainTextResponse("done")


APP = LocalOnly(
    Starlette(routes=[Route("/{rest:path}", done, methods=["GET", "POST", "PATCH"])]), guarded=("/sandbox",)
)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/sandbox/counters", {}, 200),
        ("GET", "/sandbox/counters", {"host": "rebound.example"}, 403),
        ("GET", "/api/data/v9.2/contacts", {"host": "rebound.example"}, 403),
        ("GET", "/", {"host": ""}, 403),
        ("POST", "/sandbox/reset", {}, 200),
        ("POST", "/sandbox/reset", {"origin": "https://evil.example"}, 403),
        ("POST", "/sandbox/reset", {"origin": "http://127.0.0.1.evil.example"}, 403),
        ("POST", "/sandbox/reset", {"origin": "null"}, 403),
        ("POST", "/sandbox/reset", {"sec-fetch-site": "same-site"}, 403),
        ("POST", "/sandbox/reset", {"origin": "http://localhost:8050", "sec-fetch-site": "same-origin"}, 200),
        (
            "PATCH",
            "/api/data/v9.2/contacts(1)",
            {"origin": "https://evil.example"},
            200,
        ),  # as Dataverse: a token decides
    ],
)
async def test_other_sites_are_refused(method: str, path: str, headers: dict[str, str], status: int) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://127.0.0.1:8050") as client:
        assert (await client.request(method, path, headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:8050", True), ("//localhost", True), ("//[::1]:80", True), ("//LOCALHOST", True),
        ("//127.0.0.1.evil.example", False), ("//evil.example@127.0.0.1.nip.io", False), ("null", False), ("//[", False),
    ],
)  # fmt: skip
def test_addresses_of_this_machine(address: str, local: bool) -> None:
    assert is_loopback(address) is local
