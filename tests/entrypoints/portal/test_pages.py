"""Status, progress details, last runs, timeline and preflight: each state as a person reads it, and what a page costs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from linker import VERSION
from linker.adapters.storage import TaskState
from linker.core.model import Counts, Finding, Mode, Progress, Run, Status, TableRun, Verdict
from linker.core.times import iso
from linker.entrypoints.api import Reply
from linker.entrypoints.portal import render
from tests.fakes.browser import Browser, text_of
from tests.fakes.principal import headers
from tests.fakes.world import START, World

SCRIPT = "<script>alert(1)</script>"
CONTACT = TableRun("contact", "crm", Status.REFRESHING, mode=Mode.FULL, mode_reason="first run on this table")
FINDING = Finding(
    "R4", Verdict.VIOLATED, "Chosen: emailaddress1.", "Choose ContactId.", "Is it the real key?", "docs#r4"
)
DETAILS = "/api/portal?run={}"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def browser(world: World) -> Browser:
    made = Browser(world)
    await made.sign_in()
    return made


def run_id(hours_ago: float, number: int = 0) -> str:
    return f"{datetime.fromtimestamp(START - hours_ago * 3_600, UTC):%Y%m%dT%H%M%SZ}-{number:08x}"


async def stored(world: World, run: Run, *, shown: bool = True) -> Run:
    """Store a run as it is, and let the task mirror it."""
    await world.deps.runs.create(run)
    saved = await world.deps.runs.advance(run.id, lambda old: replace(run, requested_at=old.requested_at))

    async def show(task: TaskState) -> TaskState:
        return replace(task, run=run.id) if shown else task

    await world.deps.runs.change_task(show)
    return saved


def run_of(status: Status, *tables: TableRun, **values: object) -> Run:
    ended = None if status in (Status.QUEUED, Status.REFRESHING, Status.RETRYING) else iso(START)
    made = Run(run_id(1), Mode.FULL, status, started_at=iso(START - 90), ended_at=ended, tables=tables)
    return replace(made, **values)  # type: ignore[arg-type]


# ---- states ----


async def test_before_the_first_run_the_page_says_how_one_begins(browser: Browser) -> None:
    text = await browser.text()
    assert "CustomerId Backstamping Hydration Not started" in text
    assert "Next Timer 2026-11-18" in text
    assert "Triggers: events off, webhook on, timer on, verify timer off, on request on" in text
    assert 'href="/api/portal/preflight"' in (await browser.get()).text


@pytest.mark.parametrize(
    ("run", "told"),
    [
        pytest.param(
            run_of(Status.NOT_STARTED, status_detail="Nothing was written. The service account lacks prvReadEntity."),
            ["Not started", "lacks prvReadEntity"],
            id="something is missing",
        ),
        pytest.param(
            run_of(Status.QUEUED, status_detail="Waiting until mapping and profiles rest."),
            ["Now Queued", "Waiting until mapping and profiles rest."],
            id="settling",
        ),
        pytest.param(
            run_of(Status.REFRESHING, CONTACT, progress=Progress(250, 102, rows_total=1_000, rows_done=408)),
            ["Now Refreshing full Linking rows, 41 %", "contact Refreshing"],
            id="linking",
        ),
        pytest.param(
            run_of(Status.RETRYING, CONTACT, status_detail="Storage answered 503."),
            ["Now Failed (retrying)", "Storage answered 503."],
            id="tried again",
        ),
        pytest.param(
            run_of(Status.SUCCESSFUL, replace(CONTACT, status=Status.SUCCESSFUL)),
            ["Last run Successful Duration 1 min 30 s full 2026-11-18 11:05:10 UTC", "contact Successful"],
            id="successful",
        ),
        pytest.param(
            run_of(Status.WARNINGS, replace(CONTACT, status=Status.WARNINGS), status_detail="Rejected rows: 12"),
            ["Completed with warnings", "Rejected rows: 12"],
            id="warnings",
        ),
        pytest.param(
            run_of(Status.FAILED, replace(CONTACT, status=Status.FAILED), status_detail="403 from Dataverse"),
            ["Failed (permanent)", "403 from Dataverse"],
            id="failed",
        ),
        pytest.param(
            run_of(Status.SKIPPED, status_detail="Backstamping job skipped: R5 is violated."),
            ["Skipped", "Backstamping job skipped: R5 is violated."],
            id="skipped",
        ),
        pytest.param(
            run_of(Status.CANCELED, status_detail="Canceled by request; the next run continues from here."),
            ["Canceled", "the next run continues from here"],
            id="canceled",
        ),
        pytest.param(
            run_of(
                Status.SKIPPED, replace(CONTACT, status=Status.SKIPPED, refusal="held", detail="Held for approval.")
            ),
            ["contact Waiting for approval. Skipped", "contact : waiting for approval, because automations would run."],
            id="held",
        ),
    ],
)
async def test_the_status_page_tells_each_state(browser: Browser, world: World, run: Run, told: list[str]) -> None:
    await stored(world, run)
    page, details = await browser.text(), await browser.text(DETAILS.format(run.id))
    assert [text for text in told if text not in page] == []
    assert [text for text in (run.status_detail, *(table.detail for table in run.tables)) if text not in details] == []


async def test_progress_details_tell_all_that_is_known_of_a_run(browser: Browser, world: World) -> None:
    table = replace(CONTACT, counts=Counts(5, linked=3, rejected=2), findings=(FINDING,), automations=("Step 'Score'",))
    progress = Progress(250, 102, 12, 800, 1_834.0, 312.0, "2026-11-18T12:00:00Z", 1_000, 408)
    run = run_of(
        Status.REFRESHING,
        table,
        progress=progress,
        trigger="webhook",
        mode_reason="the schema changed",
        service_account="# Linker",
        warnings=("Look at this",),
        notes=("Nothing to do",),
        follow_up="r2",
        steps={"settle": iso(START - 90), "check": iso(START - 30)},
    )
    await stored(world, run)
    text = await browser.text(DETAILS.format(run.id))
    for told in (
        "Progress details Close progress details All tables Refreshing",
        "Progress Linking rows, 41 % Rows 408 of 1,000 Time left about 5 min 12 s",
        "Paused by Dataverse until 2026-11-18 12:00:00 UTC",
        "Duration 1 min 30 s Rows/s 1,834 Technical details Writes in flight 12 Rows in a write 800 Parts done 102 of 250",
        "Mode full Reason the schema changed Requested",
        "Asked by webhook",
        "Followed by r2 Written as # Linker",
        "contact Refreshing 5 rows, 3 linked , 2 rejected",
        "Warnings (1) Look at this",
        "Notes (1) Nothing to do",
        "Requirements (1 not met) R4 violated for contact Is it the real key? Chosen: emailaddress1. Choose ContactId. docs#r4",
        "Automations that links on contact fire (1) Step 'Score'",
    ):
        assert told in text
    assert "Reason first run on this table" in await browser.text(DETAILS.format(run.id) + "&table=contact")


async def test_a_pause_stands_on_the_page_while_it_lasts(browser: Browser, world: World) -> None:
    progress = Progress(9, 1, paused_until=iso(START + 60))
    await stored(world, run_of(Status.REFRESHING, CONTACT, progress=progress))
    assert "paused by Dataverse until 2026-11-18" in await browser.text()
    world.clock.now = START + 61
    assert "paused by Dataverse" not in await browser.text()


async def test_the_same_words_are_not_told_twice(browser: Browser, world: World) -> None:
    told = replace(CONTACT, status=Status.WARNINGS, detail="Links were left alone.")
    run = await stored(world, run_of(Status.WARNINGS, told, status_detail="contact: Links were left alone."))
    for address in (DETAILS.format(run.id), DETAILS.format(run.id) + "&table=contact"):
        assert (await browser.text(address)).count("Links were left alone.") == 1


async def test_details_of_a_run_that_is_gone_are_not_found(browser: Browser) -> None:
    reply = await browser.get(DETAILS.format("gone"))
    assert (reply.status, "There is no run with this id" in reply.text) == (404, True)


@pytest.mark.parametrize(
    ("run", "refreshes"),
    [(run_of(Status.REFRESHING, CONTACT), True), (run_of(Status.QUEUED), True), (run_of(Status.SUCCESSFUL), False)],
    ids=["goes on", "waits", "is over"],
)
async def test_a_page_refreshes_only_while_something_goes_on(
    browser: Browser, world: World, run: Run, refreshes: bool
) -> None:
    await stored(world, run)
    assert ('data-live="3"' in (await browser.get()).text) is refreshes


async def test_a_name_leads_to_the_last_runs_of_its_table(browser: Browser, world: World) -> None:
    await stored(world, replace(run_of(Status.SUCCESSFUL, CONTACT), id=run_id(9, 1)), shown=False)
    await stored(world, replace(run_of(Status.FAILED, CONTACT, TableRun("lead", "crm", Status.FAILED)), id=run_id(8)))
    assert "/api/portal/history?table=lead" in (await browser.get()).text
    assert "lead Last runs" in await browser.text("/api/portal/history?table=lead")
    assert [
        len(re.findall("<tr>", (await browser.get(f"/api/portal/history{of}")).text)) for of in ("?table=lead", "")
    ] == [
        2,
        3,
    ]
    assert "No recent run looked at this table." in await browser.text("/api/portal/history?table=gone")


async def test_a_run_over_some_tables_says_which(browser: Browser, world: World) -> None:
    await stored(world, run_of(Status.SUCCESSFUL, CONTACT, trigger="api", requested_tables=("contact",)))
    assert "full, api only contact" in await browser.text("/api/portal/timeline")


async def test_every_page_names_the_environment_that_it_is_about(browser: Browser) -> None:
    for page in ("", "/timeline", "/rows", "/actions"):
        assert "Customer Profile Linker contoso.crm4.dynamics.com" in await browser.text(f"/api/portal{page}")


async def test_met_requirements_of_several_tables_stand_together(browser: Browser, world: World) -> None:
    met = Finding("R1", Verdict.MET, "Keys exist.", question="Is it from here?")
    run = run_of(
        Status.SUCCESSFUL,
        replace(CONTACT, findings=(met,)),
        TableRun("lead", "crm", Status.SUCCESSFUL, findings=(met,)),
    )
    await stored(world, run)
    text = await browser.text(DETAILS.format(run.id))
    assert "R1 met for contact, lead Is it from here? contact: Keys exist. lead: Keys exist." in text


async def test_the_timeline_shows_some_days_page_by_page(browser: Browser, world: World) -> None:
    for number in range(60):
        await stored(world, replace(run_of(Status.SUCCESSFUL, CONTACT), id=run_id(number)), shown=False)
    first = await browser.get("/api/portal/timeline?days=3")
    (more,) = re.findall(r'href="([^"]+before[^"]+)" rel="next"', first.text)
    rest = await browser.get(more.replace("&amp;", "&"))
    lines = [set(re.findall(r"run=([^&\"#]+)", page.text)) for page in (first, rest)]
    assert [len(page) for page in lines] == [40, 20]
    assert lines[0] | lines[1] == {run_id(number) for number in range(60)}
    assert 'rel="next"' not in rest.text


async def test_runs_of_one_status_are_found_and_still_compared_with_the_others(browser: Browser, world: World) -> None:
    done = replace(CONTACT, status=Status.SUCCESSFUL)
    for number in range(60):
        status = Status.WARNINGS if number % 20 == 0 else Status.SUCCESSFUL
        await stored(world, replace(run_of(status, done), id=run_id(number)), shown=False)
    warned = await browser.get("/api/portal/timeline?days=3&status=Completed+with+warnings")
    assert set(re.findall(r"run=([^&\"#]+)", warned.text)) == {run_id(number) for number in (0, 20, 40)}
    assert "+0.0 %" in warned.text
    assert "Completed with warnings 3 Show all" in text_of(warned.text)
    more = re.findall(
        r'href="([^"]+before[^"]+)" rel="next"',
        (await browser.get("/api/portal/timeline?days=3&status=Successful")).text,
    )
    assert ["status=Successful" in address for address in more] == [True]
    assert "None ended as Skipped." in await browser.text("/api/portal/timeline?days=3&status=Skipped")
    assert (await browser.get("/api/portal/timeline?status=Odd")).status == 400


async def test_a_run_of_the_timeline_opens_to_its_steps_and_tables(browser: Browser, world: World) -> None:
    steps = {"settle": iso(START - 90), "link": iso(START - 60)}
    table = replace(CONTACT, status=Status.SUCCESSFUL, started_at=iso(START - 75), ended_at=iso(START))
    other = replace(run_of(Status.SUCCESSFUL, CONTACT), id=run_id(2))
    for one in (other, run_of(Status.SUCCESSFUL, table, steps=steps)):
        await stored(world, one, shown=False)
    closed = await browser.get("/api/portal/timeline?sort=duration")
    (address,) = re.findall(rf'href="([^"]+open={run_id(1)}#run-{run_id(1)})" aria-expanded="false"', closed.text)
    assert "Link rows" not in closed.text
    opened = await browser.get(address.replace("&amp;", "&"))
    assert "sort=duration" in address
    assert opened.text.count('aria-expanded="true"') == 1
    rows = re.findall(r"<tr[^>]*><th scope=\"row\" dir=\"auto\">.*?</tr>", opened.text, re.DOTALL)
    assert [text_of(row).split(" ")[1] for row in rows] == ["Wait", "Link", "contact"]
    assert "Link rows 11:05:40 UTC 1 min" in text_of(opened.text)
    assert "contact Successful 11:05:25 UTC 1 min 15 s" in text_of(opened.text)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("", ["d", "c", "b", "a"], id="all"),
        pytest.param("status=&mode=&table=&dryRun=&sort=", ["d", "c", "b", "a"], id="an empty form"),
        pytest.param("mode=full", ["d", "b"], id="mode"),
        pytest.param("table=lead", ["c"], id="table"),
        pytest.param("dryRun=true", ["b"], id="dry runs"),
        pytest.param("dryRun=false&mode=full", ["d"], id="real ones of a mode"),
        pytest.param("sort=failures", ["a", "d", "c", "b"], id="failures first"),
        pytest.param("status=Failed+%28permanent%29", ["a"], id="status"),
    ],
)
async def test_runs_are_filtered_and_sorted_by_parameters(
    browser: Browser, world: World, query: str, found: list[str]
) -> None:
    lead = TableRun("lead", "crm", Status.SUCCESSFUL)
    runs = {
        "a": run_of(Status.FAILED, CONTACT, mode=Mode.VERIFY),
        "b": run_of(Status.SUCCESSFUL, CONTACT, dry_run=True),
        "c": run_of(Status.SUCCESSFUL, CONTACT, lead, mode=Mode.INCREMENTAL),
        "d": run_of(Status.SUCCESSFUL, CONTACT),
    }
    ids = {name: run_id(9 - number) for number, name in enumerate(runs)}
    for name, run in runs.items():
        await stored(world, replace(run, id=ids[name]), shown=False)
    page = await browser.get(f"/api/portal/timeline?{query}")
    assert re.findall(r'id="run-([^"]+)"', page.text) == [ids[name] for name in found]


PATHS = ["", "/history", "/timeline", "/rows", "/preflight", "/about", "/actions"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_parameter_that_a_page_does_not_have_is_refused(browser: Browser, path: str) -> None:
    assert (await browser.get(f"/api/portal{path}")).status == 200
    refused = await browser.get(f"/api/portal{path}?filter=all")
    assert (refused.status, "a parameter that isn&#39;t known" in refused.text) == (400, True)


async def test_links_of_a_page_carry_no_key(browser: Browser, world: World) -> None:
    await stored(world, run_of(Status.SUCCESSFUL, CONTACT))
    for path in ("", "/timeline", "/history"):
        page = await browser.get(f"/api/portal{path}?code=a-function-key")
        assert (page.status, "a-function-key" in page.text) == (200, False)


async def test_foreign_text_has_the_direction_of_its_own_script(browser: Browser, world: World) -> None:
    foreign = "\u0639\u0645\u064a\u0644."
    finding = Finding("R4", Verdict.VIOLATED, foreign, foreign, foreign)
    table = replace(
        CONTACT, table=f"t_{foreign}", status=Status.FAILED, detail=foreign, mode_reason=foreign, findings=(finding,),
        automations=(foreign,), started_at=iso(START - 60), ended_at=iso(START),
    )  # fmt: skip
    run = run_of(Status.FAILED, table, status_detail=foreign, mode_reason=foreign, service_account=foreign,
                 warnings=(f"Look: {foreign}",), notes=(foreign,), steps={"link": iso(START - 60)})  # fmt: skip
    await stored(world, run)
    for path in ("", f"?run={run.id}", f"/timeline?open={run.id}", "/history"):
        read = Directions(foreign)
        read.feed((await browser.get(f"/api/portal{path}")).text)
        assert read.found
        assert read.wrong == []


class Directions(HTMLParser):
    """Finds a text that no element around it gives the direction of its own script; a list of choices has its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text, self.around, self.found, self.wrong = text, list[tuple[str, bool]](), 0, list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "link", "input", "br", "img"):
            self.around.append((tag, ("dir", "auto") in attrs))

    def handle_endtag(self, tag: str) -> None:
        while self.around and self.around.pop()[0] != tag:
            continue

    def handle_data(self, data: str) -> None:
        if self.text in data:
            self.found += 1
            inside = {tag for tag, _ in self.around}
            if not (inside & {"option", "title"} or any(own for _, own in self.around)):
                self.wrong.append(self.get_starttag_text() or data)


