"""What is in force, and who did what: shown to those who may see it, without secrets."""

from __future__ import annotations

import re

import pytest

from linker import VERSION
from tests.entrypoints.portal.stored_runs import SCRIPT
from tests.fakes.browser import Browser
from tests.fakes.principal import headers
from tests.fakes.world import World


async def test_the_about_page_shows_what_is_in_force_and_no_secret() -> None:
    world = World(
        insights_key="very-secret", insights_url="https://api.ci.ai.dynamics.com", insights_instance_id="i1", poll=False
    )
    browser = Browser(world)
    await browser.sign_in()
    text = await browser.text("/api/portal/about")
    assert f"Version {VERSION}" in text
    assert "Documentation: the folder docs of the repository." in text  # the code does not run from a package
    assert "Timer off" in text
    assert "LINKER_POLL false" in text
    assert "LINKER_INSIGHTS_KEY set" in text
    assert "very-secret" not in text


async def test_administrators_see_who_did_what(browser: Browser, world: World) -> None:
    assert (await browser.get("/api/portal/audit")).status == 403
    assert "/api/portal/audit" not in (await browser.get()).text
    admin = Browser(world, authenticated=True, headers=headers(("roles", "admin")))
    assert "/api/portal/audit" in (await admin.get()).text
    text = await admin.text("/api/portal/audit")
    assert "holder of a function key Sign in with a key Noted" in text
    for number in range(60):
        await world.deps.audit.note(f"action_{number:02}", SCRIPT)
        world.clock.now += 1
    first = await admin.get("/api/portal/audit")
    (more,) = re.findall(r'href="([^"]+after[^"]+)" rel="next"', first.text)
    rest = await admin.get(more.replace("&amp;", "&"))
    pages = [re.findall(r"Action (\d\d)", page.text) for page in (first, rest)]
    assert [*pages[0], *pages[1]] == [f"{number:02}" for number in reversed(range(60))]
    assert "<script>alert" not in first.text


@pytest.mark.parametrize(
    ("days", "status"),
    [("3", 200), ("7", 200), ("30", 200), ("90", 200), ("5", 200), ("0", 400), ("3651", 400), ("x", 400)],
)
async def test_the_timeline_knows_its_ranges(browser: Browser, days: str, status: int) -> None:
    reply = await browser.portal.serve("GET", browser._request(f"/api/portal/timeline?days={days}"))
    assert (reply.status, "No runs in these days" in reply.text) == (status, status == 200)
