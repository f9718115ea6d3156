"""A page that shows a run keeps up with it, by itself and without moving under the reader's eyes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.async_api import expect

from tests.system.world import World, world

from . import scenes
from .building import at
from .conftest import MakeVisit
from .stage import Stage
from .visit import Visit

SIZES = ("--contacts", "15000", "--leads", "100", "--members", "100")  # four pages and one and one


async def test_progress_comes_by_itself_and_moves_nothing(stage: Stage, visit: Visit) -> None:
    await stage.play(scenes.refreshing(31))
    page = await visit.open(f"?run={scenes.refreshing().id}")
    pane = page.get_by_role("complementary")
    await expect(pane).to_contain_text("31 of 77")
    link = page.get_by_role("row", name="contact").get_by_role("link", name="Refreshing")
    await link.focus()
    await page.evaluate("window.opened = 'once'")
    await visit.watch_shifts()

    await stage.go_on(replace(scenes.refreshing(32), last_updated=at(-1)))  # the line with the focus changes too
    await expect(pane).to_contain_text("32 of 77")
    await stage.go_on(replace(scenes.refreshing(70, rows_per_second=2_104.0), last_updated=at(-2)))
    await expect(pane).to_contain_text("2,104")
    assert await visit.shifts() == []
    await expect(link).to_be_focused()
    assert await page.evaluate("window.opened") == "once", "the page was loaded anew"


async def test_what_the_reader_has_opened_stays_open(stage: Stage, visit: Visit) -> None:
    await stage.play(scenes.refreshing(31))
    page = await visit.open(f"?run={scenes.refreshing().id}")
    details = page.get_by_role("complementary").locator("details").first
    await details.locator("summary").click()
    opened = await details.evaluate("one => one.open")
    await stage.go_on(scenes.refreshing(33))
    await expect(page.get_by_role("complementary")).to_contain_text("33 of 77")
    assert await details.evaluate("one => one.open") == opened


async def test_a_page_that_shows_the_end_asks_no_more(stage: Stage, visit: Visit) -> None:
    begun = scenes.refreshing(76)
    await stage.play(begun)
    page = await visit.open()
    await stage.go_on(scenes.ended(begun))
    await expect(page.get_by_role("row", name="CustomerId Backstamping Hydration")).to_contain_text("Successful")
    await expect(page.locator("[data-live]")).to_have_count(0)


async def test_changes_are_announced_to_visitors_who_cannot_see_them(stage: Stage, visit: Visit) -> None:
    await stage.play(scenes.refreshing())
    page = await visit.open(f"?run={scenes.refreshing().id}")
    assert await page.locator("main [aria-live=polite], main [role=status]").count() > 0


async def test_what_is_under_way_keeps_up_on_the_actions_page(stage: Stage, visit: Visit) -> None:
    running, waiting = scenes.refreshing(), replace(scenes.queued(), status_detail="")
    await stage.play(waiting, running)
    page = await visit.open("/actions")
    await page.get_by_label("Full:").check()
    await expect(page.get_by_role("row", name=waiting.id)).to_be_visible()
    await page.context.request.post(f"{visit.app}/api/runs/{waiting.id}/cancel", fail_on_status_code=True)
    await expect(page.get_by_role("row", name=waiting.id)).to_be_hidden()
    await expect(page.get_by_role("row", name=running.id)).to_be_visible()
    await expect(page.get_by_label("Full:")).to_be_checked()


async def test_a_page_that_cannot_be_refreshed_says_so_until_it_can(stage: Stage, visit: Visit) -> None:
    await stage.play(scenes.refreshing(31))
    page = await visit.open(f"?run={scenes.refreshing().id}")
    await page.context.set_offline(True)
    await expect(page.get_by_text("This page could not be refreshed")).to_be_visible()
    await page.context.set_offline(False)
    await stage.go_on(scenes.refreshing(40))
    await expect(page.get_by_role("complementary")).to_contain_text("40 of 77")
    await expect(page.get_by_text("This page could not be refreshed")).to_be_hidden()
    visit.expect_complaints("ERR_INTERNET_DISCONNECTED")


async def test_a_visitor_who_lost_the_session_signs_in_and_comes_back(stage: Stage, visit: Visit) -> None:
    await stage.play(scenes.refreshing(31))
    page = await visit.open(f"?run={scenes.refreshing().id}")
    await page.context.clear_cookies()
    await stage.go_on(scenes.refreshing(40))  # this host asks for no key
    await expect(page.get_by_role("complementary")).to_contain_text("40 of 77")
    await expect(page).to_have_url(f"{visit.portal}?run={scenes.refreshing().id}")


@pytest.fixture
def slow(azurite: str, chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A first run of six shards, one after the other."""
    logs = tmp_path_factory.mktemp("slow")
    with world(azurite, logs, *SIZES, LINKER_WIDTH="1") as made:
        yield made


async def test_a_real_run_is_followed_to_its_end_without_a_reload(slow: World, visitor: MakeVisit) -> None:
    visit = await visitor(slow.host.ready["url"])
    with slow.holding(operation="UpdateMultiple", skip=6):
        run = slow.app.publish(slow.sandbox.last_job())
        page = await visit.open(f"?run={run['id']}")
        await page.evaluate("window.opened = 'once'")
        pane = page.get_by_role("complementary")
        await expect(pane).to_contain_text("of 6")
    await expect(page.locator("[data-live]")).to_have_count(0)
    await expect(page.locator("#task-list").get_by_role("row", name="contact")).to_contain_text("Successful")
    await expect(pane).to_contain_text("15,000")
    assert await page.evaluate("window.opened") == "once"