async def test_tables_of_one_status_are_listed_alone(browser: Browser, world: World) -> None:
    run = run_of(Status.WARNINGS, CONTACT, TableRun("lead", "crm", Status.SKIPPED))
    await stored(world, run)
    page = await browser.get(f"/api/portal?run={run.id}&status=Skipped")
    assert ("table=lead&amp;status=Skipped#progress" in page.text, "history?table=contact" in page.text) == (
        True,
        False,
    )
    assert "CustomerId Backstamping Hydration Completed with warnings" in text_of(page.text)
    assert 'href="/api/portal?status=Skipped#task-1"' in page.text


async def test_the_about_page_shows_what_is_in_force_and_no_secret() -> None:
    world = World(
        insights_key="very-secret", insights_url="https://api.ci.ai.dynamics.com", insights_instance_id="i1", poll=False
    )
    browser = Browser(world)
    await browser.sign_in()
    text = await browser.text("/api/portal/about")
    assert f"Version {VERSION}" in text
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


async def test_the_preflight_shows_what_a_run_would_meet() -> None:
    world = World(declared=("R2", "R5"))
    world.people(3)
    browser = Browser(world)
    await browser.sign_in()
    text = await browser.text("/api/portal/preflight")
    assert "nothing was written" in text
    assert "contact Ready" in text
    assert "Next run full: first run on this table" in text
    assert {write[1] for write in world.store.writes if write[2] != "salt"} == {"linkeraudit"}  # of the session


