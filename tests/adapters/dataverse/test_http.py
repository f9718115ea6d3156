"""One request to Dataverse: tokens, addresses, and what each answer becomes."""

from collections.abc import Callable

import httpx
import pytest

from linker.adapters.dataverse import Connection, Dataverse, Meter
from linker.core.errors import (
    ConfigurationError,
    DataverseError,
    LinkerError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from linker.core.linking.shards import fold_customer
from linker.core.model import Link, Target
from tests.fakes.requests import API, NAVIGATION, URL
from tests.fakes.world import ScanReplacedError, StaticTokens, World


def connection(answer: Callable[[httpx.Request], httpx.Response], tokens: StaticTokens | None = None) -> Connection:
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return Connection(URL, client, tokens or StaticTokens(), extra_headers={"MSCRM.Bypass": "CustomSync"})


def error(status: int, code: str = "", text: str = "", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"error": {"code": code, "message": text}}, headers=headers)


def raises(failure: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def answer(_: httpx.Request) -> httpx.Response:
        raise failure

    return answer


async def refused(answer: httpx.Response, method: str = "GET") -> LinkerError:
    with pytest.raises(LinkerError) as raised:
        await connection(lambda _: answer).send(Meter(), method, "contacts")
    return raised.value


@pytest.mark.parametrize(
    ("answer", "kind", "wait_s"),
    [
        pytest.param(error(429, "0x80072322", **{"Retry-After": "37"}), ThrottledError, 37.0, id="throttled"),
        pytest.param(error(429, "0x80072322"), ThrottledError, 30.0, id="throttled without a wait"),
        pytest.param(error(429, "0x80071151"), TransientError, 15.0, id="another customisation runs"),
        pytest.param(
            httpx.Response(503, html="<h1>Service Unavailable</h1>"), TransientError, 5.0, id="gateway in HTML"
        ),
        pytest.param(httpx.Response(401), TransientError, 1.0, id="token refused, empty body"),
    ],
)
async def test_what_passes_says_how_long_to_wait(answer: httpx.Response, kind: type, wait_s: float) -> None:
    found = await refused(answer)
    assert type(found) is kind
    assert found.wait_s == wait_s  # type: ignore[attr-defined]


async def test_an_answer_without_a_code_leaves_no_gap_in_the_message() -> None:
    found = await refused(httpx.Response(503, html="<h1>Service Unavailable</h1>"))
    assert "Dataverse answered 503: a web page instead of an answer" in str(found)


async def test_an_identity_that_is_not_a_user_learns_how_to_become_one() -> None:
    found = await refused(error(403, "0x80072560", "The user is not member of the organization."))
    assert type(found) is ConfigurationError
    assert "is not a user of https://contoso.crm4.dynamics.com" in str(found)
    assert "python -m linker setup" in str(found)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(error(400, "0x80040265", "no"), (400, "0x80040265", "no"), id="platform error"),
        pytest.param(httpx.Response(400, text="plain words"), (400, "", "plain words"), id="plain text"),
        pytest.param(
            httpx.Response(400, json={"Message": "other shape"}), (400, "", '{"Message":"other shape"}'), id="other"
        ),
        pytest.param(httpx.Response(400, json=["no object"]), (400, "", '["no object"]'), id="a list"),
        pytest.param(error(413), (413, "", ""), id="too large"),
    ],
)
async def test_what_does_not_pass_carries_status_code_and_text(
    answer: httpx.Response, expected: tuple[int, str, str]
) -> None:
    found = await refused(answer)
    assert isinstance(found, DataverseError)
    assert (found.status, found.code, found.text) == expected


