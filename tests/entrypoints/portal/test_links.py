"""Links of the pages: documentation, rows in Dynamics 365 by their names, logs, and where a decision is made."""

from __future__ import annotations

import base64
import gzip
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest

import linker
from linker.core.model import Counts, Finding, Status, UnlinkAllowance, Verdict
from linker.core.permissions.preflight_report import Picture, Severity, TablePicture
from linker.core.records import issue
from linker.entrypoints.portal import actions as preflight_page
from linker.entrypoints.portal import rows as rows_page
from linker.entrypoints.portal.views.words import logs_url, workbooks_url
from tests.entrypoints.portal.stored_runs import CONTACT, DETAILS, run_of, stored
from tests.fakes.browser import Browser, text_of
from tests.fakes.principal import headers
from tests.fakes.sandboxed import Sandboxed, sandboxed
from tests.fakes.world import World
from tests.sandbox.webapi.steps import create

DOCS = "https://github.com/contoso/linker/blob/0123456789abcdef/docs/"
WORKSPACE = "/subscriptions/1111/resourceGroups/rg-linker/providers/Microsoft.OperationalInsights/workspaces/log-1"
ROW_LIST = "/api/portal/rows?run={}&table=contact&code=ProfileMissing"


@pytest.fixture
def documented(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A package that knows its commit and where its documentation is."""
    file = tmp_path / "build.json"
    file.write_text(json.dumps({"commit": "0123456789abcdef", "docs": DOCS}), encoding="utf-8")
    monkeypatch.setattr(linker, "FILE", file)
    linker.build.cache_clear()
    yield
    linker.build.cache_clear()


async def operator(world: World) -> Browser:
    return Browser(world, authenticated=True, headers=headers(("roles", "operator")))


# ---- documentation ----


@pytest.mark.usefixtures("documented")
async def test_each_place_in_the_documentation_is_a_link_to_the_version_of_the_package() -> None:
    world = World()
    asked = Finding("R5", Verdict.VIOLATED, "<b>x</b>", "Fix it (docs/faq.md).", "Is it?", "docs/requirements.md#r5")
    run = run_of(Status.WARNINGS, CONTACT, status_detail="Run again. (See docs/operations.md.)", findings=(asked,))
    await stored(world, run)
    html = (await (await operator(world)).get(DETAILS.format(run.id))).text
    for place in ("operations.md", "faq.md", "requirements.md#r5"):
        assert f'<a href="{DOCS}{place}" rel="noreferrer">docs/{place}</a>' in html
    assert "&lt;b&gt;x&lt;/b&gt;" in html


async def test_where_the_address_is_not_known_the_place_is_text() -> None:
    world = World()
    run = run_of(Status.WARNINGS, CONTACT, status_detail="<i>Run</i> again. (See docs/operations.md.)")
    await stored(world, run)
    html = (await (await operator(world)).get(DETAILS.format(run.id))).text
    assert "&lt;i&gt;Run&lt;/i&gt; again. (See docs/operations.md.)" in html


@pytest.mark.usefixtures("documented")
async def test_the_about_page_links_to_the_documentation_and_names_the_commit() -> None:
    world = World(workspace_id=WORKSPACE)
    html = (await (await operator(world)).get("/api/portal/about")).text
    assert "Commit 0123456789abcdef" in text_of(html)
    assert f'href="{DOCS}README.md"' in html
    assert f'href="{workbooks_url(WORKSPACE)}"' in html


# ---- rows ----


@pytest.fixture
async def place() -> AsyncIterator[tuple[Sandboxed, Browser, list[httpx.Request]]]:
    """An environment, an operator before its pages, and what the app asks of Dataverse."""
    with sandboxed() as made:
        asked: list[httpx.Request] = []

        async def remember(request: httpx.Request) -> None:
            asked.append(request)

        made.deps.connection.client.event_hooks["request"].append(remember)
        yield made, await operator(made), asked  # type: ignore[arg-type]


async def in_trouble(made: Sandboxed, rows: list[str]) -> str:
    """Store a run that deferred some rows; return its id."""
    run = run_of(Status.WARNINGS, replace(CONTACT, counts=Counts(len(rows), deferred=len(rows))))
    run = replace(run, counts=Counts(len(rows), deferred=len(rows)))
    await stored(made, run)  # type: ignore[arg-type]
    await made.deps.issues.save(run.id, [issue("contact", row, "ProfileMissing") for row in rows])
    return run.id


async def test_rows_are_listed_with_their_names_and_lead_to_dynamics_365(
    place: tuple[Sandboxed, Browser, list[httpx.Request]], caplog: pytest.LogCaptureFixture
) -> None:
    made, browser, asked = place
    people = {
        await create(made.admin, "contacts", firstname="Ada", lastname=f"<i>L{number}</i>"): f"Ada <i>L{number}</i>"
        for number in range(3)
    }
    run = await in_trouble(made, list(people))
    caplog.set_level(logging.DEBUG)
    asked.clear()
    page = (await browser.get(ROW_LIST.format(run))).text
    assert len(asked) == 2  # what the table is called, and its rows
    for row, name in people.items():
        assert f"{row} {name} in Dynamics 365" in text_of(page)
        assert f"main.aspx?pagetype=entityrecord&etn=contact&id={row}" in unescape(page)
    assert "<i>L" not in page
    await browser.get(ROW_LIST.format(run))
    assert len(asked) == 2
    assert "Ada" not in caplog.text


async def test_without_the_right_to_read_rows_the_list_is_there_without_names(
    place: tuple[Sandboxed, Browser, list[httpx.Request]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, browser, _ = place
    row = await create(made.admin, "contacts", lastname="Lovelace")
    run = await in_trouble(made, [row])

    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={"error": {"code": "0x80040220", "message": "prvReadContact is missing"}})

    monkeypatch.setattr(made.deps.connection.client, "_transport", httpx.MockTransport(refuse))
    assert f"{row} Open in Dynamics 365" in await browser.text(ROW_LIST.format(run))


async def test_so_many_rows_are_named_with_one_request_and_those_behind_them_are_not(
    place: tuple[Sandboxed, Browser, list[httpx.Request]],
) -> None:
    made, _, asked = place
    rows = [await create(made.admin, "contacts", lastname=f"L{number}") for number in range(rows_page.MAX_NAMED + 2)]
    asked.clear()
    found = await rows_page.names_of(made.deps, "contact", rows)
    assert set(found) == set(rows[: rows_page.MAX_NAMED])
    assert len(asked) == 2


# ---- logs ----


def test_a_link_to_logs_carries_the_query_for_the_run() -> None:
    address = logs_url(WORKSPACE, "20261118T000000Z-1")
    packed = address.partition("/q/")[2].partition("/timespan/")[0]
    query = gzip.decompress(base64.b64decode(unquote(packed))).decode()
    assert '== "20261118T000000Z-1"' in query
    assert unquote(address.partition("/resourceId/")[2].partition("/")[0]) == WORKSPACE
    assert (logs_url("", "r"), workbooks_url("")) == ("", "")


@pytest.mark.parametrize("workspace", [WORKSPACE, None])
async def test_the_details_of_a_run_lead_to_its_log_where_there_is_one(workspace: str | None) -> None:
    world = World(workspace_id=workspace)
    run = run_of(Status.SUCCESSFUL, CONTACT)
    await stored(world, run)
    html = (await (await operator(world)).get(DETAILS.format(run.id))).text
    assert ("Log Open in Azure Monitor" in text_of(html)) is (workspace is not None)


# ---- decisions ----


async def test_a_preflight_leads_to_the_approval_of_a_held_table(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = (TablePicture("contact", "held"), TablePicture("lead", "ready"))
    picture = Picture("https://contoso", Severity.WARNINGS, tables=tables, tables_checked=True)

    async def looked(_: object) -> Picture:
        return picture

    monkeypatch.setattr(preflight_page, "share_look", looked)
    world = World()
    page = (await (await operator(world)).get("/api/portal/preflight")).text
    assert "/api/portal/tables/contact/approve" in page
    assert "/api/portal/tables/lead/approve" not in page
    viewer = Browser(world, authenticated=True, headers=headers(("roles", "viewer")))
    assert "/approve" not in (await viewer.get("/api/portal/preflight")).text


@pytest.mark.parametrize("kind", ["", ",empty", ",orphans"])
async def test_before_links_are_cleared_a_dry_run_is_the_first_choice_and_the_real_one_says_how_to_undo_it(
    kind: str,
) -> None:
    world = World()
    browser = await operator(world)
    page = (await browser.get(f"/api/portal/actions/review?tables=contact&allow_unlinking=contact=5{kind}")).text
    buttons = [part.partition("</button>")[0] for part in page.split("<main", 1)[1].split("<button")[1:]]
    assert buttons == [">Start a dry run first", ' class="danger">Start the run']
    assert "Undo:" in text_of(page)
    dry, real = page.split('action="/api/portal/actions/run"')[1:]
    assert 'name="dry_run" value="true"' in dry
    assert 'name="dry_run" value="true"' not in real.partition("</form>")[0]
    token = await browser.token(f"/api/portal/actions/review?tables=contact&allow_unlinking=contact=5{kind}")
    sent = await browser.post(
        "/api/portal/actions/run",
        token=token,
        key="k",
        dry_run="true",
        tables="contact",
        allow_unlinking=f"contact=5{kind}",
    )
    (started,) = browser.start.started
    assert (sent.status, started.request.dry_run) == (303, True)
    assert parse_qs(urlsplit(sent.headers["Location"]).query)["run"] == [started.run]
    assert started.request.unlink_allowed == (
        UnlinkAllowance("contact", 5, empty_mapping=kind == ",empty", orphans=kind == ",orphans"),
    )


async def test_a_review_that_clears_nothing_has_one_button() -> None:
    page = (await (await operator(World())).get("/api/portal/actions/review?tables=contact")).text
    assert page.split("<main", 1)[1].count("<button") == 1
