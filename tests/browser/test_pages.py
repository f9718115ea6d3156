"""The other pages: runs over time, and rows with what they reach."""

import asyncio
import csv
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from linker.deps import ROW_KEPT_S
from tests.system.world import World

from . import scenes
from .conftest import MakeVisit
from .stage import Stage, stage_of
from .visit import Visit

WARNED = scenes.with_warnings().id
LINES = "table.runs > tbody > tr"
REJECTED = f"/rows?run={WARNED}&table=contact&code=PluginRefused"
PAGES = [
    pytest.param("/history", "Last runs", id="last runs of the task"),
    pytest.param("/history?table=lead", "lead", id="last runs of a table"),
    pytest.param("/timeline?days=30", "30 days", id="timeline"),
    pytest.param(f"/timeline?days=30&open={WARNED}", "Link rows", id="steps of a run"),
    pytest.param("/timeline?mode=verify", "None fits the filter", id="no run fits"),
    pytest.param("?find=nothing", "No table fits", id="no table fits"),
    pytest.param(f"/rows?run={WARNED}&find=nothing", "None of these row errors fits", id="no row error fits"),
    pytest.param("/timeline?status=Skipped", "None ended as Skipped", id="timeline of one status"),
    pytest.param("?status=Skipped", "Show all", id="tables of one status"),
    pytest.param(REJECTED, "Credit limit", id="rejected rows"),
    pytest.param("/rows?table=contact&row=none", "This is no row", id="no row"),
    pytest.param("/preflight", "Requirements of the environment", id="preflight"),
    pytest.param("/about", "Settings in force", id="about"),
    pytest.param("/actions", "Waiting for a decision", id="actions"),
    pytest.param("/pause", "No run begins before the pause ends", id="pause"),
    pytest.param(
        "/actions/review?tables=contact&allow_unlinking=contact=41007", "Undo: ", id="review of a run that clears links"
    ),
    pytest.param(f"/runs/{WARNED}/cancel", "There is nothing to cancel", id="cancel"),
    pytest.param("/tables/contact/unlink", "41,007 of 312,480 rows", id="held-back links"),
    pytest.param("/tables/lead/approve", "48,120 system jobs", id="held first link"),
    pytest.param(f"/runs/{scenes.dry().id}/changes", "What a real run would do", id="dry run"),
]


@pytest.fixture(scope="module")
async def busy(linked: World) -> AsyncIterator[Stage]:
    """A month with a bit of everything, for tests that only look."""
    stage, warned, dry = stage_of(linked), scenes.with_warnings(), scenes.dry()
    await stage.clear()
    await stage.remember(*scenes.month())
    await stage.play(warned, scenes.held(), scenes.held_back(), dry)
    await stage.issues(warned, scenes.rows_in_trouble())
    await stage.samples(dry, "contact", *scenes.planned())
    await stage.hold("lead", scenes.held().last_updated, tuple(one.id for one in scenes.AUTOMATIONS), scenes.ESTIMATE)
    yield stage
    await stage.tables.close()


@pytest.mark.parametrize(("path", "words"), PAGES)
async def test_every_page_says_what_it_is_for_and_is_well_made(
    busy: Stage, visit: Visit, axe: str, path: str, words: str
) -> None:
    page = await visit.open(path)
    await expect(page.locator("main")).to_contain_text(words)
    await visit.is_well_made(axe)


async def test_an_address_that_leads_nowhere_leads_back(busy: Stage, visit: Visit, axe: str) -> None:
    page = visit.page
    await page.goto(f"{visit.portal}/nowhere")
    await visit.is_well_made(axe)
    await page.get_by_role("link", name="Back to Status").click()
    await expect(page.get_by_role("heading", name="Status", exact=True)).to_be_visible()
    visit.expect_complaints("404")


# ---- runs over time ----


async def test_a_name_leads_to_its_last_runs_and_each_to_its_details(busy: Stage, visit: Visit) -> None:
    page = await visit.open()
    await page.get_by_role("link", name="lead", exact=True).click()
    await expect(page.get_by_role("heading", name="lead")).to_be_visible()
    await page.get_by_role("row").get_by_role("link", name="Skipped").first.click()
    await expect(page.get_by_role("complementary")).to_contain_text("The first link of this table is held")


@pytest.mark.parametrize(("days", "runs"), [(3, 9), (7, 17), (30, 40)])
async def test_the_timeline_shows_the_runs_of_its_days(busy: Stage, visit: Visit, days: int, runs: int) -> None:
    page = await visit.open("/timeline")
    await page.get_by_role("link", name=f"{days} days").click()
    await expect(page.get_by_role("link", name=f"{days} days")).to_have_attribute("aria-current", "true")
    await expect(page.locator(LINES)).to_have_count(runs)
    await expect(page.get_by_role("img")).to_have_accessible_name(re.compile(f"Runs of the last {days} days"))


async def test_a_count_leads_to_the_runs_behind_it(busy: Stage, visit: Visit) -> None:
    page = await visit.open("/timeline?days=30")
    await page.get_by_role("link", name="Failed (permanent) 1").click()
    await expect(page.locator(LINES)).to_have_count(1)
    await page.get_by_role("link", name="Show all").click()
    await expect(page.locator(LINES)).to_have_count(40)


