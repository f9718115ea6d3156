"""Who looks at the page, and how: with a key, without JavaScript, by keyboard, from elsewhere. And what no user may do."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.async_api import Page, expect

from linker.core.roles import COOKIE
from linker.entrypoints.portal.render import POLICY
from sandbox.demo.children import Child, host_process
from tests.system.world import World

from . import scenes
from .building import violated
from .conftest import NO_WATCHDOG, MakeVisit
from .stage import Stage
from .visit import Visit


@pytest.fixture(scope="module")
def keyed(linked: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """The same app where the host asks for keys, as in Azure."""
    with host_process(linked.sandbox.ready, NO_WATCHDOG, tmp_path_factory.mktemp("keyed"), keys=True) as host:
        yield host


# ---- signing in ----


async def test_a_key_opens_a_session_and_is_in_no_address(stage: Stage, keyed: Child, visitor: MakeVisit) -> None:
    run, key = scenes.successful(), keyed.ready["key"]
    await stage.play(run)
    visit = await visitor(keyed.ready["url"], signed_in=False)
    page = await visit.open(f"?run={run.id}")
    await page.get_by_label("Function key").fill("not the key")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("did not accept this key")

    await page.get_by_label("Function key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page).to_have_url(f"{visit.portal}?run={run.id}")
    await expect(page.get_by_role("heading", name="Progress details")).to_be_visible()

    sent = [await request.all_headers() for request in visit.asked]
    referrers = {headers["referer"] for headers in sent if headers.get("referer")}
    assert [referrer for referrer in referrers if key in referrer or not referrer.startswith(visit.app)] == []
    assert [request.url for request in visit.asked if key in request.url] == []
    assert sum(key in headers.values() for headers in sent) == 1
    (cookie,) = await page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (COOKIE, True, "Strict")
    assert key not in cookie["value"]
    visit.expect_complaints("401")  # of the keys that were refused


async def test_who_signs_out_is_asked_to_sign_in_again(stage: Stage, keyed: Child, visitor: MakeVisit) -> None:
    visit = await visitor(keyed.ready["url"], signed_in=False)
    headers = {"x-functions-key": keyed.ready["key"]}
    await visit.page.context.request.post(f"{visit.app}/api/portal-session", headers=headers, fail_on_status_code=True)
    page = await visit.open()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await page.context.cookies() == []
    await visit.open()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    visit.expect_complaints("401")  # of the tries without a key


async def test_where_the_host_asks_for_no_key_the_page_asks_for_none(stage: Stage, visitor: MakeVisit) -> None:
    run = scenes.successful()
    await stage.play(run)
    visit = await visitor(signed_in=False)
    page = await visit.open(f"?run={run.id}")
    await expect(page).to_have_url(f"{visit.portal}?run={run.id}")
    await expect(page.get_by_role("heading", name="Progress details")).to_be_visible()


async def test_without_javascript_there_are_status_and_details(stage: Stage, visitor: MakeVisit) -> None:
    await stage.play(scenes.failed())
    visit = await visitor(signed_in=False, java_script_enabled=False)
    page = await visit.open()
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("row", name="lead").get_by_role("link", name="Failed (permanent)").click()
    await expect(page.get_by_role("complementary")).to_contain_text("lacks privilege prvWriteLead")
    await page.get_by_role("link", name="Close progress details").click()
    await expect(page.get_by_role("complementary")).to_be_hidden()


# ---- where and how ----


@pytest.mark.parametrize(("zone", "hours"), [("Asia/Tokyo", 9), ("America/New_York", -5), ("Asia/Kolkata", 5.5)])
async def test_times_are_those_of_the_viewer_and_utc_on_hover(
    stage: Stage, visitor: MakeVisit, zone: str, hours: float
) -> None:
    run = replace(scenes.successful(), ended_at="2025-01-15T12:34:56Z", last_updated="2025-01-15T12:34:56Z")
    await stage.play(run)
    page = await (await visitor(timezone_id=zone, locale="en-GB")).open()
    shown = page.get_by_role("row", name="contact").locator("time")
    minutes = int((12 + hours) * 60 + 34)
    await expect(shown).to_contain_text(f"15 Jan 2025, {minutes // 60:02}:{minutes % 60:02}:56")
    await expect(shown).to_have_attribute("title", "2025-01-15 12:34:56 UTC")


@pytest.mark.parametrize(
    ("locale", "rows", "date", "share", "took"),
    [
        ("en-GB", "312,480", "15 Jan 2025, 12:34:56", "%", "2 min 24 s"),
        ("de-DE", "312.480", "15. Jan. 2025, 12:34:56", "%", "2 Min. 24 Sek."),
        (
            "ar-EG",
            "\u0663\u0661\u0662\u066c\u0664\u0668\u0660",
            "\u064a\u0646\u0627\u064a\u0631",
            "\u066a",
            "\u0662 \u062f \u0662\u0664 \u062b",
        ),
    ],
)
async def test_numbers_and_dates_are_written_as_in_the_locale_of_the_viewer(
    stage: Stage, visitor: MakeVisit, locale: str, rows: str, date: str, share: str, took: str
) -> None:
    moment = "2025-01-15T12:34:56Z"
    await stage.remember(scenes.successful(190))
    run = replace(scenes.successful(), ended_at=moment, last_updated=moment)
    await stage.play(run)
    visit = await visitor(timezone_id="UTC", locale=locale)
    page = await visit.open()
    contact = page.get_by_role("row", name="contact")
    await expect(contact).to_contain_text(rows)
    await expect(contact.locator("time")).to_contain_text(date)
    await expect(contact.locator("time")).to_have_attribute("lang", re.compile(locale[:2]))
    page = await visit.open("/history")
    newest, older = (page.locator("table.runs > tbody > tr").nth(place) for place in (0, 1))
    await expect(newest.locator("[data-label=Change]")).to_contain_text(share)
    await expect(older.locator("[data-label=Duration]")).to_contain_text(took)


LONG = "contoso_membership_of_a_regional_loyalty_programme_account_x"  # 60 characters
LONG_PAGES = [
    "",
    "?run={run}",
    "/history?table={table}",
    "/timeline?open={run}",
    "/rows",
    "/rows?run={run}",
    "/actions",
]


@pytest.mark.parametrize("path", LONG_PAGES)
async def test_names_of_60_characters_fit_at_every_width(stage: Stage, visit: Visit, path: str) -> None:
    assert len(LONG) == 60
    found = scenes.with_warnings()
    tables = tuple(replace(table, table=f"{LONG[:-1]}{place}") for place, table in enumerate(found.tables))
    run = replace(found, tables=tables, requested_tables=tuple(table.table for table in tables))
    await stage.play(run)
    await stage.issues(run, [replace(issue, table=LONG) for issue in scenes.rows_in_trouble()])
    page = await visit.open(path.format(run=run.id, table=tables[0].table))
    await expect(page.locator("main")).to_be_visible()
    assert await visit.overflows() == [0, 0, 0]


@pytest.mark.parametrize("path", ["", "?run={run}", "/timeline?open={run}", "/rows?run={run}"])
async def test_on_paper_there_is_what_is_read_and_nothing_to_click(stage: Stage, visit: Visit, path: str) -> None:
    run = scenes.with_warnings()
    await stage.play(run)
    await stage.issues(run, scenes.rows_in_trouble())
    page = await visit.open(path.format(run=run.id))
    await page.emulate_media(media="print")
    await page.set_viewport_size({"width": 718, "height": 1016})  # A4 with margins, at 96 dots per inch
    for name in ("navigation", "search"):
        for each in await page.get_by_role(name).all():
            await expect(each).to_be_hidden()
    assert await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    hidden = "[...document.querySelectorAll('details > :not(summary)')].filter(one => !one.checkVisibility())"
    assert await page.evaluate(f"{hidden}.length") == 0


async def test_a_keyboard_is_enough_to_open_and_close_the_details(stage: Stage, visit: Visit) -> None:
    await stage.play(scenes.with_warnings())
    page = await visit.open()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()

    line = page.get_by_role("row", name="contact").get_by_role("link", name="Completed with warnings")
    await _tab_to(page, line)
    await page.keyboard.press("Enter")
    pane = page.get_by_role("complementary", name="Progress details")
    await expect(pane).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(pane).to_be_hidden()
    await expect(line).to_be_focused()


async def test_a_keyboard_is_enough_to_ask_for_a_run(linked: World, stage: Stage, visit: Visit) -> None:
    page = await visit.open("/actions")
    await _tab_to(page, page.get_by_label("Incremental"))
    await page.keyboard.press("ArrowDown")
    await expect(page.get_by_label("Full:")).to_be_checked()
    await _tab_to(page, page.get_by_label("Dry run"))
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")  # in a form it sends it
    await _tab_to(page, page.get_by_role("button", name="Start the dry run"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("complementary", name="Progress details")).to_contain_text("full, dry run")
    await expect(page.locator("[data-live]")).to_have_count(0)


async def test_whatever_has_the_focus_shows_it(stage: Stage, visit: Visit) -> None:
    await stage.play(scenes.with_warnings())
    page = await visit.open(f"?run={scenes.with_warnings().id}")
    looks = "[...document.querySelectorAll('a, button, input, select, summary')].filter(one => one.checkVisibility())"
    for place in range(await page.evaluate(f"{looks}.length")):
        await page.keyboard.press("Tab")
        style = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none", f"element {place}"


# ---- what no user may do ----


async def test_text_from_elsewhere_stays_text(stage: Stage, visit: Visit) -> None:
    finding = violated("R3", scenes.HOSTILE, scenes.HOSTILE)
    table = replace(scenes.failed().tables[1], table=scenes.HOSTILE, detail=scenes.HOSTILE, findings=(finding,))
    hostile = (scenes.HOSTILE,)
    run = replace(
        scenes.failed(),
        tables=(table,),
        status_detail=scenes.HOSTILE,
        mode_reason=scenes.HOSTILE,
        warnings=hostile,
        notes=hostile,
        service_account=scenes.HOSTILE,
        findings=(finding,),
    )
    await stage.play(run)
    page = await visit.open()
    await page.get_by_role("row", name="<script>").get_by_role("link").last.click()
    await expect(page.get_by_role("complementary")).to_contain_text(scenes.HOSTILE)
    assert await page.locator("img, main script").count() == 0
    await expect(page).to_have_title(re.compile("^Status"))


async def test_the_policy_is_strict_and_the_browser_keeps_it(stage: Stage, visit: Visit) -> None:
    answer = await visit.page.goto(visit.portal)
    assert answer is not None
    assert answer.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    async with visit.page.expect_console_message() as told:
        await visit.page.evaluate("""
            const script = document.createElement("script");
            script.textContent = "document.title = 'taken over'";
            document.body.append(script);
        """)
    assert "Content Security Policy" in (await told.value).text
    assert await visit.page.title() != "taken over"
    visit.expect_complaints("Content Security Policy")


async def _tab_to(page: Page, wanted) -> None:
    """Press Tab until the element has the focus, or everything had it."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        if await wanted.evaluate("one => one === document.activeElement"):
            return
    raise AssertionError("Tab does not lead there")
