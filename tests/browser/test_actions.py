"""What an operator does on the page: each action says beforehand what will happen, and then it happens."""

import re
from dataclasses import replace

import pytest
from playwright.async_api import Page, expect

from sandbox.demo.children import Child, host_process
from tests.fakes.principal import headers
from tests.system.world import World

from . import scenes
from .conftest import NO_WATCHDOG, SCREEN, MakeVisit
from .stage import Stage
from .visit import Visit


async def test_a_run_is_asked_for_confirmed_and_followed(linked: World, stage: Stage, visit: Visit, axe: str) -> None:
    moved = linked.unify(move=0.2)["moved"]
    await stage.play(scenes.successful())
    page = await visit.open("/actions")
    await page.get_by_label("Dry run").check()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator("main")).to_contain_text("Nothing is written to Dataverse")
    await visit.is_well_made(axe)
    await page.get_by_role("button", name="Start the dry run").click()
    await _ends(page, "The run was asked for")
    assert linked.counted("rowsWritten") == 0

    await page.goto(f"{visit.portal}/runs/{_run(page)}/changes")
    await expect(page.get_by_role("table", name="Rows that a real run would change, by table")).to_contain_text("lead")
    await page.get_by_role("button", name="Run this for real").click()
    await expect(page.locator("main")).to_contain_text("If every row changed: ")
    await page.get_by_role("button", name="Start the run").click()
    await _ends(page, "The run was asked for")
    assert linked.counted("rowsWritten") == moved > 0


async def test_the_confirmation_counts_what_the_last_run_saw(stage: Stage, visit: Visit) -> None:
    await stage.play(scenes.with_warnings())
    page = await visit.open("/actions")
    await page.get_by_label("Full: ").check()
    await page.get_by_label("contact").check()
    await page.get_by_role("button", name="Continue").click()
    main = page.locator("main")
    await expect(main).to_contain_text("Every row is compared with its live link: 312,480 rows by the last runs")
    await expect(main).to_contain_text("Contoso.Scoring")
    await expect(page.get_by_role("row", name="lead")).to_have_count(0)


async def test_a_second_click_asks_for_no_second_run(linked: World, stage: Stage, visit: Visit) -> None:
    page = await visit.open("/actions")
    await page.get_by_label("Dry run").check()
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Start the dry run").dblclick()
    await _ends(page, "The run was asked for")
    assert len(await stage.runs.ids()) == 1


async def test_a_waiting_run_is_taken_back_and_a_running_one_asked_to_stop(stage: Stage, visit: Visit) -> None:
    running, waiting = scenes.refreshing(), replace(scenes.queued(), status_detail="")
    await stage.play(waiting, running)
    page = await visit.open("/actions")
    await page.get_by_role("link", name=f"Cancel run {waiting.id}").click()
    await expect(page.locator("main")).to_contain_text("The run never begins")
    await page.get_by_role("button", name="Cancel the run").click()
    await expect(page.get_by_text("The run was asked to stop")).to_be_visible()
    await expect(page.get_by_role("complementary")).to_contain_text("Canceled by request before it began")

    await visit.open("/actions")
    await page.get_by_role("link", name=f"Cancel run {running.id}").click()
    await expect(page.locator("main")).to_contain_text("The pages in flight end, and then the run")
    await page.get_by_role("button", name="Cancel the run").click()
    await expect(page.get_by_text("The run was asked to stop")).to_be_visible()
    await expect(page.get_by_role("complementary")).to_contain_text("Canceling")
    await expect(page.locator("#last-run")).to_contain_text("Canceling")
    await expect(page.get_by_role("link", name="Cancel this run")).to_have_count(0)
    await stage.go_on(replace(scenes.canceled(), id=running.id, mode=running.mode))
    await expect(page.get_by_role("complementary")).to_contain_text("Canceled")


async def test_a_held_first_link_is_looked_at_and_allowed(linked: World, stage: Stage, visit: Visit) -> None:
    await stage.play(scenes.held())
    await stage.hold("lead", scenes.held().last_updated, tuple(one.id for one in scenes.AUTOMATIONS), scenes.ESTIMATE)
    page = await visit.open("/actions")
    await expect(page.get_by_role("link", name="Review the first link of lead")).to_be_visible()
    await visit.open()
    await page.get_by_role("link", name="Review lead").click()
    await expect(page.locator("main")).to_contain_text("48,120 system jobs")
    await page.get_by_role("button", name="Allow it, and run").click()
    await _ends(page, "The first link is allowed")
    answer = await page.context.request.get(f"{visit.app}/api/audit")
    newest = (await answer.json())["value"][0]  # behind it stands the session that was opened
    assert (newest["action"], newest["parameters"]) == ("post_approve", {"table": "lead"})


