"""A first link on a table with automations: it waits, its estimate is what it costs, and bypassing costs nothing (D2, D6)."""

from __future__ import annotations

import httpx
import pytest

from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import BYPASS_LOGIC, privilege_id

from .administrator import administrator, linker
from .conftest import MakeWorld
from .world import SAMPLE, World

CONTACTS, LEADS = 60, 30


def add_step(api: httpx.Client, message: str, **values: object) -> None:
    """Register a plug-in step on contacts."""
    (found,) = api.get("sdkmessages", params={"$filter": f"name eq '{message}'"}).json()["value"]
    condition = f"primaryobjecttypecode eq 'contact' and sdkmessageid/name eq '{message}'"
    (scope,) = api.get("sdkmessagefilters", params={"$filter": condition}).json()["value"]
    binds = {
        "sdkmessageid@odata.bind": f"sdkmessages({found['sdkmessageid']})",
        "sdkmessagefilterid@odata.bind": f"sdkmessagefilters({scope['sdkmessagefilterid']})",
    }
    step = {"stage": 40, "mode": 0, "customizationlevel": 1, "canbebypassed": True}
    api.post("sdkmessageprocessingsteps", json=binds | step | values).raise_for_status()


def automate(world: World) -> None:
    """Give contacts a plug-in step, a bulk one, an asynchronous one, a workflow and a flow; one more listens elsewhere."""
    with administrator(world) as api:
        add_step(api, "Update", name="Sync")
        add_step(api, "UpdateMultiple", name="Sync in bulk")
        add_step(api, "Update", name="Later", mode=1)
        add_step(api, "Update", name="Elsewhere", filteringattributes="lastname")
        rule = {"name": "Check", "type": 1, "statecode": 1, "primaryentity": "contact", "category": 2}
        api.post("workflows", json=rule).raise_for_status()
        flow = {"name": "Greet", "entityname": "contact", "message": 3, "softdeletestatus": 0}
        api.post("callbackregistrations", json=flow).raise_for_status()


@pytest.fixture
def automated(fresh: World) -> World:
    """The sample, with automations on contacts."""
    automate(fresh)
    return fresh


def test_a_first_link_waits_for_its_approval_and_then_costs_what_was_estimated(automated: World) -> None:
    held = automated.publish()
    outcomes = {table["table"]: (table["status"], table["refusal"]) for table in held["tables"]}
    assert outcomes == {"contact": ("Skipped", "held"), "lead": ("Successful", "")}
    assert (held["status"], held["counts"]["linked"]) == ("Completed with warnings", LEADS)
    assert automated.sandbox.counters()["automation"]["byName"] == {}
    (contact,) = [table for table in automated.app.preflight()["tables"] if table["table"] == "contact"]
    assert (contact["outcome"], contact["estimate"]["rows"], len(contact["automations"])) == ("held", CONTACTS, 5)

    automated.sandbox.reset_counters()
    approved = linker(automated, "approve", "contact", "--yes", LINKER_APP_URL=automated.host.ready["url"])
    assert approved.returncode == 0, approved.stderr
    run = automated.ended(approved.stdout.partition("Run ")[2].partition(":")[0])
    assert (run["status"], run["trigger"], run["counts"]["linked"]) == ("Successful", "approval", CONTACTS)
    assert automated.sandbox.check("contact").wrong == 0
    counted = automated.sandbox.counters()["automation"]
    estimate = contact["estimate"]
    assert (counted["stepExecutions"], counted["asyncJobs"]) == (estimate["executions"], estimate["jobs"])
    assert "Approved by" in " ".join(run["notes"])


def test_what_a_preflight_shows_may_be_approved_before_any_run_held_it(automated: World) -> None:
    (contact,) = [table for table in automated.app.preflight()["tables"] if table["table"] == "contact"]
    assert contact["outcome"] == "held"
    approved = linker(automated, "approve", "contact", "--yes", LINKER_APP_URL=automated.host.ready["url"])
    assert approved.returncode == 0, approved.stderr
    run = automated.ended(approved.stdout.partition("Run ")[2].partition(":")[0])
    assert (run["status"], run["counts"]["linked"]) == ("Successful", CONTACTS + LEADS)


def test_a_table_that_is_not_held_cannot_be_approved(automated: World) -> None:
    refused = linker(automated, "approve", "account", "--yes", LINKER_APP_URL=automated.host.ready["url"])
    assert refused.returncode == 2
    assert "whose first link waits for an approval" in refused.stderr


def test_block_writes_nothing_to_a_table_with_automations(make: MakeWorld) -> None:
    world = make("--load", str(SAMPLE), LINKER_AUTOMATIONS="block", LINKER_FIRST_LINK="auto")
    automate(world)
    run = world.publish()
    assert {table["table"]: table["refusal"] for table in run["tables"]} == {"contact": "blocked", "lead": ""}
    assert world.counted("rowsWritten", "contact") == 0


def test_bypass_asks_for_its_privilege_first_and_then_fires_nothing(make: MakeWorld) -> None:
    world = make("--load", str(SAMPLE), LINKER_AUTOMATIONS="bypass")
    automate(world)
    run = world.publish()
    assert run["status"] == "Not started"
    assert "prvBypassCustomBusinessLogic" in run["statusDetail"]
    assert world.counted("rowsWritten", "contact", "lead") == 0
    with administrator(world) as api:
        body = {"Privileges": [{"PrivilegeId": privilege_id(BYPASS_LOGIC), "Depth": "3"}]}
        api.post(f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.AddPrivilegesRole", json=body).raise_for_status()
    world.sandbox.reset_counters()
    run = world.ended(world.app.request(mode="incremental"))
    assert (run["status"], run["counts"]["linked"]) == ("Successful", CONTACTS + LEADS)
    assert world.sandbox.counters()["automation"]["byName"] == {}