@pytest.mark.parametrize("failure", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x")])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_was_never_sent_is_transient(failure: Exception, method: str) -> None:
    with pytest.raises(TransientError):
        await connection(raises(failure)).send(Meter(), method, "contacts")


SILENCE = [httpx.ReadTimeout("x"), httpx.ReadError("x"), httpx.RemoteProtocolError("x"), httpx.WriteError("x")]


@pytest.mark.parametrize("failure", SILENCE)
async def test_silence_after_a_write_is_an_unknown_outcome(failure: Exception) -> None:
    with pytest.raises(UnknownOutcomeError):
        await connection(raises(failure)).send(Meter(), "POST", "contacts")


@pytest.mark.parametrize(("method", "reads"), [("GET", False), ("POST", True)])
@pytest.mark.parametrize("failure", SILENCE)
async def test_silence_after_a_read_is_transient(failure: Exception, method: str, reads: bool) -> None:
    with pytest.raises(TransientError):
        await connection(raises(failure)).send(Meter(), method, "$batch", reads=reads)


async def test_a_refused_token_is_not_used_again() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(200, json={}) if len(seen) > 1 else httpx.Response(401)

    way = connection(answer)
    with pytest.raises(TransientError):
        await way.send(Meter(), "GET", "contacts")
    await way.send(Meter(), "GET", "contacts")
    assert seen == ["Bearer token0", "Bearer token1"]


async def test_every_request_carries_the_documented_headers_and_the_bypass() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={}, headers={"x-ms-dop-hint": "12"})

    meter = Meter()
    await connection(answer).send(meter, "GET", "contacts")
    headers = seen[0].headers
    assert (headers["OData-Version"], headers["If-None-Match"], headers["MSCRM.Bypass"]) == (
        "4.0",
        "null",
        "CustomSync",
    )
    assert (meter.requests, meter.dop_hint) == (1, 12)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/data/v9.2/contacts",
        f"{URL}.evil.example{API}contacts",
        f"http://contoso.crm4.dynamics.com{API}contacts",
        f"{URL}/other/path",
        "//evil.example/api",
        f"https://user@evil.example/?{URL}{API}",
    ],
)
async def test_links_that_lead_elsewhere_are_not_followed(link: str) -> None:
    sent: list[httpx.Request] = []
    with pytest.raises(ConfigurationError, match="not followed"):
        await connection(lambda request: sent.append(request) or httpx.Response(200)).send(Meter(), "GET", link)  # type: ignore[func-returns-value]
    assert not sent


@pytest.mark.parametrize("path", ["contacts?$filter=a eq 'b//c'", f"{URL}{API}contacts?$skiptoken=x//y"])
def test_links_of_the_environment_are_followed(path: str) -> None:
    assert connection(raises(AssertionError())).address(path).startswith(f"{URL}{API}contacts?")


async def test_a_next_link_to_another_host_stops_the_scan() -> None:
    world = World()
    world.people(5)
    world.dataverse.page_size, world.dataverse.next_link_host = 2, "https://evil.example"
    await world.prepare()
    with pytest.raises(ScanReplacedError, match="not followed"):
        await world.scan()
    assert not world.dataverse.bodies


@pytest.mark.parametrize(
    ("stored", "asked", "found"),
    [
        pytest.param(["c1"], "c1", [1], id="one"),
        pytest.param(["c1", "C1"], "c1", [1], id="one has exactly the text of the mapping"),
        pytest.param(["c1", "C1"], "C1", [2], id="so has the other"),
        pytest.param(["c1", "c1"], "c1", [1, 2], id="two cannot be told apart"),
        pytest.param(["cA", "Ca"], "ca", [1, 2], id="none has the text of the mapping"),
        pytest.param(["c1"], "c2", [], id="none"),
    ],
)
async def test_profiles_that_cannot_be_told_apart_are_all_given(
    stored: list[str], asked: str, found: list[int]
) -> None:
    world = World()
    made = [world.dataverse.profile(customer) for customer in stored]
    target = Target("contact", "contacts", "contactid", NAVIGATION, has_in=True)
    profiles = await Dataverse(world.deps.connection).profiles([asked], target)
    assert profiles.get(fold_customer(asked), ()) == tuple(sorted(Link(made[number - 1]) for number in found))


GUID = "5f0c2c3e-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("stored", "asked", "found"),
    [
        pytest.param(GUID.replace("-", ""), [GUID, GUID.replace("-", "")], True, id="a guid in two spellings"),
        pytest.param(GUID, [GUID, GUID.replace("-", "").upper()], True, id="a guid in two spellings and cases"),
        pytest.param("12-3", ["1-23", "12-3"], False, id="hyphens in another place"),
        pytest.param("ab", ["a-b", "ab"], False, id="a hyphen in a text that is not a guid"),
    ],
)
async def test_a_customer_is_found_in_every_spelling_that_is_asked_for_together(
    stored: str, asked: list[str], *, found: bool
) -> None:
    world = World()
    link = Link(world.dataverse.profile(stored))
    target = Target("contact", "contacts", "contactid", NAVIGATION, has_in=True)
    profiles = await Dataverse(world.deps.connection).profiles(asked, target)
    wanted = dict.fromkeys(map(fold_customer, asked if found else asked[1:]), (link,))
    assert profiles == wanted


@pytest.mark.parametrize("code", ["", "0x80040216"])
async def test_a_read_that_the_server_failed_is_worth_another_try_whatever_its_code(code: str) -> None:
    """No row is to blame for it. A write that fails so may be committed anyway."""
    body = {"error": {"code": code, "message": "An unexpected error occurred."}}
    way = connection(lambda _: httpx.Response(500, json=body))
    with pytest.raises(TransientError):
        await way.send(Meter(), "GET", "contacts")
    with pytest.raises(UnknownOutcomeError):
        await way.send(Meter(), "POST", "contacts/Microsoft.Dynamics.CRM.UpdateMultiple")