async def test_a_long_timeline_continues_on_the_next_page(busy: Stage, visit: Visit) -> None:
    page = await visit.open("/timeline?days=30")
    await page.get_by_role("link", name="Next page").click()
    await expect(page.locator(LINES)).to_have_count(21)
    await expect(page.locator(LINES).last).to_contain_text("full")


async def test_without_javascript_runs_open_and_are_filtered(busy: Stage, visitor: MakeVisit) -> None:
    visit = await visitor(java_script_enabled=False)
    page = await visit.open("/timeline?days=30")
    await page.get_by_label("Sort by").select_option("Failures first")
    await page.get_by_label("Kind").select_option("Real")
    await page.get_by_role("button", name="Apply").click()
    first = page.locator(LINES).first
    await expect(first).to_contain_text("Failed (permanent)")
    await expect(page.get_by_label("Sort by")).to_have_value("failures")
    await expect(page.locator("main")).not_to_contain_text(", dry run")
    await expect(page.get_by_text("Times are in UTC")).to_be_visible()

    await page.get_by_label("Mode").select_option("Full")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator(LINES)).to_have_count(1)
    await page.get_by_role("link", name="Clear").click()
    await expect(page.locator(LINES)).to_have_count(40)
    await page.locator(f"#run-{WARNED}").click()
    gantt = page.get_by_role("table", name="Steps and tables of the run over time")
    await expect(gantt.get_by_role("row", name="Link rows")).to_contain_text("UTC")
    await expect(gantt.get_by_role("row", name="contact")).to_be_visible()
    await page.locator(f"#run-{WARNED}").click()
    await expect(gantt).to_be_hidden()


async def test_tables_are_searched_and_sorted_and_keep_what_is_open(busy: Stage, visit: Visit) -> None:
    page = await visit.open(f"?run={WARNED}")
    await page.get_by_label("Table", exact=True).fill("EA")
    await page.get_by_label("Sort by").select_option("Name")
    await page.get_by_role("button", name="Apply").click()
    await expect(page.locator("#task-list tbody tr")).to_have_count(2)
    await expect(page.get_by_role("complementary", name="Progress details")).to_be_visible()
    await page.get_by_role("link", name="Close progress details").click()
    await expect(page.locator("#task-list tbody tr")).to_have_count(2)


# ---- rows ----


async def test_row_errors_are_searched_by_their_reason(busy: Stage, visit: Visit) -> None:
    page = await visit.open(f"/rows?run={WARNED}")
    errors = page.get_by_role("table", name="Row errors by table and reason").locator("tbody tr")
    await expect(errors).to_have_count(4)
    await page.get_by_label("Table, row, code or reason").fill("credit limit")
    await page.get_by_role("button", name="Apply").click()
    await expect(errors).to_have_count(1)
    await errors.get_by_role("link").click()
    await expect(page.get_by_role("table", name="Rows of table contact").locator("tbody tr")).to_have_count(7)


async def test_rows_in_trouble_are_grouped_listed_and_led_to(busy: Stage, visit: Visit) -> None:
    page = await visit.open(f"/rows?run={WARNED}")
    group = page.get_by_role("row", name="PluginRefused")
    await expect(group).to_contain_text("7")
    await expect(group).to_contain_text("Give the plug-in filtering attributes")
    await group.get_by_role("link").click()
    listed = page.get_by_role("table", name="Rows of table contact with PluginRefused")
    await expect(listed.locator("tbody tr")).to_have_count(7)
    await listed.get_by_role("link").first.click()
    await expect(page.get_by_role("heading", name=f"contact {scenes.row_id(0)}")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("Credit limit")


@pytest.mark.parametrize("kind", ["CSV", "NDJSON"])
async def test_row_errors_are_downloaded_as_a_file(busy: Stage, visit: Visit, tmp_path: Path, kind: str) -> None:
    page = await visit.open(f"/rows?run={WARNED}")
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name=kind, exact=True).click()
    download = await downloading.value
    file = tmp_path / download.suggested_filename
    await download.save_as(file)
    lines = file.read_text(encoding="utf-8-sig").splitlines()
    found = list(csv.DictReader(lines)) if kind == "CSV" else [json.loads(line) for line in lines]
    assert file.name == f"row-errors-{WARNED}.{kind.lower()}"
    assert {(row["table"], row["row"], row["code"]) for row in found} == {
        (issue.table, issue.row, issue.code) for issue in scenes.rows_in_trouble()
    }


async def test_a_row_is_searched_verified_and_shows_its_insights(
    linked: World, busy: Stage, visit: Visit, axe: str
) -> None:
    row, profile = next(iter(linked.truth("contact").items()))
    page = await visit.open("/rows")
    await page.get_by_label("Table").fill("contact")
    await page.get_by_label("Row id").fill(row.upper())
    await page.get_by_role("button", name="Find row").click()
    main = page.locator("main")
    await expect(main).to_contain_text("Linked as confirmed")
    await expect(main).to_contain_text(str(profile))
    await page.get_by_role("link", name="Show insights").click()
    await expect(page.get_by_role("table", name="Columns of the profile")).to_be_visible()
    await visit.is_well_made(axe)

    linked.edit_link("contact", row, None)
    await asyncio.sleep(ROW_KEPT_S)
    await page.get_by_role("link", name="Verify now").click()
    await expect(main).to_contain_text("The link is empty")
    linked.edit_link("contact", row, profile)
    await asyncio.sleep(ROW_KEPT_S)
    await page.get_by_role("link", name="Verify now").click()
    await expect(main).to_contain_text("Linked as confirmed")
