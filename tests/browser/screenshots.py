"""`python -m tests.browser.screenshots` (make screenshots): docs/screenshots anew, from stored runs. Only dates differ."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from sandbox.server.azurite import azurite_tables
from tests.system.world import ROOT, SAMPLE, World, world

from . import scenes
from .conftest import find_chromium
from .stage import Stage, stage_of
from .visit import Visit

FOLDER = ROOT / "docs" / "screenshots"
SCREEN = {"width": 1280, "height": 800}
TALL = {"width": 1280, "height": 1100}
PATIENCE_MS = 60_000
PHONE = {"width": 390, "height": 844}

# Else each picture would show the port of its day.
_NAME_ENVIRONMENT = "document.querySelector('.brand .soft').textContent = 'contoso.crm4.dynamics.com'"

type Play = Callable[[Stage], Awaitable[None]]
type Look = Callable[[Page, World], Awaitable[object]]


async def _as_it_is(page: Page, linked: World) -> None:
    """Touch nothing."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: what has happened, which page is opened, and what is done there before it is taken."""

    name: str
    path: str
    play: Play
    look: Look = _as_it_is
    options: dict[str, Any] = field(default_factory=dict)


async def first_run(stage: Stage) -> None:
    """What the app has done itself: this picture comes first."""


async def usual(stage: Stage) -> None:
    """A month of runs, the last of which ended with warnings."""
    run = scenes.with_warnings()
    await stage.clear()
    await stage.remember(*scenes.month(), scenes.successful())
    await stage.play(run)
    await stage.issues(run, scenes.rows_in_trouble())


async def under_way(stage: Stage) -> None:
    """The same with a run under way."""
    await usual(stage)
    await stage.play(scenes.paused())


async def ask(page: Page, linked: World) -> None:
    """Ask for a full run, up to its confirmation."""
    await page.get_by_label("Full: ").check()
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Start the run").wait_for()


async def find_row(page: Page, linked: World) -> None:
    """Look at a linked row with all that it reaches."""
    await page.get_by_label("Table").fill("contact")
    await page.get_by_label("Row id").fill(min(linked.truth("contact")))
    await page.get_by_role("button", name="Find row").click()
    await page.get_by_role("link", name="Show insights").click()
    await page.get_by_role("heading", name="Insights").wait_for()
    await page.evaluate("scrollTo(0, 0)")


SHOTS = (
    Shot("row", "/rows", first_run, find_row, {"viewport": TALL}),
    Shot("status", "", usual),
    Shot("progress", f"?run={scenes.paused().id}", under_way, options={"viewport": TALL}),
    Shot("warnings", f"?run={scenes.with_warnings().id}", usual, options={"viewport": TALL}),
    Shot("rows", f"/rows?run={scenes.with_warnings().id}", usual),
    Shot("timeline", "/timeline?days=30", usual),
    Shot("actions", "/actions", usual, ask),
    Shot("dark", f"?run={scenes.paused().id}", under_way, options={"color_scheme": "dark"}),
    Shot("phone", f"?run={scenes.with_warnings().id}", usual, options={"viewport": PHONE}),
)


async def take(shots: tuple[Shot, ...], linked: World, browser: Browser) -> None:
    """Take pictures of one app, whose state each of them sets."""
    stage = stage_of(linked)
    for shot in shots:
        await shot.play(stage)
        await _take(shot, Visit(await _page(browser, shot), linked.host.ready["url"]), linked)
        print(f"{FOLDER.relative_to(ROOT)}/{shot.name}.png")
    await stage.tables.close()


async def _page(browser: Browser, shot: Shot) -> Page:
    context = await browser.new_context(**{"viewport": SCREEN, "timezone_id": "UTC", "locale": "en-GB"} | shot.options)
    context.set_default_timeout(PATIENCE_MS)
    return await context.new_page()


async def _take(shot: Shot, visit: Visit, linked: World) -> None:
    await visit.sign_in()
    page = await visit.open(shot.path)
    await shot.look(page, linked)
    await page.evaluate(_NAME_ENVIRONMENT)
    await page.screenshot(path=FOLDER / f"{shot.name}.png")
    await page.context.close()


async def main(*names: str) -> None:
    """Take the pictures of these names, all of them without any."""
    shots = tuple(shot for shot in SHOTS if not names or shot.name in names)
    FOLDER.mkdir(exist_ok=True)
    with (
        TemporaryDirectory() as logs,
        azurite_tables() as tables,
        world(tables, Path(logs), "--measures", "--load", str(SAMPLE)) as linked,
    ):
        linked.publish()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=find_chromium(), chromium_sandbox=False)
            await take(shots, linked, browser)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
