"""Statements of the pages that were untrue once: each test states what an administrator has to read instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from linker.core.model import Counts, Mode, RunRequest, Status, TableRun, Ticket
from linker.core.runs.activity_values import SettleTask
from linker.core.runs.lifecycle import promise_run
from linker.durable.activities.discover_tables import settle
from linker.entrypoints import api
from linker.services.service_account import PrivilegeError
from sandbox.database.collation import guid_key
from sandbox.database.security import revoke_privilege
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import privilege_id
from tests.fakes.browser import Browser
from tests.fakes.client import Client
from tests.fakes.principal import headers
from tests.fakes.sandboxed import Sandboxed, sandboxed
from tests.fakes.world import World
from tests.shell.test_portal_pages import CONTACT, DETAILS, run_id, run_of, stored

READ_MAPPING = "prvReadmsdynci_alternatekey"
DONE = replace(CONTACT, status=Status.SUCCESSFUL)
LEAD = TableRun("lead", "crm", Status.SUCCESSFUL, mode=Mode.FULL)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def browser(world: World) -> Browser:
    made = Browser(world)
    await made.sign_in()
    return made


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
    assert "full, portal ada@contoso.com" in await ada.text("/api/portal/timeline")
    shown = (await key_holder.ask(api.get_run, run=waiting)).body
    assert shown["requestedBy"] == ["holder of a function key", "ada@contoso.com"]


async def test_a_run_that_a_timer_asked_for_names_no_person(browser: Browser, world: World) -> None:
    run = await stored(world, run_of(Status.SUCCESSFUL, DONE, trigger="timer"))
    assert "Asked by timer Run" in await browser.text(DETAILS.format(run.id))
