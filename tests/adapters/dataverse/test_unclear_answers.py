"""An answer to a write that Dataverse did not clearly give proves nothing: the write may be committed, also later."""

import json
from collections.abc import Awaitable, Callable

import httpx
import pytest

from linker.adapters.dataverse import Connection, Dataverse, Meter, lookup_column, web_api
from linker.adapters.dataverse.metadata import send_json
from linker.core.capabilities import TableKind
from linker.core.errors import DataverseError, ThrottledError, TransientError, UnknownOutcomeError
from linker.core.model import Counts, Link, Target
from linker.core.requirements.facts import DataverseTable
from linker.durable.activities.touch_profiles import Profile, write_again, write_parts_of
from tests.fakes.requests import NAVIGATION, URL
from tests.fakes.world import WRITE_S, StaticTokens, World, contact_id

HTML = "<!DOCTYPE html><html><body>Service Unavailable</body></html>"
PARTS = {"Content-Type": "multipart/mixed; boundary=answer"}
ROW = contact_id(1)
KEY = bytes.fromhex(ROW.replace("-", ""))
LINK = Link("00000000-0000-4000-9000-000000000001")
TABLE = DataverseTable("contact", "Contact", "contacts", "contactid")
TARGET = Target("contact", "contacts", "contactid", NAVIGATION, True, False, ())


@pytest.fixture
def world() -> World:
    return World()


def odata(status: int, code: str, text: str = "") -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": text}})


def part(status: int, body: str = "") -> httpx.Response:
    lines = ["--answer", "Content-Type: application/http", "", f"HTTP/1.1 {status} Word", "", body, "--answer--", ""]
    return httpx.Response(200, content="\r\n".join(lines).encode(), headers=PARTS)


async def update_multiple(dataverse: Dataverse) -> None:
    await dataverse.write_links(TARGET, {KEY: LINK})


async def batch_of_patches(dataverse: Dataverse) -> None:
    await dataverse.write_parts({1: dataverse.patch("contacts", ROW, {"a": 1}, "*")})


async def unlinking(dataverse: Dataverse) -> None:
    await dataverse.clear_links(TARGET, {KEY: 'W/"1"'})


async def touching(dataverse: Dataverse) -> None:
    await write_again(dataverse, write_parts_of(dataverse, {LINK.profile: Profile("c1", 'W/"1"')}), {})


async def single(dataverse: Dataverse) -> None:
    await send_json(dataverse, "PATCH", f"systemusers({ROW})", {"isdisabled": False})


async def deletion(dataverse: Dataverse) -> None:
    await send_json(dataverse, "DELETE", f"roles({ROW})")


WRITES = [update_multiple, batch_of_patches, unlinking, touching, single, deletion]
UNCLEAR = {
    **{f"{status} page": httpx.Response(status, html=HTML) for status in (400, 403, 404, 408, 500, 502, 503, 504)},
    **{f"{status} empty": httpx.Response(status) for status in (408, 500, 502, 503, 504)},
    "503 of a gateway in JSON": odata(503, "ServiceUnavailable"),
    "500 without a code": odata(500, ""),
    "500 with an unknown code": odata(500, "0x80001234"),
    "500 unexpected": odata(500, "0x80040216"),
    "failover": odata(500, "0x80044150", "Sql Number: 40613"),
    "sign-in page": httpx.Response(200, html=HTML),
    "sign-in redirect": httpx.Response(302, headers={"Location": "https://login.example/"}),
    "200 with JSON": httpx.Response(200, json={"value": []}),
    "202": httpx.Response(202),
}


def dataverse(answer: httpx.Response | Exception) -> Dataverse:
    def serve(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = httpx.AsyncClient(transport=httpx.MockTransport(serve))
    return Dataverse(Connection(URL, client, StaticTokens()))


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=UNCLEAR)
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
async def test_no_write_takes_an_unclear_answer_for_an_outcome(
    write: Callable[[Dataverse], Awaitable[None]], answer: httpx.Response
) -> None:
    with pytest.raises(UnknownOutcomeError):
        await write(dataverse(answer))