async def test_held_back_links_are_let_go_by_a_run_of_its_own(linked: World, stage: Stage, visit: Visit) -> None:
    await stage.play(scenes.held_back())
    page = await visit.open("/actions")
    await page.get_by_role("link", name="Review the held-back links of contact").click()
    await expect(page.locator("main")).to_contain_text("41,007 of 312,480 rows")
    await page.get_by_role("button", name="Continue to the run").click()
    await expect(page.locator("main")).to_contain_text("Links of at most 41,007 departed rows of contact are cleared")
    await page.get_by_role("button", name="Start the run").click()
    await _ends(page, "The run was asked for")
    assert "notice" not in page.url
    await page.go_back()
    await expect(page.get_by_role("button", name="Start the run")).to_be_visible()


async def test_runs_are_paused_and_resumed(linked: World, stage: Stage, visit: Visit, axe: str) -> None:
    await stage.play(scenes.successful())
    page = await visit.open("/actions")
    await page.get_by_role("link", name="Pause runs").click()
    await page.get_by_label("Reason").fill("Maintenance of the ERP system")
    await page.get_by_role("button", name="Pause runs").click()
    await expect(page.get_by_text("Runs are paused. Requests wait")).to_be_visible()
    await expect(page.locator("main")).to_contain_text("paused runs at")
    await expect(page.locator("#last-run")).to_contain_text("Not before")
    await visit.is_well_made(axe)
    await page.set_viewport_size(SCREEN)

    await page.goto(f"{visit.portal}/actions")
    await page.get_by_label("Dry run").check()
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator("main")).to_contain_text("This run waits until then")
    await page.get_by_role("button", name="Start the dry run").click()
    await expect(page.get_by_role("complementary")).to_contain_text("Waiting until the pause of runs has ended.")
    await page.get_by_role("link", name="Change or end the pause").click()
    await page.get_by_role("button", name="Resume runs now").click()
    await expect(page.get_by_text("Runs are resumed.")).to_be_visible()
    await expect(page.locator("main")).not_to_contain_text("paused runs at")
    assert linked.ended((await stage.runs.ids())[0])["status"] == "Successful"


async def test_without_javascript_a_run_can_be_asked_for(linked: World, stage: Stage, visitor: MakeVisit) -> None:
    visit = await visitor(java_script_enabled=False)
    page = await visit.open("/actions")
    await page.get_by_label("Dry run").check()
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Start the dry run").click()
    await expect(page.get_by_text("The run was asked for")).to_be_visible()
    linked.ended(_run(page))
    await page.reload()
    await expect(page.get_by_role("complementary")).to_contain_text("Successful")


@pytest.fixture
def entra(linked: World):
    """The same app where people sign in with Entra."""
    with host_process(
        linked.sandbox.ready, NO_WATCHDOG | {"WEBSITE_AUTH_ENABLED": "true"}, linked.logs / "entra"
    ) as host:
        yield host


async def test_a_viewer_sees_no_buttons(linked: World, entra: Child, stage: Stage, visitor: MakeVisit) -> None:
    await stage.play(scenes.held_back())
    options = {"signed_in": False, "extra_http_headers": headers(("roles", "viewer"))}
    page = await (await visitor(entra.ready["url"], **options)).open("/actions")
    await expect(page.locator("main")).to_contain_text("41,007")
    await expect(page.locator("main").get_by_role("button")).to_have_count(0)
    await expect(page.locator("main").get_by_role("link")).to_have_count(0)


async def test_an_administrator_reads_the_audit(
    linked: World, entra: Child, stage: Stage, visitor: MakeVisit, axe: str
) -> None:
    options = {"signed_in": False, "extra_http_headers": headers(("roles", "admin"))}
    visit = await visitor(entra.ready["url"], **options)
    await visit.open("/pause")
    await visit.page.get_by_role("button", name="Pause runs").click()
    await visit.open("/audit")
    line = visit.page.get_by_role("row", name="Pause runs")
    await expect(line).to_contain_text("ada@contoso.com")
    await expect(line).to_contain_text("Done")
    await visit.is_well_made(axe)


async def _ends(page: Page, notice: str) -> None:
    """Wait until the run that was asked for has ended, before the eyes of who asked for it."""
    await expect(page.get_by_text(notice)).to_be_visible()
    await expect(page.locator("[data-live]")).to_have_count(0)
    await expect(page.get_by_role("complementary")).to_contain_text("Successful")


def _run(page: Page) -> str:
    found = re.search(r"run=([^&#]+)", page.url)
    assert found is not None
    return found[1]