# ---- escaping ----


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


# ---- what a page costs ----


class Rounds:
    """Answers all requests that a page has under way at once, and counts how often it does: the depth of a page."""

    def __init__(self, world: World) -> None:
        self.store, self.waiting, self.rounds = world.store, list[asyncio.Event](), 0

    async def of(self, page: Awaitable[Reply]) -> int:
        """Return in how many rounds a page got all that it asked the storage for."""
        network, self.store.network = self.store.network, self.wait
        task = asyncio.ensure_future(page)
        while not task.done():
            await self.settle()
            self.rounds += bool(self.waiting)
            for event in self.waiting:
                event.set()
            self.waiting.clear()
        self.store.network = network
        assert task.result().status == 200, task.result().text
        return self.rounds

    async def settle(self) -> None:
        """Let everything run that waits for nothing but its turn."""
        for _ in range(100):
            await asyncio.sleep(0)

    async def wait(self) -> None:
        self.waiting.append(asyncio.Event())
        await self.waiting[-1].wait()


@pytest.mark.parametrize(
    ("address", "requests", "rounds"),
    [
        pytest.param("/api/portal", 6, 2, id="status"),
        pytest.param("/api/portal/timeline", 1, 1, id="timeline"),
        pytest.param("/api/portal/history", 1, 1, id="last runs"),
        pytest.param("/api/portal/rows", 2, 2, id="rows"),
        pytest.param("/api/portal/actions", 4, 2, id="actions"),
    ],
)
async def test_on_a_young_installation_a_page_asks_the_storage_few_questions_at_the_same_time(
    world: World, browser: Browser, address: str, requests: int, rounds: int
) -> None:
    await stored(world, run_of(Status.SUCCESSFUL))
    await browser.get(address)  # what a process has to learn once
    world.store.calls = 0
    assert await Rounds(world).of(browser.get(address)) == rounds
    assert world.store.calls == requests


