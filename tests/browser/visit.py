"""One visitor in front of the page: where they go, what the browser complains of, what it was sent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import ConsoleMessage, Error, Page, Request

MAX_BYTES = 100_000
PHONE = {"width": 390, "height": 844}
NARROW = {"width": 320, "height": 640}  # WCAG 1.4.10: 1280 pixels at 400 %
LOOKS: tuple[dict[str, Any], ...] = (
    {"color_scheme": "light", "forced_colors": "none"},
    {"color_scheme": "dark", "forced_colors": "none"},
    {"color_scheme": "dark", "forced_colors": "active"},
)
# Shifts of what stands on the page (https://web.dev/cls), as the browser reports them.
_WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver(list => window.shifts.push(...list.getEntries().map(shift => shift.value)))
  .observe({type: "layout-shift"});
"""


# The HTML, and all that it asked for.
_SENT = """
[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .reduce((bytes, answer) => bytes + answer.decodedBodySize, 0)
"""


@dataclass  # without slots: Playwright hangs attributes of its own on each listener
class Visit:
    """A user in front of a browser. `complaints` are those of its console, `asked` all requests that it has sent.

    A complaint may come a moment after what it is about, so those that have to come are named beforehand or afterwards.
    """

    page: Page
    app: str
    complaints: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    asked: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", self._failed)
        self.page.on("request", self._asked)

    def expect_complaints(self, words: str) -> None:
        """Let complaints with these words pass, whenever they come."""
        self.expected.append(words)

    @property
    def unexpected(self) -> list[str]:
        """The complaints that no test expects."""
        return [one for one in self.complaints if not any(words in one for words in self.expected)]

    @property
    def portal(self) -> str:
        """Address of the portal."""
        return f"{self.app}/api/portal"

    async def sign_in(self) -> None:
        """Open a session as the page does; the host asks for no key."""
        await self.page.context.request.post(f"{self.app}/api/portal-session", fail_on_status_code=True)

    async def open(self, path: str = "") -> Page:
        """Go to a page of the portal."""
        answer = await self.page.goto(f"{self.portal}{path}")
        assert answer is not None
        assert answer.ok, answer.status
        return self.page

    async def watch_shifts(self) -> None:
        """Watch from now on whether what stands on the page moves."""
        await self.page.evaluate(_WATCH_SHIFTS)

    async def shifts(self) -> list[float]:
        """Return how far things moved, each time."""
        return list(await self.page.evaluate("window.shifts"))

    async def bytes_sent(self) -> int:
        """Return the size of the page with all that belongs to it, before any compression."""
        return int(await self.page.evaluate(_SENT))

    async def is_well_made(self, axe: str) -> None:
        """Hold the page against the rules: its size, and at each width how it fits and who can read it in each look."""
        assert await self.bytes_sent() < MAX_BYTES
        await self.page.evaluate(axe)  # it comes through the debugger, so the policy of the page does not hinder it
        assert self.page.viewport_size is not None
        sizes = (self.page.viewport_size, PHONE, NARROW)
        for size in sizes:
            await self.page.set_viewport_size(size)
            assert await self._overflow() <= 0, size
            assert await self._cut_links() == [], size
            assert await self._torn_texts() == [], size
            for look in LOOKS:
                await self.page.emulate_media(**look)
                assert await self._violations() == [], (size, look)
            await self.page.emulate_media(**LOOKS[0])
        await self.page.set_viewport_size(sizes[0])

    async def overflows(self) -> list[int]:
        """Return by how many pixels the page is wider than the screen: on a screen, on a phone, and on the narrowest one."""
        found = []
        for size in (self.page.viewport_size, PHONE, NARROW):
            assert size is not None
            await self.page.set_viewport_size(size)
            found.append(max(await self._overflow(), 0))
        return found

    async def _cut_links(self) -> list[str]:
        """Return the links of the sections that are not in the window as a whole, from left to right."""
        links = "[...document.querySelectorAll('nav[aria-label=Sections] a')]"
        cut = "box.left < 0 || box.right > document.documentElement.clientWidth"
        test = f"one => {{ const box = one.getBoundingClientRect(); return {cut} }}"
        around = "one.closest('nav').scrollWidth > one.closest('nav').clientWidth"
        return list(
            await self.page.evaluate(
                f"{links}.filter({test}).concat({links}.filter(one => {around})).map(one => one.text)"
            )
        )

    async def _torn_texts(self) -> list[str]:
        """Return the sentences that a flexible box tears apart: each piece of text beside an element becomes a box.

        An icon may stand beside a text.
        """
        texts = "[...one.childNodes].some(node => node.nodeType === 3 && node.data.trim())"
        mixed = f"one.querySelector(':scope > :not(svg)') && {texts}"
        test = f"one => getComputedStyle(one).display === 'flex' && {mixed}"
        found = f"[...document.querySelectorAll('main *')].filter({test}).map(one => one.textContent)"
        return list(await self.page.evaluate(found))

    async def _violations(self) -> list[str]:
        found: dict[str, Any] = await self.page.evaluate("axe.run()")
        return [f"{rule['id']}: {node['html']}" for rule in found["violations"] for node in rule["nodes"]]

    async def _overflow(self) -> int:
        """Return by how many pixels the page is wider than the screen."""
        root = "document.documentElement"
        return int(await self.page.evaluate(f"{root}.scrollWidth - {root}.clientWidth"))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _failed(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _asked(self, request: Request) -> None:
        self.asked.append(request)
