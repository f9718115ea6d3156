"""Whatever a caller sends, to any operation or page: the app answers or refuses, and never fails."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from linker.core.model import Mode, Run, Status, TableRun
from linker.core.runs import lifecycle
from linker.entrypoints import api, portal
from linker.entrypoints.api import Operation, Reply, Request
from linker.entrypoints.operations import names_of
from tests.fakes.client import BASE, Starter
from tests.fakes.principal import headers
from tests.fakes.world import World, contact_id

RUN = "20261123T000000Z-00000001"
TEXTS = (
    "",
    " ",
    "\x00",
    "\ud800",
    "\udfff",
    "a\r\nb: c",
    "\N{GRINNING FACE}" * 2_000,
    "'",
    '"',
    "%",
    "%00",
    "../..",
    "{}",
    "[",
    "<x>",
    "NaN",
    "-Infinity",
    "1e999",
    "9" * 5_000,
    "-1",
    "0",
    "true",
    "null",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "contact",
    contact_id(1),
    RUN,
)
BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"1e999",
    b"NaN",
    b"[" * 60_000,
    b'{"mode":' + b"[" * 30_000,
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    b'{"mode":"full","mode":"x"}',
    b'{"tables":["\\ud800"]}',
    b'{"startedAt":"9999-12-31T23:59:59Z"}',
    b'{"startedAt":NaN}',
    b'{"allowUnlinking":[{"table":"contact","mostRows":1e308}]}',
    b'{"jobId":"\\u0000"}',
    b'{"digest":"\\ud83d"}',
)
HEADERS = (
    "origin",
    "host",
    "cookie",
    "accept",
    "accept-language",
    "idempotency-key",
    "sec-fetch-site",
    "sec-fetch-mode",
    "sec-fetch-dest",
    "referer",
    "content-type",
    "x-ms-client-principal",
    "x-ms-client-principal-id",
    "x-ms-client-principal-name",
    "if-none-match",
)
PRINCIPALS = tuple(
    base64.b64encode(json.dumps(document).encode()).decode()
    for document in (
        None,
        1,
        [],
        {},
        {"claims": 1},
        {"claims": [1, None, {}]},
        {"claims": [{"typ": 1, "val": 2}], "role_typ": []},
        {"auth_typ": "aad", "role_typ": "roles", "claims": [{"typ": "roles", "val": "\ud800"}]},
    )
)


@pytest.fixture
async def world() -> World:
    """A world with a run, so that pages have something to show."""
    world = World()
    world.people(2)
    tables = (TableRun("contact", "crm", Status.SUCCESSFUL, mode=Mode.FULL),)
    await world.deps.runs.create(
        lifecycle.end_early(Run(RUN, Mode.FULL, Status.REFRESHING, tables=tables), Status.FAILED, "no", 2e9)
    )
    return world


def requests(wanted: Operation, seed: str, number: int = 40) -> Iterator[Request]:
    """Yield odd requests: one part odd, or all of them."""
    chance = random.Random(seed)
    for turn in range(number):
        path = {name: RUN if name == "run" else chance.choice(TEXTS) for name in wanted.parameters}
        known = names_of(wanted.query) if wanted.query else ()
        query = {name: chance.choice(TEXTS) for name in (*known, "other") if chance.random() < 0.4}
        sent = signed_in() if turn % 2 else {}
        sent |= {name: chance.choice((*TEXTS, *PRINCIPALS)) for name in HEADERS if chance.random() < 0.15}
        yield Request(path, query, sent, chance.choice(BODIES), BASE)


def signed_in() -> dict[str, str]:
    return headers(("roles", "admin")) | {"sec-fetch-site": "same-origin"}


def is_fine(reply: Reply) -> bool:
    return reply.status != 500 and bool(reply.text.encode() or reply.status)


@pytest.mark.parametrize("authenticated", [True, False])
@pytest.mark.parametrize("one", api.OPERATIONS, ids=lambda one: one.name)
async def test_no_request_to_the_api_is_a_fault_of_the_app(world: World, one: Operation, authenticated: bool) -> None:
    served = api.Api(lambda: world.deps, authenticated)
    for request in requests(one, one.name):
        reply = await served.serve(one, request, Starter())
        assert is_fine(reply), (request, reply)


@pytest.mark.parametrize("authenticated", [True, False])
@pytest.mark.parametrize("one", portal.PAGES, ids=lambda one: f"{one.method} {one.path}")
async def test_no_request_to_a_page_is_a_fault_of_the_app(world: World, one: Operation, authenticated: bool) -> None:
    served = portal.Portal(lambda: world.deps, portal.PAGES, authenticated)
    for request in requests(one, one.path):
        rest = one.path.format_map(request.path).removeprefix("/portal").strip("/")
        asked = Request({"rest": rest}, request.query, request.headers, request.body, BASE)
        reply = await served.serve(one.method, asked, Starter())
        assert is_fine(reply), (asked, reply)


ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**63,
    10**400,
    1e308,
    "",
    "\x00",
    "x" * 5_000,
    "\N{GRINNING FACE}" * 500,
    [],
    [None],
    ["x"] * 1_000,
    {},
    {"a": {}},
    "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30T00:00:00Z",
)


@pytest.mark.parametrize("one", [one for one in api.OPERATIONS if one.body], ids=lambda one: one.name)
async def test_no_value_of_a_body_is_a_fault_of_the_app(world: World, one: Operation) -> None:
    assert one.body is not None
    served = api.Api(lambda: world.deps, authenticated=False)
    for name in names_of(one.body):
        for value in ODD_VALUES:
            path = dict.fromkeys(one.parameters, "contact")
            body = json.dumps({name: value}).encode()
            reply = await served.serve(one, Request(path, {}, {}, body, BASE), Starter())
            assert is_fine(reply), (name, value, reply)
