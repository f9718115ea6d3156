"""What comes from outside is shown and never run, and no page has script or style inside."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from linker.core.model import Finding, Mode, Progress, Status, TableRun, Verdict
from tests.entrypoints.portal.stored_runs import CONTACT, SCRIPT, run_of, stored
from tests.fakes.browser import Browser
from tests.fakes.principal import headers
from tests.fakes.world import World


class Elements(HTMLParser):
    """What a browser would make of a page: its elements, and their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]


async def test_what_comes_from_outside_is_shown_and_never_run(browser: Browser, world: World) -> None:
    finding = Finding("R1", Verdict.VIOLATED, SCRIPT, SCRIPT, SCRIPT, SCRIPT)
    table = TableRun(
        SCRIPT, SCRIPT, Status.SKIPPED, SCRIPT, Mode.FULL, SCRIPT, findings=(finding,), automations=(SCRIPT,)
    )
    run = run_of(
        Status.WARNINGS,
        table,
        trigger=SCRIPT,
        mode_reason=f'" onmouseover="{SCRIPT}',
        status_detail=SCRIPT,
        service_account=SCRIPT,
        warnings=(SCRIPT,),
        notes=(SCRIPT,),
        follow_up='"><script>',
    )
    await stored(world, run)
    who = headers(("roles", "viewer")) | {"x-ms-client-principal-name": SCRIPT}
    viewer = Browser(world, authenticated=True, headers=who)
    for address in ("", f"?run={run.id}", f"?run={run.id}&table=%3Cscript%3E", "/history", "/timeline"):
        html = (await viewer.get(f"/api/portal{address}")).text
        assert "&lt;script&gt;" in html
        elements = Elements(html)
        assert [tag for tag in elements.tags if tag == "script"] == ["script"]
        assert [name for name in elements.attributes if name.startswith("on")] == []


async def test_a_notice_is_named_and_never_quoted(browser: Browser) -> None:
    assert "alert(1)" not in (await browser.get("/api/portal?notice=%3Cscript%3Ealert(1)%3C/script%3E")).text


async def test_no_page_has_script_or_style_inside(browser: Browser, world: World) -> None:
    run = await stored(world, run_of(Status.REFRESHING, CONTACT, progress=Progress(9, 1)))
    for address in ("", f"?run={run.id}", "/timeline", "/history", "/sign-in"):
        html = (await browser.get(f"/api/portal{address}")).text
        assert " style=" not in html
        assert "<style" not in html
        assert re.findall(r"<script[^>]*></script>", html) == re.findall(r"<script.*?</script>", html, re.DOTALL)