@pytest.mark.parametrize("failure", [httpx.ReadError("reset"), httpx.RemoteProtocolError("cut"), httpx.ReadTimeout("")])
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
async def test_nor_a_connection_that_ends(write: Callable[[Dataverse], Awaitable[None]], failure: Exception) -> None:
    with pytest.raises(UnknownOutcomeError):
        await write(dataverse(failure))


BATCHES = {
    "204 for the envelope": httpx.Response(204),
    "an envelope that was cut": httpx.Response(200, content=b"--answer\r\nContent-Type: app", headers=PARTS),
    "no parts": httpx.Response(200, content=b"--answer--\r\n", headers=PARTS),
    "a part without a status": httpx.Response(200, content=b"--answer\r\n\r\n\r\n\r\n--answer--\r\n", headers=PARTS),
    "a part with 200 and a body": part(200, "{}"),
    "a part with a page": part(503, HTML),
    "a part with a page of 403": part(403, HTML),
    "a part with a redirect": part(302),
    "a part with a failover": part(500, '{"error":{"code":"0x80044150","message":"Sql Number: 40197"}}'),
}


@pytest.mark.parametrize("answer", BATCHES.values(), ids=BATCHES)
@pytest.mark.parametrize("write", WRITES[1:4], ids=lambda write: write.__name__)
async def test_nor_a_part_of_a_batch(write: Callable[[Dataverse], Awaitable[None]], answer: httpx.Response) -> None:
    with pytest.raises(UnknownOutcomeError):
        await write(dataverse(answer))


CLEAR: dict[str, tuple[httpx.Response, type[Exception] | None]] = {
    "done": (httpx.Response(204), None),
    "plug-in": (odata(400, "0x80040265"), DataverseError),
    "plug-in as 500": (odata(500, "0x80040265"), DataverseError),
    "OData layer": (odata(400, ""), DataverseError),
    "IP firewall": (odata(403, "0x80095ffe"), DataverseError),
    "throttle": (odata(429, "0x80072322"), ThrottledError),
    "429 of a gateway": (httpx.Response(429, html=HTML), ThrottledError),
    "deadlock": (odata(500, "0x80044150", "Sql Number: 1205"), TransientError),
    "token": (httpx.Response(401), TransientError),
    "customization lock": (odata(429, "0x80071151"), TransientError),
}


@pytest.mark.parametrize(("answer", "kind"), CLEAR.values(), ids=CLEAR)
async def test_a_clear_answer_is_believed(answer: httpx.Response, kind: type[Exception] | None) -> None:
    if kind is None:
        await update_multiple(dataverse(answer))
        return
    with pytest.raises(kind) as raised:
        await update_multiple(dataverse(answer))
    assert type(raised.value) is kind


@pytest.mark.parametrize("code", ["0x80095ffe", "0x80040225", "0x8004f507"])
@pytest.mark.parametrize("write", WRITES[1:4], ids=lambda write: write.__name__)
async def test_a_part_that_is_refused_for_all_ends_the_batch(
    write: Callable[[Dataverse], Awaitable[None]], code: str
) -> None:
    with pytest.raises(DataverseError, match=code):
        await write(dataverse(part(403, json.dumps({"error": {"code": code, "message": "no"}}))))


async def test_a_read_that_gets_such_an_answer_is_a_passing_fault() -> None:
    with pytest.raises(TransientError) as raised:
        await dataverse(odata(500, "0x80044150", "Sql Number: 40613")).get("contacts")
    assert type(raised.value) is TransientError


def test_a_batch_that_reads_is_a_passing_fault_when_it_is_cut() -> None:
    with pytest.raises(TransientError) as raised:
        web_api.parse_batch("multipart/mixed; boundary=answer", b"--answer", 1)
    assert type(raised.value) is TransientError


# ---- what follows from it ----


