"""Where requests may go and what answers may hold: the app's own HTTP client against a server that means harm."""

import gzip
import tracemalloc
import zlib
from collections.abc import Iterable, Iterator
from itertools import repeat

import httpx
import pytest

from linker.adapters.customer_insights import Insights, NoAnswer
from linker.adapters.dataverse import Connection, Dataverse, Meter, web_api
from linker.adapters.dataverse.http import MAX_WAIT_S, retry_after_s
from linker.adapters.outgoing import MAX_ANSWER_BYTES
from linker.core.errors import ConfigurationError, LinkerError, TransientError, UnknownOutcomeError
from linker.settings import Settings
from tests.fakes.requests import API, URL
from tests.fakes.world import StaticTokens

from .answering import answering

MB = 1024 * 1024
GZIP = "HTTP/1.1 200 OK\nContent-Type: application/json\nContent-Encoding: gzip"
PLAIN = "HTTP/1.1 200 OK\nContent-Type: application/json"
OTHER = "https://evil.example"


def bomb(size_mb: int) -> Iterator[bytes]:
    """Yield so many megabytes of blanks, packed a thousandfold."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)
    for part in repeat(b" " * MB, size_mb):
        yield packer.compress(part)
    yield packer.flush()


async def refused(head: str, body: Iterable[bytes], method: str = "GET") -> LinkerError:
    """Return what the app makes of an answer."""
    async with answering(head, body) as server, server.deps() as deps:
        with pytest.raises(LinkerError) as raised:
            await deps.connection.send(Meter(), method, "contacts")
        return raised.value


# ---- size ----


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param(GZIP, list(bomb(128)), id="bomb"),
        pytest.param(PLAIN, [b" " * MB] * (MAX_ANSWER_BYTES // MB + 1), id="endless"),
    ],
)
async def test_an_answer_above_the_limit_is_not_read_to_its_end(head: str, body: list[bytes]) -> None:
    tracemalloc.start()
    try:
        found = await refused(head, body)
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_ANSWER_BYTES
    finally:
        tracemalloc.stop()
    assert type(found) is TransientError
    assert f"larger than {MAX_ANSWER_BYTES:,} bytes" in str(found)


async def test_after_a_write_such_an_answer_leaves_open_what_was_written() -> None:
    assert type(await refused(GZIP, list(bomb(64)), "POST")) is UnknownOutcomeError


@pytest.mark.parametrize(
    ("head", "body"),
    [
        pytest.param(f"{GZIP}, gzip", [gzip.compress(gzip.compress(b"{}"))], id="packed twice"),
        pytest.param(GZIP.replace("gzip", "br"), [b"{}"], id="another coding"),
        pytest.param(GZIP, [gzip.compress(b'{"value":[]}')[:-9]], id="cut off"),
        pytest.param(GZIP, [b"{}"], id="no gzip"),
    ],
)
async def test_what_cannot_be_unpacked_is_a_passing_fault(head: str, body: list[bytes]) -> None:
    assert type(await refused(head, body)) is TransientError


async def test_a_packed_answer_is_asked_for_and_read() -> None:
    async with answering(GZIP, [gzip.compress(b'{"value":[1]}')]) as server, server.deps() as deps:
        assert await deps.dataverse().get("contacts") == {"value": [1]}
        assert "accept-encoding: gzip\r\n" in server.asked[0].lower()


# ---- shape ----


@pytest.mark.parametrize("body", [b"[" * 200_000, b"{", b"\xff", b"<html>"], ids=["deep", "half", "bytes", "page"])
async def test_an_answer_that_is_not_json_is_a_passing_fault_of_either_service(body: bytes) -> None:
    async with answering(PLAIN, [body]) as server, server.deps(insights_url=server.url) as deps:
        insights = Insights(server.url, "i", deps.connection.client, StaticTokens())
        with pytest.raises(TransientError, match="not JSON"):
            await deps.dataverse().get("contacts")
        answer = await insights.instance()
        assert isinstance(answer, NoAnswer)
        assert "not JSON" in answer.reason


@pytest.mark.parametrize("status", ["400 Bad Request", "500 Internal Server Error"])
async def test_an_error_nested_beyond_measure_is_an_error_with_its_status(status: str) -> None:
    found = await refused(f"HTTP/1.1 {status}", [b'{"error":' * 100_000])
    assert f"answered {status[:3]}" in str(found)


async def test_a_deep_answer_inside_of_a_batch_is_a_passing_fault() -> None:
    section = b"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + b'{"a":' * 100_000
    with pytest.raises(TransientError):
        web_api.parse_batch("multipart/mixed; boundary=b", section + b"\r\n--b--\r\n", 1)


async def test_rows_that_never_end_are_noticed() -> None:
    body = {"value": [{}], "@odata.nextLink": f"{URL}{API}contacts?$skiptoken=again"}
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=body)))
    with pytest.raises(TransientError, match="twice"):
        _ = [rows async for rows in Dataverse(Connection(URL, client, StaticTokens())).rows("contacts")]


@pytest.mark.parametrize("asked", ["9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT", "99999999"])
def test_no_answer_asks_for_more_than_a_day_of_patience(asked: str) -> None:
    assert retry_after_s(asked, 0.0) == MAX_WAIT_S


async def test_a_hint_of_any_length_is_survived() -> None:
    async with answering(f"{PLAIN}\nx-ms-dop-hint: {'9' * 5_000}", [b"{}"]) as server, server.deps() as deps:
        await deps.connection.send(meter := Meter(), "GET", "contacts")
        assert meter.dop_hint == 0


# ---- places ----


@pytest.mark.parametrize(
    "url", [f"{OTHER}/x", "https://127.0.0.1/x", "http://127.0.0.1:1/x", "http://localhost/x"], ids=str
)
async def test_nothing_is_sent_to_an_address_that_no_setting_names(url: str) -> None:
    async with answering(PLAIN) as server, server.deps() as deps:
        with pytest.raises(ConfigurationError, match="was not sent"):
            await deps.connection.client.get(url)
        assert server.asked == []


async def test_customer_insights_and_dataverse_may_both_be_asked() -> None:
    async with answering(PLAIN, [b"{}"]) as one, answering(PLAIN, [b"{}"]) as other:
        async with one.deps(insights_url=other.url) as deps:
            for server in (one, other):
                await deps.connection.client.get(server.url)
        assert (len(one.asked), len(other.asked)) == (1, 1)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_and_proves_nothing_of_a_write(status: int) -> None:
    async with answering(PLAIN, [b"{}"]) as elsewhere:
        found = await refused(f"HTTP/1.1 {status} Moved\nLocation: {elsewhere.url}/x\nContent-Length: 0", [], "POST")
        assert type(found) is UnknownOutcomeError
        assert elsewhere.asked == []


@pytest.mark.parametrize("link", [f"{URL}{API}contacts\r\nX: y", f"{URL}{API}contacts\x00"], ids=repr)
def test_a_link_with_control_characters_is_not_followed(link: str) -> None:
    way = Connection(URL, httpx.AsyncClient(timeout=120), StaticTokens())
    with pytest.raises(ConfigurationError, match="not followed"):
        way.address(link)


async def test_an_instance_id_cannot_lead_to_another_path() -> None:
    async with answering(PLAIN, [b"{}"]) as server, server.deps(insights_url=server.url) as deps:
        await Insights(server.url, "../x?y#z", deps.connection.client, StaticTokens()).instance()
        assert server.asked[0].startswith("GET /instances/..%2Fx%3Fy%23z HTTP/1.1")


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("http://contoso.crm4.dynamics.com", id="not encrypted"),
        pytest.param("http://127.0.0.1.evil.example", id="only looks like this machine"),
        pytest.param("https://contoso.crm4.dynamics.com@evil.example", id="a name before the host"),
        pytest.param("https://a:b@contoso.crm4.dynamics.com", id="a password"),
        pytest.param("https://contoso.crm4.dynamics.com#x", id="a fragment"),
        pytest.param("https://contoso\n.crm4.dynamics.com", id="a line end"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("ftp://contoso.crm4.dynamics.com", id="another protocol"),
    ],
)
@pytest.mark.parametrize("setting", ["dataverse_url", "insights_url"])
def test_an_address_that_would_give_tokens_away_is_refused(setting: str, address: str) -> None:
    with pytest.raises(ValueError, match=setting):
        Settings.model_validate({"dataverse_url": URL, setting: address})


@pytest.mark.parametrize("address", ["http://127.0.0.1:8050", "http://localhost:8050", "http://[::1]:8050"])
def test_on_this_machine_http_will_do(address: str) -> None:
    assert Settings.model_validate({"dataverse_url": address}).dataverse_url == address


# ---- lines ----


@pytest.mark.parametrize(
    "part",
    [
        pytest.param(web_api.Part("PATCH", "/x", "{}", {"If-Match": 'W/"1"\r\nX: y'}), id="header"),
        pytest.param(web_api.Part("GET", "/x HTTP/1.1\r\n\r\n--batch_linker"), id="path"),
        pytest.param(web_api.Part("PATCH", "/x", "{}\n--batch_linker"), id="body"),
    ],
)
def test_no_part_of_a_batch_can_begin_another_one(part: web_api.Part) -> None:
    with pytest.raises(ConfigurationError, match="not sent"):
        web_api.build_batch([part])
