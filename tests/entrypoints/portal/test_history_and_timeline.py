"""Last runs and timeline: days, filters, sorting, and the steps of a run."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from linker.core.model import Mode, Status, TableRun
from linker.core.serialization import iso
from tests.entrypoints.portal.stored_runs import CONTACT, run_id, run_of, stored
from tests.fakes.browser import Browser, text_of
from tests.fakes.world import START, World


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