class Late(httpx.AsyncBaseTransport):
    """Answers the next writes as a gateway does, and keeps them: Dataverse commits them when a test says so."""

    def __init__(self, world: World, answers: list[httpx.Response]) -> None:
        self.world, self.answers, self.kept = world, answers, list[httpx.Request]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_write = request.url.path.endswith("UpdateMultiple") or (
            request.url.path.endswith("$batch") and b"PATCH " in request.content
        )
        if is_write and self.answers:
            self.kept.append(request)
            return self.answers.pop(0)
        return await self.world.dataverse(request)

    async def commit(self) -> None:
        for request in self.kept:
            await self.world.dataverse(request)


def behind(world: World, answers: list[httpx.Response]) -> Late:
    late = Late(world, answers)
    world.deps.connection.client._transport = late
    return late


@pytest.mark.parametrize("bulk", [True, False], ids=["bulk", "single"])
@pytest.mark.parametrize(
    "name", ["503 page", "504 page", "502 empty", "408 empty", "500 page", "sign-in page", "failover"]
)
async def test_a_write_that_commits_late_never_lands_over_a_newer_one(world: World, name: str, bulk: bool) -> None:
    world.contacts.bulk = bulk
    world.people(3)
    assert (await world.link("run0")).counts.linked == 3
    world.clock.pass_s(1)
    world.dataverse.map(ROW, "c2")
    late = behind(world, [UNCLEAR[name]] * 10)
    outcome = await world.link("run1")
    assert outcome.later_s > 0
    assert not outcome.failed
    late.answers.clear()
    world.dataverse.map(ROW, "c3")  # unification moves on, within the two minutes
    assert (await world.link("run2")).held
    world.clock.pass_s(100)
    await late.commit()
    world.clock.pass_s(WRITE_S - 90)
    assert (await world.link("run3")).counts == Counts(rows_read=3, linked=1, unchanged=2)
    assert world.is_right()


@pytest.mark.parametrize("bulk", [True, False], ids=["bulk", "single"])
async def test_a_few_unclear_answers_are_waited_out_within_the_attempt(world: World, bulk: bool) -> None:
    world.contacts.bulk = bulk
    world.people(3)
    late = behind(world, [UNCLEAR["503 page"], UNCLEAR["failover"]])
    outcome = await world.link()
    assert outcome.counts == Counts(rows_read=3, linked=3)
    assert len(late.kept) == 2
    block = await world.block()
    assert block.header.unconfirmed == 3  # the first write may still come
    assert block.header.until > world.clock()


async def test_a_fault_of_the_server_rejects_no_row(world: World) -> None:
    world.people(100)
    behind(world, [UNCLEAR["failover"]] * 100)
    outcome = await world.link(batch=10)
    assert outcome.later_s > 0
    assert await world.issues() == {}
    assert world.dataverse.written == {}


async def test_a_write_that_was_committed_under_an_unclear_answer_is_not_sent_again(world: World) -> None:
    world.people(3)
    late = behind(world, [UNCLEAR["503 page"]])
    world.deps.limiter._sleep = lambda _: late.commit()  # type: ignore[assignment]
    assert (await world.link()).counts == Counts(rows_read=3, linked=3)
    assert world.dataverse.written == {"bulk": 3}


@pytest.mark.parametrize("name", ["503 page", "sign-in page", "failover", "403 page"])
async def test_a_column_whose_creation_was_answered_unclearly_is_found_or_waited_for(name: str) -> None:
    created = [False]

    def serve(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return UNCLEAR[name]
        if "ManyToOneRelationships" in str(request.url):
            found = {
                "ReferencedEntity": "msdynci_customerprofile",
                "ReferencingEntityNavigationPropertyName": NAVIGATION,
            }
            return httpx.Response(200, json={"value": [found] if created[0] else []})
        return httpx.Response(200, json={"value": []})

    one = Dataverse(Connection(URL, httpx.AsyncClient(transport=httpx.MockTransport(serve)), StaticTokens()), Meter())
    with pytest.raises(TransientError, match="metadata yet"):
        await lookup_column.create(one, TABLE, None, TableKind.STANDARD)
    created[0] = True
    assert await lookup_column.create(one, TABLE, None, TableKind.STANDARD) == NAVIGATION