@pytest.fixture(scope="module")
async def crowded() -> World:
    """A world with a thousand runs stored, and one that goes on."""
    world = World()
    done = run_of(Status.SUCCESSFUL, replace(CONTACT, status=Status.SUCCESSFUL))
    for number in range(1_000):
        await world.deps.runs.create(replace(done, id=run_id(number / 2, number)))
    await stored(world, run_of(Status.REFRESHING, CONTACT))
    return world


@pytest.mark.parametrize(
    ("address", "requests", "runs"),
    [
        pytest.param("/api/portal", 7, 100, id="status"),
        pytest.param("/api/portal?run={run}", 7, 100, id="details"),
        pytest.param("/api/portal/history", 5, 100, id="last runs"),
        pytest.param("/api/portal/history?table=contact", 5, 100, id="last runs of a table"),
        pytest.param("/api/portal/timeline?days=30", 1, 1_001, id="timeline"),
        pytest.param("/api/portal/actions", 8, 100, id="actions"),
        pytest.param("/api/portal/runs/{run}/cancel", 3, 1, id="stopping a run"),
    ],
)
async def test_with_a_thousand_runs_stored_a_page_takes_few_requests_and_is_small(
    crowded: World, address: str, requests: int, runs: int
) -> None:
    browser = Browser(crowded)
    await browser.sign_in()
    crowded.store.calls = crowded.store.listed = 0
    reply = await browser.get(address.format(run=run_of(Status.REFRESHING).id))
    assert reply.status == 200
    assert crowded.store.calls <= requests
    assert crowded.store.listed <= runs
    sent = len(reply.text.encode()) + sum((render.FOLDER / name).stat().st_size for name in render.MEDIA_TYPES)
    assert sent < 100_000
