"""Sessions: signing in, what a session opens, and when it ends."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from linker.core.roles import LIFETIME_S, form_token, is_valid
from linker.entrypoints import portal
from linker.entrypoints.api import Request
from tests.fakes.browser import Browser
from tests.fakes.world import World


@pytest.fixture
def browser(world: World) -> Browser:
    """A browser without a signed-in user."""
    return Browser(world)


async def test_who_has_no_session_is_led_to_the_sign_in_and_from_there_back(browser: Browser) -> None:
    away = await browser.get("/api/portal?run=r1&table=lead")
    assert (away.status, away.headers["Location"]) == (
        303,
        "/api/portal/sign-in?page=%2Fapi%2Fportal%3Frun%3Dr1%26table%3Dlead",
    )
    page = await browser.get(away.headers["Location"])
    assert 'value="/api/portal?run=r1&amp;table=lead"' in page.text
    back = await browser.sign_in("/api/portal?run=r1&table=lead")
    assert (back.status, back.headers["Location"]) == (303, "/api/portal?run=r1&table=lead")


async def test_a_key_in_an_address_goes_nowhere(browser: Browser) -> None:
    assert "SECRET" not in (await browser.get("/api/portal?run=r1&code=SECRET")).headers["Location"]


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/api/runs",
        "/api/portalx",
        "/api/portal/../runs",
        "/api/portal/%2e%2e/runs",
        "/api/portal/..\\runs",
        "/api/portal/\r\nSet-Cookie: a=b",
        "x",
    ],
)
async def test_a_sign_in_leads_nowhere_else(browser: Browser, elsewhere: str) -> None:
    assert (await browser.sign_in(elsewhere)).headers["Location"] == "/api/portal"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example", "//evil.example", "javascript:alert(1)", "/api/runs", "/\\evil.example"]
)
async def test_the_sign_in_page_holds_no_address_but_our_own(browser: Browser, elsewhere: str) -> None:
    """Its script goes there without asking the server again."""
    page = await browser.get(f"/api/portal/sign-in?{urlencode({'page': elsewhere})}")
    assert 'name="page" value=""' in page.text
    assert "evil" not in page.text
    assert "alert(" not in page.text


async def test_a_session_ends_after_its_time(browser: Browser, world: World) -> None:
    await browser.sign_in()
    world.clock.pass_s(LIFETIME_S - 1)
    assert (await browser.get()).status == 200
    world.clock.pass_s(1)
    assert (await browser.get()).status == 303


async def test_signing_out_ends_the_session_in_this_browser(browser: Browser) -> None:
    await browser.sign_in()
    out = await browser.post("/api/portal/sign-out")
    assert (out.headers["Location"], "Max-Age=0" in out.headers["Set-Cookie"]) == ("/api/portal/sign-in", True)
    assert (await browser.get()).status == 303


@pytest.mark.parametrize(
    "forged",
    [
        # not the last character: some of its bits stand for nothing
        pytest.param(lambda value: value[:-2] + ("0" if value[-2] != "0" else "1") + value[-1], id="another signature"),
        pytest.param(lambda value: f"9{value}", id="a longer time"),
        pytest.param(lambda value: value.replace(".id", ".di"), id="another nonce"),
        pytest.param(lambda value: "", id="nothing"),
        pytest.param(lambda value: "ä.b.c", id="no signature"),
    ],
)
async def test_a_forged_cookie_opens_nothing(browser: Browser, forged) -> None:  # type: ignore[no-untyped-def]
    await browser.sign_in()
    name, _, value = browser.headers["cookie"].partition("=")
    browser.headers["cookie"] = f"{name}={forged(value)}"
    assert (await browser.get()).status == 303


async def test_a_session_of_another_environment_opens_nothing(browser: Browser) -> None:
    other = Browser(World())
    await other.sign_in()
    browser.headers["cookie"] = other.headers["cookie"]
    assert (await browser.get()).status == 303


async def test_the_cookie_is_kept_from_scripts_other_sites_and_plain_http(world: World) -> None:
    cookie = (await Browser(world).sign_in()).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Secure", "Path=/api/portal"} <= set(cookie.split("; "))


@pytest.mark.parametrize(
    ("address", "is_secure"),
    [
        ("http://localhost:7071", False),
        ("http://127.0.0.1", False),
        ("http://[::1]:7071", False),
        ("http://app", True),
        ("http://localhost.evil", True),
        ("https://localhost", True),
        ("http://[::1", True),
        ("http://[localhost]", True),
        ("http://:99999999", True),
        ("", True),
    ],
)
async def test_a_session_goes_over_plain_http_on_this_machine_alone_whatever_the_host_header_says(
    world: World, address: str, is_secure: bool
) -> None:
    served = portal.Portal(lambda: world.deps, portal.PAGES)
    headers = {"sec-fetch-site": "same-origin"}
    begun = await served.open_session(Request(headers=headers, base_url=address))
    ended = await served.serve("POST", Request({"rest": "sign-out"}, headers=headers, base_url=address))
    assert [reply.status for reply in (begun, ended)] == [303, 303]
    assert [("Secure" in reply.headers["Set-Cookie"]) for reply in (begun, ended)] == [is_secure, is_secure]


async def test_another_site_can_begin_and_end_no_session(browser: Browser) -> None:
    browser.headers["sec-fetch-site"] = "cross-site"
    assert (await browser.sign_in()).status == 403
    assert (await browser.post("/api/portal/sign-out")).status == 403


def test_a_signature_for_one_purpose_is_none_for_another() -> None:
    secret, claim = b"secret", "1795028800.nonce"
    assert not is_valid(secret, f"{claim}.{form_token(secret, claim)}", now=0)
