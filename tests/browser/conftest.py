"""A real browser over the page: one browser, and one app on the sandbox, whose state the tests set."""

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.system.world import ROOT, SAMPLE, World, world

from .stage import Stage, stage_of
from .visit import Visit

AXE = ROOT / ".tools" / "axe-core" / "node_modules" / "axe-core" / "axe.min.js"
# The stage takes runs through states that no run lock names for a moment: the watchdog would end them.
NO_WATCHDOG = {"LINKER_WATCHDOG_SCHEDULE": "0 0 0 1 1 *"}
SCREEN = {"width": 1280, "height": 900}

PATIENCE_MS = 180_000  # a page that is right shows it long before

expect.set_options(timeout=PATIENCE_MS)

type MakeVisit = Callable[..., Awaitable[Visit]]


def find_chromium() -> str:
    """Return the program of the browser. Raises LookupError, which says what to do."""
    found = subprocess.run([ROOT / "scripts" / "find-chromium"], capture_output=True, text=True, check=False)
    if found.returncode:
        raise LookupError(found.stderr.strip())
    return found.stdout.strip()


@pytest.fixture(scope="session")
def chromium() -> str:
    """The program of the browser. Without one the tests are skipped."""
    try:
        return find_chromium()
    except LookupError as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """The browser. Its sandbox does not work for root."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False, timeout=PATIENCE_MS)
        yield opened
        await opened.close()


@pytest.fixture(scope="session")
def linked(chromium: str, azurite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An app whose first run has linked the sample."""
    with world(azurite, tmp_path_factory.mktemp("browser"), "--load", str(SAMPLE), **NO_WATCHDOG) as made:
        assert made.publish()["status"] == "Successful"
        yield made


@pytest.fixture
async def stage(linked: World) -> AsyncIterator[Stage]:
    """The state of that app, without any run."""
    made = stage_of(linked)
    await made.clear()
    yield made
    await made.tables.close()


@pytest.fixture
async def visitor(linked: World, browser: Browser) -> AsyncIterator[MakeVisit]:
    """Give operators who have signed in, each with a browser of their own; what that complains of fails the test."""
    made: list[Visit] = []

    async def enter(app: str = linked.host.ready["url"], *, signed_in: bool = True, **options: Any) -> Visit:
        context = await browser.new_context(**{"viewport": SCREEN} | options)
        context.set_default_timeout(PATIENCE_MS)
        made.append(Visit(await context.new_page(), app))
        if signed_in:
            await made[-1].sign_in()
        return made[-1]

    yield enter
    for each in made:
        await each.page.context.close()
    assert [complaint for each in made for complaint in each.unexpected] == []


@pytest.fixture
async def visit(visitor: MakeVisit) -> Visit:
    """One operator."""
    return await visitor()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    if not AXE.exists():
        pytest.skip("axe-core is not in .tools: `make test` installs it.")
    return AXE.read_text(encoding="utf-8")
