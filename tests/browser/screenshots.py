"""`python -m tests.browser.screenshots` (make screenshots): take docs/screenshots again, from runs of the app on the sandbox.

Nothing that they show is written by hand. `manifest.json` beside them says of each picture which run it shows and what
the app's API returned for that run; tests/docs/test_pictures.py checks both.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from sandbox.demo.clients import Json
from sandbox.server.azurite import azurite_tables
from tests.system.world import ROOT, World, until, world

from .conftest import find_chromium
from .visit import PHONE, Visit

FOLDER = ROOT / "docs" / "screenshots"
MANIFEST = FOLDER / "manifest.json"
SCREEN = {"width": 1280, "height": 800}
TALL = {"width": 1280, "height": 1100}
PATIENCE_MS = 60_000
DATA = ("--measures", "--contacts", "20000", "--leads", "8000", "--members", "2000")

type Look = Callable[[Page, World], Awaitable[object]]
type Record = dict[str, dict[str, Any]]


async def _as_it_is(page: Page, linked: World) -> None:
    """Touch nothing."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: which page is opened, with `{run}` for a run's id, and what is done there before it is taken."""

    name: str
    path: str
    look: Look = _as_it_is
    options: dict[str, Any] = field(default_factory=dict)


# ---- runs ----


def first_links(linked: World) -> Json:
    """Link everything for the first time."""
    return linked.publish()


def usual_runs(linked: World) -> None:
    """Let runs happen as they do in a week: some rows move, an operator verifies, nothing changes."""
    for seed in (1, 2):
        linked.publish(linked.unify(move=0.01 * seed, seed=seed)["jobId"])
    linked.ended(linked.app.request(mode="verify"))
    linked.ended(linked.app.request(mode="full", dryRun=True))


def with_warnings(linked: World) -> Json:
    """Return a run that finds rows deleted while it links them."""
    done = linked.unify(move=0.04, delete_profiles=0.02, seed=3)
    linked.sandbox.admin("POST", "faults", {"kind": "rows_deleted", "table": "contact", "row_share": 0.05, "times": 2})
    run = linked.publish(done["jobId"])
    if run["followUp"]:
        linked.ended(run["followUp"])
    return linked.app.run(run["id"])


def paused(linked: World) -> Json:
    """Return a run that has linked some of its rows and that Dataverse has asked to wait."""
    done = linked.unify(move=0.6, seed=4)
    linked.sandbox.admin("POST", "config", {"ms_per_row": 2})
    limit = {"kind": "requests_limit", "operation": "UpdateMultiple", "skip": 12, "times": 4, "retry_after_s": 60}
    linked.sandbox.admin("POST", "faults", limit)
    run = linked.app.publish(done["jobId"])["id"]
    return until(lambda: linked.app.run(run), lambda now: bool((now["progress"] or {}).get("pausedUntil")))


# ---- pages ----


async def ask(page: Page, linked: World) -> None:
    """Ask for a full run, up to its confirmation."""
    await page.get_by_label("Full: ").check()
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Start the run").wait_for()


async def find_row(page: Page, linked: World) -> None:
    """Look at a linked row with all that it reaches."""
    row = min(row for row, profile in linked.truth("contact").items() if profile)
    await page.get_by_label("Table").fill("contact")
    await page.get_by_label("Row id").fill(row)
    await page.get_by_role("button", name="Find row").click()
    await page.get_by_role("link", name="Show insights").click()
    await page.get_by_role("heading", name="Insights").wait_for()
    await page.evaluate("scrollTo(0, 0)")


FIRST = (Shot("row", "/rows", find_row, {"viewport": TALL}),)
WARNED = (
    Shot("status", ""),
    Shot("warnings", "?run={run}", options={"viewport": TALL}),
    Shot("rows", "/rows?run={run}"),
    Shot("timeline", "/timeline?open={run}", options={"viewport": TALL}),
    Shot("actions", "/actions", ask),
    Shot("phone", "?run={run}", options={"viewport": PHONE}),
)
PAUSED = (
    Shot("progress", "?run={run}", options={"viewport": TALL}),
    Shot("dark", "?run={run}", options={"color_scheme": "dark"}),
)


async def take_all(linked: World, browser: Browser) -> Record:
    """Let the runs happen, take the pictures of each, and return what they show by name."""
    shown = await take(FIRST, first_links(linked), linked, browser)
    usual_runs(linked)
    shown |= await take(WARNED, with_warnings(linked), linked, browser)
    return shown | await take(PAUSED, paused(linked), linked, browser)


async def take(shots: tuple[Shot, ...], run: Json, linked: World, browser: Browser) -> Record:
    """Take pictures of one run."""
    for shot in shots:
        visit = Visit(await _page(browser, shot), linked.host.ready["url"])
        await visit.sign_in()
        page = await visit.open(shot.path.format(run=run["id"]))
        await shot.look(page, linked)
        await page.screenshot(path=FOLDER / f"{shot.name}.png")
        await page.context.close()
        print(f"{FOLDER.relative_to(ROOT)}/{shot.name}.png")
    return {f"{shot.name}.png": {"page": shot.path, "run": run} for shot in shots}


async def _page(browser: Browser, shot: Shot) -> Page:
    context = await browser.new_context(**{"viewport": SCREEN, "timezone_id": "UTC", "locale": "en-GB"} | shot.options)
    context.set_default_timeout(PATIENCE_MS)
    return await context.new_page()


def write_manifest(shown: Record) -> None:
    """Write down what the pictures show, and the digest of each."""
    pictures = {name: {"sha256": digest_of(FOLDER / name), **about} for name, about in sorted(shown.items())}
    MANIFEST.write_text(json.dumps(pictures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def digest_of(picture: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(picture.read_bytes()).hexdigest()


async def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with (
        TemporaryDirectory() as logs,
        azurite_tables() as tables,
        world(tables, Path(logs), *DATA) as linked,
    ):
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=find_chromium(), chromium_sandbox=False)
            write_manifest(await take_all(linked, browser))
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
