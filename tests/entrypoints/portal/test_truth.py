"""Statements of the pages that were untrue once: each test states what an administrator has to read instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Literal

import pytest

from linker.adapters.storage import TaskState
from linker.core.model import Counts, Mode, Progress, Run, RunRequest, Status, TableRun, Ticket
from linker.core.permissions.preflight_report import Picture, Severity
from linker.core.runs.activity_values import SettleTask
from linker.core.runs.lifecycle import promise_run
from linker.core.serialization import iso
from linker.durable.activities.discover_tables import settle
from linker.entrypoints import api
from linker.services.service_account import PrivilegeError
from sandbox.database.collation import guid_key
from sandbox.database.security import revoke_privilege
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import privilege_id
from tests.entrypoints.portal.stored_runs import CONTACT, DETAILS, run_id, run_of, stored
from tests.fakes.browser import Browser, text_of
from tests.fakes.client import Client
from tests.fakes.principal import headers
from tests.fakes.sandboxed import Sandboxed, sandboxed
from tests.fakes.world import START, World

READ_MAPPING = "prvReadmsdynci_alternatekey"
DONE = replace(CONTACT, status=Status.SUCCESSFUL)
LEAD = TableRun("lead", "crm", Status.SUCCESSFUL, mode=Mode.FULL)


@pytest.fixture
async def unprivileged() -> AsyncIterator[Sandboxed]:
    """An environment whose role for the app lacks the privilege to read the mapping."""
    with sandboxed() as made:
        revoke_privilege(made.environment.database, guid_key(LINKER_ROLE), guid_key(privilege_id(READ_MAPPING)))
        yield made


async def test_a_preflight_that_could_not_look_does_not_say_what_is_there(unprivileged: Sandboxed) -> None:
    browser = Browser(unprivileged)  # type: ignore[arg-type]  # it uses the deps alone
    await browser.sign_in()
    text = await browser.text("/api/portal/preflight")
    assert READ_MAPPING in text
    assert "Customer Insights not checked" in text
    assert "Tables were not checked" in text
    assert [untrue for untrue in ("not set up", "No tables", "No source") if untrue in text] == []


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("asked", "answered"),
        ("no answer", "no answer"),
        ("not set up", "not set up"),
        ("not checked", "not checked"),
    ],
)
def test_a_preflight_says_whether_customer_insights_answered(
    found: Literal["asked", "no answer", "not set up", "not checked"], told: str
) -> None:
    assert (
        Picture("https://contoso.crm4.dynamics.com", Severity.READY, customer_insights=found).insights_in_words == told
    )


async def test_a_run_names_the_privilege_that_a_preflight_names(unprivileged: Sandboxed) -> None:
    deps = unprivileged.deps
    grant = await deps.lock.request(RunRequest())
    await deps.runs.create(promise_run(Ticket(grant.run, RunRequest())))
    with pytest.raises(PrivilegeError, match=READ_MAPPING) as found:
        await settle(deps, SettleTask(grant.run))
    shown = (await Client(unprivileged).ask(api.get_preflight)).body  # type: ignore[arg-type]
    assert [one["privilege"] for one in shown["missing"]] == [READ_MAPPING] == [found.value.missing.privilege]
    assert "setup" in str(found.value)
    assert "Principal user" not in str(found.value)


async def test_the_reasons_of_a_failed_run_and_table_stay_while_another_run_works(
    browser: Browser, world: World
) -> None:
    reason = "Column 'x' cannot be created."
    failed = replace(LEAD, status=Status.FAILED, detail=reason)
    earlier = run_of(Status.FAILED, DONE, failed, status_detail=f"Table 'lead': {reason}")
    await stored(world, replace(earlier, id=run_id(2)), shown=False)
    await stored(world, run_of(Status.REFRESHING, CONTACT))
    text = await browser.text()
    assert f"Table 'lead': {reason}" in text
    assert f"lead {reason} Failed (permanent)" in text


async def test_actions_show_the_mode_that_a_run_has_and_not_the_one_that_was_asked_for(
    browser: Browser, world: World
) -> None:
    run = (await world.deps.lock.request(RunRequest(Mode.INCREMENTAL))).run
    await stored(world, replace(run_of(Status.REFRESHING, CONTACT), id=run, mode=Mode.FULL))
    text = await browser.text("/api/portal/actions")
    assert f"{run} Running full all" in text
    assert "incremental all" not in text


@pytest.mark.parametrize(
    ("before", "change"),
    [
        pytest.param((DONE, LEAD), "+100.0 %", id="the same tables"),
        pytest.param((DONE, replace(LEAD, status=Status.SKIPPED, refusal="held")), "\u2013", id="one was held before"),
    ],
)
async def test_a_change_is_shown_only_between_runs_that_did_the_same_tables(
    browser: Browser, world: World, before: tuple[TableRun, ...], change: str
) -> None:
    old = run_of(Status.WARNINGS, *before, ended_at="2026-11-18T11:05:55Z", counts=Counts(10, linked=10))
    await stored(world, replace(old, id=run_id(2)), shown=False)
    await stored(world, run_of(Status.WARNINGS, DONE, LEAD, counts=Counts(10, linked=10)))
    text = await browser.text("/api/portal/timeline")
    assert f"full 1 min 30 s {change} 10" in text


async def test_a_table_that_failed_before_it_was_planned_can_be_run_again(browser: Browser, world: World) -> None:
    failed = TableRun("lead", "crm", Status.FAILED, "Its metadata cannot be read.")
    await stored(world, run_of(Status.FAILED, DONE, failed))
    page = (await browser.get("/api/portal/actions")).text
    assert 'name="tables" value="lead"' in page


async def test_a_run_says_what_asked_for_it_and_who(world: World) -> None:
    ada = Browser(world, authenticated=True, headers=headers(("roles", "operator")))
    token = await ada.token("/api/portal/actions")
    sent = await ada.post("/api/portal/actions/run", token=token, key="k", mode="full")
    run = sent.headers["Location"].partition("run=")[2].partition("&")[0]
    details = DETAILS.format(run)
    assert "Asked by portal, ada@contoso.com" in await ada.text(details)
    key_holder = Client(world)
    await key_holder.ask(api.post_run, body={"mode": "full"})  # it waits behind the first one
    again = await key_holder.ask(api.post_run, body={"mode": "verify"})
    await ada.post("/api/portal/actions/run", token=token, key="k2", mode="verify")
    waiting = again.body["id"]
    assert "Asked by api, holder of a function key, ada@contoso.com" in await ada.text(DETAILS.format(waiting))
    assert "full, portal, ada@contoso.com" in await ada.text("/api/portal/timeline")
    shown = (await key_holder.ask(api.get_run, run=waiting)).body
    assert shown["requestedBy"] == ["holder of a function key", "ada@contoso.com"]


async def test_a_run_that_a_timer_asked_for_names_no_person(browser: Browser, world: World) -> None:
    run = await stored(world, run_of(Status.SUCCESSFUL, DONE, trigger="timer"))
    assert "Asked by timer Run" in await browser.text(DETAILS.format(run.id))


# ---- dry runs ----

PLANNED = "would link 5 and unlink 2 of 9 rows"


async def dry_run_of(world: World, status: Status) -> Run:
    """Let a dry run of 9 rows end so; the task shows it beside the last real run."""
    table = replace(CONTACT, status=status, counts=Counts(9, linked=5, unchanged=2, unlinked=2))
    run = run_of(status, table, dry_run=True, counts=table.counts, status_detail="Row 10 was not read.")
    await stored(world, run, shown=False)

    async def show(task: TaskState) -> TaskState:
        return replace(task, dry_run=run.id)

    await world.deps.runs.change_task(show)
    return run


@pytest.mark.parametrize(
    ("status", "complete"),
    [
        (Status.SUCCESSFUL, True),
        (Status.WARNINGS, True),
        (Status.FAILED, False),
        (Status.CANCELED, False),
        (Status.SKIPPED, False),
        (Status.NOT_STARTED, False),
    ],
)
async def test_only_a_dry_run_that_looked_at_every_row_says_what_a_real_one_would_do(
    browser: Browser, world: World, status: Status, complete: bool
) -> None:
    run = await dry_run_of(world, status)
    page, changes = await browser.text(), await browser.text(f"/api/portal/runs/{run.id}/changes")
    assert (PLANNED in page) is complete
    assert ("not every row was looked at; nothing was written" in page) is not complete
    assert ("Row 10 was not read." in page) is not complete
    assert ("This dry run didn't look at every row" in changes) is not complete


@pytest.mark.parametrize("path", ["", DETAILS, "/api/portal/timeline", "/api/portal/history?table=contact"])
async def test_a_dry_run_never_says_that_it_linked_a_row(browser: Browser, world: World, path: str) -> None:
    run = await dry_run_of(world, Status.SUCCESSFUL)
    text = await browser.text(path.format(run.id) or "/api/portal")
    assert "5 to link" in text
    assert "2 to unlink" in text
    assert "5 linked" not in text


# ---- what is not known ----


async def test_a_run_that_dataverse_does_not_answer_promises_no_end(browser: Browser, world: World) -> None:
    progress = Progress(8, 2, rows_total=1_000, rows_done=300, eta_seconds=30.0)
    run = await stored(world, run_of(Status.RETRYING, CONTACT, progress=progress, last_updated=iso(START)))
    page, details = await browser.text(), await browser.text(DETAILS.format(run.id))
    assert "left" not in page
    assert "Time left not known yet" in details


@pytest.mark.parametrize(
    ("runs", "asked", "told", "untold"),
    [
        pytest.param((), "", "No run has read the rows of these tables yet", "If every row changed", id="no run"),
        pytest.param((), "contact", "No run has read the rows of contact yet", "at most 0 rows", id="an unknown table"),
        pytest.param((DONE,), "contact", "If every row changed: at most 0 rows", "No run has read", id="a known table"),
        pytest.param((DONE,), "contact,lead", "No run has read the rows of lead yet", "0 rows by", id="one of two"),
    ],
)
async def test_a_review_says_which_rows_no_run_has_read(
    browser: Browser, world: World, runs: tuple[TableRun, ...], asked: str, told: str, untold: str
) -> None:
    if runs:
        await stored(world, run_of(Status.SUCCESSFUL, *runs))
    text = await browser.text(f"/api/portal/actions/review?tables={asked}")
    assert told in text
    assert untold not in text


async def test_an_empty_timeline_names_no_trigger_that_may_be_off(browser: Browser) -> None:
    text = await browser.text("/api/portal/timeline")
    assert "A run is listed here as soon as it is requested." in text
    assert "tick of the timer" not in text


@pytest.mark.parametrize(
    ("who", "told", "untold"),
    [
        pytest.param({}, "with the master key", "Entra", id="a session with a function key"),
        pytest.param(
            {"authenticated": True, "headers": headers(("roles", "operator"))},
            "An administrator assigns it: Entra ID",
            "master key",
            id="signed in with Entra",
        ),
    ],
)
async def test_a_refused_page_says_what_that_caller_can_do(
    world: World, who: dict[str, Any], told: str, untold: str
) -> None:
    browser = Browser(world, **who)
    if not who:
        await browser.sign_in()
    page = await browser.get("/api/portal/audit")
    assert page.status == 403
    assert "requires the app role 'admin'" in text_of(page.text)
    assert told in page.text
    assert untold not in page.text
