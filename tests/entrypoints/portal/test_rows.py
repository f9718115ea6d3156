"""The Rows page: one row and how it stands, what it reaches, and the row errors of the last runs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from linker.core.linking.mapping_scan import TableState
from linker.core.model import Counts, Mode, Run, Status, TableRun
from linker.core.records import REASONS, issue
from linker.entrypoints.portal import rows as page
from sandbox.switches.config import SandboxConfig
from tests.fakes.browser import Browser, text_of
from tests.fakes.measured import TABLE, Measured, measured
from tests.fakes.requests import Refusal
from tests.fakes.world import World, contact_id

MAX_REQUESTS = 4  # runs of the last days or of all, and row errors
ROWS = "/api/portal/rows"
RUN = "run1"  # in which a world links
LAST = "20261124T000000Z-00000001"


def row(number: int, **query: str) -> str:
    return f"{ROWS}?table=contact&row={contact_id(number)}" + "".join(
        f"&{name}={value}" for name, value in query.items()
    )


# ---- one row ----


async def test_a_linked_row_tells_its_profile_its_customer_and_the_run_that_confirmed_it(
    world: World, browser: Browser
) -> None:
    world.contact(1, "c1")
    await world.link()
    text = await browser.text(row(1))
    assert "Linked as confirmed" in text
    assert f"Profile now {world.contacts.rows[contact_id(1)].link}" in text
    assert "CustomerId c1" in text
    assert "Confirmed yes" in text
    assert f"By run {RUN}" in text
    assert "None is remembered." in text


@pytest.mark.parametrize(
    ("link", "words"),
    [
        pytest.param(None, "The link is empty", id="emptied"),
        pytest.param("c2", "Linked to another customer", id="changed"),
    ],
)
async def test_a_link_that_somebody_changed_is_told_as_such(
    world: World, browser: Browser, link: str | None, words: str
) -> None:
    world.contact(1, "c1")
    world.contact(2, "c2")
    await world.link()
    profiles = {customer: profile for profile, customer in world.dataverse.profiles.items()}
    world.contacts.rows[contact_id(1)].link = profiles[link] if link else None
    assert words in await browser.text(row(1))


async def test_a_row_that_is_gone_is_told_as_such(world: World, browser: Browser) -> None:
    world.contact(1, "c1")
    await world.link()
    del world.contacts.rows[contact_id(1)]
    assert "The row is gone" in await browser.text(row(1))


async def test_an_id_that_nobody_knows_is_told_as_such(world: World, browser: Browser) -> None:
    world.contact(1, "c1")
    await world.link()
    text = await browser.text(row(2))
    assert "The row was not found" in text
    assert "Look at the id." in text


async def test_a_row_that_the_app_never_linked_is_told_as_such_with_its_last_error(
    world: World, browser: Browser
) -> None:
    world.contact(1, "c1", profile=False)
    await world.link()
    text = await browser.text(row(1))
    assert "Not linked by the app" in text
    assert (
        f"ProfileMissing deferred The profile of customer c1 is not in Dataverse. {REASONS['ProfileMissing'].advice}"
        in text
    )


async def test_without_dataverse_what_is_stored_is_shown_and_why_there_is_no_more(
    world: World, browser: Browser
) -> None:
    world.contact(1, "c1")
    await world.link()

    def refuses(asked: object) -> None:
        raise Refusal(403, "0x80042f09", "not today")

    world.dataverse.hooks.append(refuses)
    text = await browser.text(row(1, insights="true"))
    assert "Not verified" in text
    assert "not today" in text
    assert f"By run {RUN}" in text
    assert "Nothing could be read" in text


@pytest.mark.parametrize(
    ("table", "key", "words"),
    [
        pytest.param("contact", "7", "This is no row", id="no id"),
        pytest.param("con tact", contact_id(1), "This is no row", id="no name"),
        pytest.param(
            "lead", contact_id(1), "The app does not link a table of this name", id="a table that is not linked"
        ),
    ],
)
async def test_what_cannot_be_found_says_what_to_give(
    world: World, browser: Browser, table: str, key: str, words: str
) -> None:
    world.contact(1, "c1")
    await world.link()
    assert words in await browser.text(f"{ROWS}?table={table.replace(' ', '+')}&row={key}")


async def test_what_was_typed_is_shown_again_and_inert(world: World, browser: Browser) -> None:
    reply = await browser.get(f"{ROWS}?table=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&row=x")
    assert "<script>alert" not in reply.text
    assert 'value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"' in reply.text


# ---- insights ----


@pytest.fixture(params=["elastic", "standard", "virtual"])
async def insights(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Measured, Browser]]:
    async with measured(SandboxConfig(profile_table=request.param)) as made:
        await made.sandboxed.deps.states.save(TABLE, TableState(), None)
        browser = Browser(made.sandboxed)  # type: ignore[arg-type]
        await browser.sign_in()
        yield made, browser


async def test_insights_show_attributes_measures_and_related_rows(insights: tuple[Measured, Browser]) -> None:
    made, browser = insights
    text = await browser.text(f"{ROWS}?table={TABLE}&row={made.row}&insights=true")
    assert f"through the link to profile {made.profile['msdynci_customerprofileid']}" in text
    assert f"Lead score msdynci_leadscore {made.measures.lead_score}" in text
    assert f"SupportIssuesLastMonth {made.measures.issues_last_month}" in text
    assert "Support issues of the lifetime" in text


async def test_insights_are_read_when_they_are_asked_for(insights: tuple[Measured, Browser]) -> None:
    made, browser = insights
    reply = await browser.get(f"{ROWS}?table={TABLE}&row={made.row}")
    assert "Lead score" not in reply.text
    assert f"table={TABLE}&row={made.row}&insights=true#insights" in unescape(reply.text)


async def test_what_a_profile_holds_is_inert(insights: tuple[Measured, Browser]) -> None:
    made, browser = insights
    path = f"msdynci_customerprofiles({made.profile['msdynci_customerprofileid']})"
    hostile = {"msdynci_fullname": "<script>alert(1)</script>"}
    (await made.sandboxed.admin.patch(path, json=hostile)).raise_for_status()
    reply = await browser.get(f"{ROWS}?table={TABLE}&row={made.row}&insights=true")
    assert "<script>alert" not in reply.text
    assert "&lt;script&gt;alert(1)" in reply.text


async def test_what_may_not_be_read_is_said(insights: tuple[Measured, Browser]) -> None:
    made, browser = insights
    await made.deny("prvReadmsdynci_supportissue")
    text = await browser.text(f"{ROWS}?table={TABLE}&row={made.row}&insights=true")
    assert "msdynci_supportissue is not shown." in text
    assert "prvReadmsdynci_supportissue" in text


@pytest.mark.parametrize(
    ("key", "words"),
    [
        pytest.param("other", "The row has no link", id="no link"),
        pytest.param("gone", "Dataverse has no row with this id", id="no row"),
    ],
)
async def test_a_row_that_reaches_nothing_says_why(insights: tuple[Measured, Browser], key: str, words: str) -> None:
    made, browser = insights
    wanted = made.other if key == "other" else contact_id(1)
    assert words in await browser.text(f"{ROWS}?table={TABLE}&row={wanted}&insights=true")


# ---- row errors ----


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
