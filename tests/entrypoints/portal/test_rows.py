"""The Rows page: one row and how it stands, what it reaches, and the row errors of the last runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html import unescape

import pytest

from linker.core.linking.mapping_scan import TableState
from linker.core.records import REASONS
from sandbox.switches.config import SandboxConfig
from tests.entrypoints.portal.row_addresses import ROWS, row
from tests.fakes.browser import Browser
from tests.fakes.measured import TABLE, Measured, measured
from tests.fakes.requests import Refusal
from tests.fakes.world import World, contact_id

RUN = "run1"  # in which a world links


# ---- one row ----


async def test_a_linked_row_shows_its_profile_its_customer_and_the_run_that_confirmed_it(
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
async def test_a_link_that_another_writer_changed_is_shown_as_such(
    world: World, browser: Browser, link: str | None, words: str
) -> None:
    world.contact(1, "c1")
    world.contact(2, "c2")
    await world.link()
    profiles = {customer: profile for profile, customer in world.dataverse.profiles.items()}
    world.contacts.rows[contact_id(1)].link = profiles[link] if link else None
    assert words in await browser.text(row(1))


async def test_a_row_that_is_gone_is_shown_as_such(world: World, browser: Browser) -> None:
    world.contact(1, "c1")
    await world.link()
    del world.contacts.rows[contact_id(1)]
    assert "The row is gone" in await browser.text(row(1))


async def test_an_unknown_id_is_shown_as_such(world: World, browser: Browser) -> None:
    world.contact(1, "c1")
    await world.link()
    text = await browser.text(row(2))
    assert "The row was not found" in text
    assert "Look at the id." in text


async def test_a_row_that_the_app_never_linked_is_shown_as_such_with_its_last_error(
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
