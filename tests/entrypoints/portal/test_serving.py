"""Pages: who gets in, which forms count, what a browser may do with them, and every refusal as a page."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from linker.core.errors import ConfigurationError, TransientError
from linker.core.roles import Role, form_token, session_of
from linker.deps import Deps
from linker.entrypoints import portal
from linker.entrypoints.api import Operation, Reply
from linker.entrypoints.operations import Call, operation
from linker.entrypoints.portal.render import redirect, render
from tests.fakes.browser import Browser
from tests.fakes.principal import headers
from tests.fakes.world import World


class Choice(BaseModel):
    """A form of the tests."""

    tables: list[str] = []
    number: int = 0


@operation("POST", "/portal/choose", role=Role.OPERATOR, body=Choice)
async def choose(call: Call[Choice]) -> Reply:
    """Take a form."""
    return redirect("/chosen", what=f"{call.body.number} {call.body.tables}")


@operation("GET", "/portal/administer/{table}", role=Role.ADMIN)
async def administer(call: Call) -> Reply:
    """A page for admins."""
    return await render(call, "problem.html", problem={"title": call.parameters["table"], "detail": ""})


PAGES: tuple[Operation, ...] = (*portal.PAGES, choose, administer)


@pytest.fixture
def browser(world: World) -> Browser:
    made = Browser(world)
    made.portal = portal.Portal(lambda: world.deps, PAGES)
    return made


def signed_in(world: World, *roles: str) -> Browser:
    """Return a user whom App Service Authentication lets through."""
    made = Browser(world, authenticated=True, headers=headers(*(("roles", role) for role in roles)))
    made.portal = portal.Portal(lambda: world.deps, PAGES, authenticated=True)
    return made


async def test_a_session_opens_the_pages_for_an_operator(browser: Browser) -> None:
    await browser.sign_in()
    assert (await browser.get()).status == 200
    assert "holder of a function key (operator)" in await browser.text()
    assert (await browser.get("/api/portal/administer/lead")).status == 403


# ---- App Service Authentication ----


async def test_with_authentication_on_a_session_counts_for_nothing(world: World) -> None:
    holder = Browser(world)
    await holder.sign_in()
    nobody = Browser(world, authenticated=True, headers={"cookie": holder.headers["cookie"]})
    assert (await nobody.get()).status == 401
    assert (await nobody.sign_in()).status == 403


@pytest.mark.parametrize(
    ("role", "page", "status"),
    [
        ("viewer", "/api/portal", 200),
        ("viewer", "/api/portal/administer/lead", 403),
        ("admin", "/api/portal/administer/lead", 200),
        ("owner", "/api/portal", 403),
    ],
)
async def test_a_role_opens_what_is_for_it(world: World, role: str, page: str, status: int) -> None:
    assert (await signed_in(world, role).get(page)).status == status


async def test_who_signed_in_is_shown(world: World) -> None:
    assert "ada@contoso.com (viewer)" in await signed_in(world, "viewer").text()


# ---- forms ----


async def test_a_form_of_our_own_is_taken(browser: Browser, world: World) -> None:
    await browser.sign_in()
    token = await token_of(browser, world)
    done = await browser.post("/api/portal/choose", token=token, tables=["contact", "lead"], number=3)
    assert (done.status, done.headers["Location"]) == (
        303,
        "/api/portal/chosen?what=3+%5B%27contact%27%2C+%27lead%27%5D",
    )


async def token_of(browser: Browser, world: World) -> str:
    return form_token(await world.deps.salt(), session_of(browser.headers) or "7c0f")


@pytest.mark.parametrize("token", ["", "0" * 64, "ä"])
async def test_a_form_without_our_token_is_refused(browser: Browser, token: str) -> None:
    await browser.sign_in()
    assert (await browser.post("/api/portal/choose", token=token)).status == 403


async def test_a_token_of_another_user_is_refused(browser: Browser, world: World) -> None:
    other = Browser(world)
    await other.sign_in()
    await browser.sign_in()
    assert (await browser.post("/api/portal/choose", token=await token_of(other, world))).status == 403


@pytest.mark.parametrize(
    ("says", "status"),
    [
        pytest.param({"sec-fetch-site": "same-origin"}, 303, id="same origin"),
        pytest.param({"sec-fetch-site": "none"}, 303, id="typed in"),
        pytest.param({"sec-fetch-site": "same-site"}, 403, id="another app of the same site"),
        pytest.param({"sec-fetch-site": "cross-site"}, 403, id="another site"),
        pytest.param({"origin": "https://app", "host": "app"}, 303, id="own origin"),
        pytest.param({"origin": "https://evil.example", "host": "app"}, 403, id="another origin"),
        pytest.param({"origin": "null", "host": "app"}, 403, id="no origin to tell"),
        pytest.param({}, 303, id="an old browser"),
    ],
)
async def test_a_form_from_elsewhere_is_refused(
    browser: Browser, world: World, says: dict[str, str], status: int
) -> None:
    await browser.sign_in()
    del browser.headers["sec-fetch-site"]
    browser.headers |= says
    assert (await browser.post("/api/portal/choose", token=await token_of(browser, world))).status == status


async def test_who_may_only_look_sends_no_form(world: World) -> None:
    viewer = signed_in(world, "viewer")
    reply = await viewer.post("/api/portal/choose", token=await token_of(viewer, world))
    assert (reply.status, "operator" in reply.text) == (403, True)


@pytest.mark.parametrize(
    ("fields", "status"), [({"number": "many"}, 400), ({"tables": ["x" * 1_000] * 70}, 413), ({"a": range(2_000)}, 400)]
)
async def test_a_form_that_does_not_fit_is_refused(
    browser: Browser, world: World, fields: dict[str, object], status: int
) -> None:
    await browser.sign_in()
    reply = await browser.post("/api/portal/choose", token=await token_of(browser, world), **fields)
    assert (reply.status, "Nothing was done" in reply.text) == (status, True)


# ---- what a browser gets ----


async def test_every_page_forbids_whatever_it_does_not_need(browser: Browser) -> None:
    await browser.sign_in()
    for address in ("/api/portal", "/api/portal/sign-in", "/api/portal/nothing"):
        reply = await browser.get(address)
        assert reply.media_type == "text/html"
        assert reply.headers["Content-Security-Policy"] == (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
            "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        assert {
            name: reply.headers[name] for name in ("Referrer-Policy", "X-Content-Type-Options", "Cache-Control")
        } == {
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }


async def test_assets_are_named_by_their_contents_and_kept_for_ever(browser: Browser) -> None:
    page = (await browser.get("/api/portal/sign-in")).text
    for name, media_type in (("portal.css", "text/css"), ("portal.js", "text/javascript")):
        address = page.partition(f"/assets/{name}?v=")[2].partition('"')[0]
        assert len(address) == 12
        reply = await browser.get(f"/api/portal/assets/{name}")
        assert (reply.status, reply.media_type, "immutable" in reply.headers["Cache-Control"]) == (
            200,
            media_type,
            True,
        )


@pytest.mark.parametrize("name", ["", "x.css", "../render.py", "%2e%2e/render.py"])
async def test_nothing_else_is_an_asset(browser: Browser, name: str) -> None:
    assert (await browser.get(f"/api/portal/assets/{name}")).status == 404


@pytest.mark.parametrize("address", ["/api/portal/nothing", "/api/portal/administer", "/api/portal/administer/a/b"])
async def test_a_page_that_is_not_there_is_not_found(browser: Browser, address: str) -> None:
    await browser.sign_in()
    assert (await browser.get(address)).status == 404


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (ConfigurationError("The setting LINKER_STORAGE is missing."), 503, "LINKER_STORAGE is missing"),
        (TransientError("Storage is busy."), 503, "Storage is busy"),
        (RuntimeError("secret"), 500, "fault of the app"),
    ],
)
async def test_an_app_that_cannot_serve_says_why_on_a_page(
    browser: Browser, error: Exception, status: int, told: str
) -> None:
    def fails() -> Deps:
        raise error

    browser.portal = portal.Portal(fails, PAGES)
    reply = await browser.get()
    assert (reply.status, told in reply.text, "secret" in reply.text) == (status, True, False)
    assert (await browser.get("/api/portal/assets/portal.css")).status == 200
