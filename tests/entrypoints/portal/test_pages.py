"""Status, progress details, last runs, timeline and preflight: each state as a person reads it, and what a page costs."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from linker.core.model import Counts, Finding, Progress, Run, Status, TableRun, Verdict
from linker.core.serialization import iso
from tests.entrypoints.portal.stored_runs import CONTACT, DETAILS, run_id, run_of, stored
from tests.fakes.browser import Browser, text_of
from tests.fakes.world import START, World

FINDING = Finding(
    "R4", Verdict.VIOLATED, "Chosen: emailaddress1.", "Choose ContactId.", "Is it the real key?", "docs#r4"
)


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
async def test_the_status_page_shows_each_state(browser: Browser, world: World, run: Run, told: list[str]) -> None:
    await stored(world, run)
    page, details = await browser.text(), await browser.text(DETAILS.format(run.id))
    assert [text for text in told if text not in page] == []
    assert [text for text in (run.status_detail, *(table.detail for table in run.tables)) if text not in details] == []


async def test_progress_details_show_all_that_is_known_of_a_run(browser: Browser, world: World) -> None:
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
        "Duration 1 min 30 s Rows/s while linking 1,834 "
        "Technical details Writes in flight 12 Rows in a write 800 Parts done 102 of 250",
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


async def test_the_same_words_are_not_shown_twice(browser: Browser, world: World) -> None:
    told = replace(CONTACT, status=Status.WARNINGS, detail="Links were left alone.")
    run = await stored(world, run_of(Status.WARNINGS, told, status_detail="contact: Links were left alone."))
    for address in (DETAILS.format(run.id), DETAILS.format(run.id) + "&table=contact"):
        assert (await browser.text(address)).count("Links were left alone.") == 1


async def test_details_of_a_run_that_is_gone_are_not_found(browser: Browser) -> None:
    reply = await browser.get(DETAILS.format("gone"))
    assert (reply.status, "No run with this id was found. Runs are kept" in reply.text) == (404, True)


@pytest.mark.parametrize(
    ("run", "refreshes"),
    [(run_of(Status.REFRESHING, CONTACT), True), (run_of(Status.QUEUED), True), (run_of(Status.SUCCESSFUL), False)],
    ids=["goes on", "waits", "is over"],
)
async def test_a_page_refreshes_only_while_a_run_is_under_way(
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
