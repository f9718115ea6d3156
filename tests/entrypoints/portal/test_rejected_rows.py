"""Row errors of the last runs on the Rows page."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from linker.core.model import Counts, Mode, Run, Status, TableRun
from linker.core.records import REASONS, issue
from linker.entrypoints.portal import rows as page
from tests.entrypoints.portal.row_addresses import ROWS
from tests.fakes.browser import Browser, text_of
from tests.fakes.world import World, contact_id

MAX_REQUESTS = 4  # runs of the last days or of all, and row errors
LAST = "20261124T000000Z-00000001"


async def test_a_thousand_runs_and_as_many_row_errors_cost_a_bounded_number_of_requests(
    world: World, browser: Browser
) -> None:
    day = "20261118"
    for number in range(1_000):
        await world.deps.runs.create(Run(f"{day}T000000Z-{number:08}", Mode.FULL, Status.SUCCESSFUL))
    await rejected(world, f"{day}T000000Z-99999999", Counts(rejected=1_001), *["Refused"] * 1_000)
    await world.deps.issues.save(f"{day}T000000Z-99999999", [issue("lead", contact_id(1), "Refused")])
    before = world.store.calls
    reply = await browser.get(ROWS)
    assert "These are 1,000 of the row errors" in text_of(reply.text)
    assert world.store.calls - before <= MAX_REQUESTS


async def rejected(world: World, run: str, counts: Counts, *codes: str, table: str = "contact", **facts: Any) -> None:
    """Let a run end with row errors, one for each code."""
    tables = (TableRun(table, "crm", Status.WARNINGS, mode=Mode.FULL, counts=counts),)
    made = Run(run, Mode.FULL, Status.WARNINGS, counts=counts, tables=tables, started_at="2026-11-24T00:00:00Z")
    await world.deps.runs.create(replace(made, **facts))
    issues = [issue(table, contact_id(number), code) for number, code in enumerate(codes, 1)]
    await world.deps.issues.save(run, issues)


async def test_before_the_first_run_the_page_says_so(browser: Browser) -> None:
    assert "No run yet" in await browser.text(ROWS)


async def test_row_errors_are_grouped_by_reason_with_advice_and_lead_to_their_rows(
    world: World, browser: Browser
) -> None:
    await rejected(world, LAST, Counts(rejected=2, deferred=1), "Refused", "ProfileMissing", "Refused")
    text = await browser.text(ROWS)
    assert f"Refused contact 2 rejected {REASONS['Refused'].text} {REASONS['Refused'].advice}" in text
    assert f"ProfileMissing contact 1 deferred {REASONS['ProfileMissing'].text}" in text
    assert text.index("Refused contact") < text.index("ProfileMissing contact")  # the most frequent first
    listed = await browser.get(f"{ROWS}?run={LAST}&table=contact&code=Refused")
    found = re.findall(r"table=contact&amp;row=([0-9a-f-]{36})", listed.text)
    assert found == [contact_id(1), contact_id(3)]
    assert "None of these row errors has this reason" in await browser.text(
        f"{ROWS}?run={LAST}&table=contact&code=Mapped"
    )


async def test_the_newest_run_with_row_errors_is_open_and_another_one_can_be_chosen(
    world: World, browser: Browser
) -> None:
    await rejected(world, "20261123T000000Z-00000001", Counts(rejected=1), "AccessDenied")
    await rejected(world, "20261124T000000Z-00000002", Counts(rejected=1), "Refused")
    await rejected(world, "20261125T000000Z-00000003", Counts(), status=Status.SUCCESSFUL)
    text = await browser.text(ROWS)
    assert ("Refused" in text, "AccessDenied" in text) == (True, False)
    assert "AccessDenied" in await browser.text(f"{ROWS}?run=20261123T000000Z-00000001")
    assert "rejected and deferred no row" in await browser.text(f"{ROWS}?run=20261125T000000Z-00000003")


async def test_a_page_counts_so_many_row_errors_and_leads_to_the_others(
    world: World, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "LOOKED_AT", 3)
    monkeypatch.setattr(page, "SHOWN", 2)
    await rejected(world, LAST, Counts(rejected=4), *["Refused"] * 4)
    first = await browser.get(ROWS)
    assert "These are 3 of the row errors" in text_of(first.text)
    (further,) = re.findall(r'href="([^"]+)" rel="next"', first.text)
    assert "contact 1 " in await browser.text(unescape(further))
    listed = await browser.get(f"{ROWS}?run={LAST}&table=contact&code=Refused")
    assert listed.text.count("<code>0000000") == 2
    onward = [unescape(link) for link in re.findall(r'href="([^"]+)" rel="next"', listed.text) if "after=" in link]
    assert contact_id(3) in await browser.text(onward[0])


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
async def test_row_errors_are_downloaded_from_where_the_page_begins(
    world: World, browser: Browser, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "DOWNLOADED", 2)
    await rejected(world, LAST, Counts(rejected=3), *["Refused"] * 3)
    shown = await browser.get(ROWS)
    links = [unescape(link) for link in re.findall(r'href="([^"]+)" download', shown.text)]
    reply = await browser.get(next(link for link in links if f"format={kind}" in link))
    assert reply.headers["Content-Disposition"] == f'attachment; filename="row-errors-{LAST}.{kind}"'
    assert reply.headers["Cache-Control"] == "no-store"
    lines = (
        list(csv.DictReader(io.StringIO(reply.text)))
        if kind == "csv"
        else [json.loads(line) for line in reply.text.splitlines()]
    )
    assert [line["row"] for line in lines] == [contact_id(1), contact_id(2)]


async def test_a_reason_that_dataverse_gave_is_inert(world: World, browser: Browser) -> None:
    await rejected(world, LAST, Counts(rejected=1))
    await world.deps.issues.save(LAST, [issue("contact", contact_id(1), "Refused", "<script>alert(1)</script>")])
    reply = await browser.get(f"{ROWS}?run={LAST}&table=contact&code=Refused")
    assert "<script>alert" not in reply.text
    assert "&lt;script&gt;alert(1)" in reply.text


async def test_a_run_that_does_not_exist_is_not_found(browser: Browser) -> None:
    assert (await browser.get(f"{ROWS}?run=nothing")).status == 404
    assert (await browser.get(f"{ROWS}/nothing/download")).status == 404
