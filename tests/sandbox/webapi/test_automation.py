"""Plug-in steps, workflows and flows that a write fires: docs/reference/dataverse.md 9 and 10."""

import json

import pytest

from sandbox.runtime import AutomationCounters, Environment
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import add_step, create, error, message, read, update_multiple

SYNC = {"MSCRM.BypassBusinessLogicExecution": "CustomSync"}
ASYNC = {"MSCRM.BypassBusinessLogicExecution": "CustomAsync"}
PLUGINS = {"MSCRM.BypassCustomPluginExecution": "true"}
SUPPRESS = {"MSCRM.SuppressCallbackRegistrationExpanderJob": "true"}


@pytest.fixture
async def rows(api: Client) -> list[str]:
    return [await create(api, "contacts", lastname=name) for name in ("Ash", "Elm")]


async def fired(api: Client, environment: Environment, rows: list[str], **headers: str) -> AutomationCounters:
    """Update two rows in one request and return what that set in motion."""
    environment.counters.reset()
    answer = await update_multiple(api, *({"contactid": row, "lastname": "Ash"} for row in rows), **headers)
    assert answer.status_code == 204, answer.text
    return environment.counters.automation


@pytest.mark.parametrize(
    ("message", "executions"),
    [
        pytest.param("Update", 2, id="a step on Update runs once for each row"),
        pytest.param("UpdateMultiple", 1, id="a step on UpdateMultiple runs once for the request"),
        pytest.param("Create", 0, id="a step on another message does not run"),
    ],
)
async def test_bulk_updates_run_the_steps_of_both_messages(
    api: Client, environment: Environment, rows: list[str], message: str, executions: int
) -> None:
    await add_step(api, message)
    assert (await fired(api, environment, rows)).step_executions == executions


async def test_a_single_update_runs_the_steps_of_update_multiple(
    api: Client, environment: Environment, rows: list[str]
) -> None:
    await add_step(api, "UpdateMultiple")
    environment.counters.reset()
    await api.patch(f"contacts({rows[0]})", json={"lastname": "Ash"})
    assert environment.counters.automation.step_executions == 1


@pytest.mark.parametrize(
    ("attributes", "executions"),
    [
        pytest.param("lastname", 2, id="a listed column, even with the same value"),
        pytest.param("jobtitle, LastName", 2, id="one of several, blanks and case do not count"),
        pytest.param("jobtitle", 0, id="another column"),
        pytest.param(None, 2, id="no filter means any column"),
        pytest.param("", 2, id="an empty filter means any column"),
    ],
)
async def test_filtering_attributes_decide(
    api: Client, environment: Environment, rows: list[str], attributes: str | None, executions: int
) -> None:
    await add_step(api, filteringattributes=attributes)
    assert (await fired(api, environment, rows)).step_executions == executions


@pytest.mark.parametrize(
    ("values", "table", "executions"),
    [
        pytest.param({"statecode": 1}, "contact", 0, id="disabled"),
        pytest.param({}, "lead", 0, id="of another table"),
        pytest.param({}, None, 2, id="registered for all tables"),
    ],
)
async def test_a_step_runs_only_where_it_is_registered_and_enabled(
    api: Client,
    environment: Environment,
    rows: list[str],
    values: dict[str, object],
    table: str | None,
    executions: int,
) -> None:
    await add_step(api, table=table, **values)
    assert (await fired(api, environment, rows)).step_executions == executions


async def test_an_asynchronous_step_is_a_system_job(api: Client, environment: Environment, rows: list[str]) -> None:
    await add_step(api, mode=1)
    counters = await fired(api, environment, rows)
    assert (counters.step_executions, counters.async_jobs) == (0, 2)


@pytest.mark.parametrize(
    ("values", "headers", "executions"),
    [
        pytest.param({}, SYNC, 0, id="sync bypassed"),
        pytest.param({}, PLUGINS, 0, id="older header"),
        pytest.param({}, ASYNC, 2, id="the other kind stays"),
        pytest.param({"customizationlevel": 0}, SYNC, 2, id="Microsoft's own stay"),
        pytest.param({"canbebypassed": False}, SYNC, 2, id="not bypassable"),
    ],
)
async def test_headers_bypass_custom_steps(
    api: Client,
    environment: Environment,
    rows: list[str],
    values: dict[str, object],
    headers: dict[str, str],
    executions: int,
) -> None:
    await add_step(api, **values)
    assert (await fired(api, environment, rows, **headers)).step_executions == executions


async def test_single_steps_are_bypassed_by_id_and_unknown_ids_are_ignored(
    api: Client, environment: Environment, rows: list[str]
) -> None:
    first, _ = await add_step(api), await add_step(api)
    ids = f"{first.upper()},{rows[0]}"
    headers = {"MSCRM.BypassBusinessLogicExecutionStepIds": ids}
    assert (await fired(api, environment, rows, **headers)).step_executions == 2


async def test_at_most_three_steps_can_be_bypassed_by_id(api: Client, rows: list[str]) -> None:
    headers = {"MSCRM.BypassBusinessLogicExecutionStepIds": ",".join(f"{rows[0][:-1]}{i}" for i in range(4))}
    answer = await api.patch(f"contacts({rows[0]})", json={}, headers=headers)
    assert answer.status_code == 400


@pytest.mark.parametrize("headers", [SYNC, PLUGINS], ids=["business logic", "plug-ins"])
async def test_a_bypass_needs_its_privilege(api: Client, rows: list[str], headers: dict[str, str]) -> None:
    answer = await api.patch(f"contacts({rows[0]})", json={"lastname": "x"}, headers=headers | {"x-user": "linker"})
    assert error(answer) == (403, "0x80040220")


async def test_a_throwing_step_undoes_the_write(api: Client, rows: list[str]) -> None:
    await add_step(api, configuration=json.dumps({"throws": "No.", "rowIds": [rows[1]]}))
    answer = await update_multiple(api, *({"contactid": row, "lastname": "Oak"} for row in rows))
    assert (error(answer), message(answer)) == ((400, "0x80040265"), "No.")
    assert (await read(api, f"contacts({rows[0]})"))["lastname"] == "Ash"
    assert (await update_multiple(api, {"contactid": rows[0], "lastname": "Oak"})).status_code == 204


@pytest.mark.parametrize("headers", [SYNC, PLUGINS], ids=["business logic", "plug-ins"])
async def test_a_bypassed_step_cannot_throw(api: Client, rows: list[str], headers: dict[str, str]) -> None:
    await add_step(api, configuration=json.dumps({"throws": "No."}))
    assert (await update_multiple(api, {"contactid": rows[0], "lastname": "Oak"}, **headers)).status_code == 204
    assert (await read(api, f"contacts({rows[0]})"))["lastname"] == "Oak"


@pytest.mark.parametrize(
    "configuration",
    ["<xml/>", "[1]", '{"throws": true, "rowIds": 7, "cost_ms": "much"}', '{"cost_ms": null, "rowIds": null}'],
)
async def test_a_steps_configuration_may_be_any_text(
    api: Client, environment: Environment, rows: list[str], configuration: str
) -> None:
    await add_step(api, configuration=configuration)
    assert (await fired(api, environment, rows)).step_executions == 2


async def add_workflow(api: Client, **values: object) -> None:
    """Register an activated workflow."""
    workflow = {"name": "w", "primaryentity": "contact", "type": 1, "statecode": 1, "category": 0, "mode": 0}
    await create(api, "workflows", **workflow | values)


@pytest.mark.parametrize(
    ("values", "steps", "jobs"),
    [
        pytest.param({"triggeronupdateattributelist": "lastname"}, 0, 2, id="background"),
        pytest.param({"triggeronupdateattributelist": "lastname", "mode": 1}, 2, 0, id="real-time"),
        pytest.param({"triggeronupdateattributelist": "jobtitle"}, 0, 0, id="another column"),
        pytest.param({}, 0, 0, id="an empty list is not triggered by updates"),
        pytest.param({"category": 2}, 2, 0, id="business rule"),
        pytest.param({"statecode": 0, "triggeronupdateattributelist": "lastname"}, 0, 0, id="draft"),
        pytest.param({"type": 2, "triggeronupdateattributelist": "lastname"}, 0, 0, id="activation copy"),
    ],
)
async def test_workflows_fire_by_their_columns(
    api: Client, environment: Environment, rows: list[str], values: dict[str, object], steps: int, jobs: int
) -> None:
    await add_workflow(api, **values)
    counters = await fired(api, environment, rows)
    assert (counters.step_executions, counters.async_jobs) == (steps, jobs)


@pytest.mark.parametrize(
    ("values", "headers", "runs"),
    [
        pytest.param({"message": 3}, {}, 2, id="modified"),
        pytest.param({"message": 4}, {}, 2, id="added or modified"),
        pytest.param({"message": 1}, {}, 0, id="added"),
        pytest.param({"message": 3, "filteringattributes": "jobtitle"}, {}, 0, id="another column"),
        pytest.param({"message": 3, "softdeletestatus": 1}, {}, 0, id="deleted flow"),
        pytest.param({"message": 3}, SUPPRESS, 0, id="suppressed"),
        pytest.param({"message": 3}, SYNC, 2, id="not touched by bypassing"),
    ],
)
async def test_flows_run_for_each_row_and_are_system_jobs(
    api: Client,
    environment: Environment,
    rows: list[str],
    values: dict[str, object],
    headers: dict[str, str],
    runs: int,
) -> None:
    await create(api, "callbackregistrations", name="flow", entityname="contact", scope=4, **values)
    counters = await fired(api, environment, rows, **headers)
    assert (counters.flow_runs, counters.async_jobs) == (runs, runs)


async def test_suppressing_flows_needs_no_privilege(api: Client, rows: list[str]) -> None:
    answer = await api.patch(f"contacts({rows[0]})", json={"lastname": "x"}, headers=SUPPRESS | {"x-user": "linker"})
    assert answer.status_code == 204


async def test_creating_and_deleting_fire_their_own_automation(api: Client, environment: Environment) -> None:
    await add_step(api, "Delete")
    await add_step(api, "CreateMultiple")
    environment.counters.reset()
    row_id = await create(api, "contacts", lastname="Ash")
    assert environment.counters.automation.step_executions == 1
    await api.delete(f"contacts({row_id})")
    assert environment.counters.automation.step_executions == 2


async def test_the_documented_query_for_steps_is_answered(api: Client) -> None:
    await add_step(api, filteringattributes="lastname", iscustomizable={"Value": True})
    url = (
        "sdkmessageprocessingsteps?$select=name,filteringattributes,stage,mode,rank,statecode,customizationlevel,"
        "ismanaged,canbebypassed&$expand=sdkmessageid($select=name),sdkmessagefilterid($select=primaryobjecttypecode),"
        "plugintypeid($select=typename,assemblyname)&$filter=statecode eq 0 and (sdkmessageid/name eq 'Update' or "
        "sdkmessageid/name eq 'UpdateMultiple') and sdkmessagefilterid/primaryobjecttypecode eq 'contact'"
    )
    (step,) = (await read(api, url))["value"]
    assert (step["sdkmessageid"]["name"], step["plugintypeid"]) == ("Update", None)
    inner = "$select=name;$filter=statecode eq 0 and customizationlevel eq 1 and iscustomizable/Value eq true"
    url = "sdkmessagefilters?$filter=primaryobjecttypecode eq 'contact' and sdkmessageid/name eq 'Update'"
    (found,) = (await read(api, f"{url}&$expand=sdkmessagefilterid_sdkmessageprocessingstep({inner})"))["value"]
    assert [s["name"] for s in found["sdkmessagefilterid_sdkmessageprocessingstep"]] == ["step"]


async def test_a_step_that_a_user_registers_is_custom_whether_or_not_its_level_is_given(api: Client) -> None:
    step = await create(api, "sdkmessageprocessingsteps", name="Sync", stage=40, mode=0)
    found = await read(api, f"sdkmessageprocessingsteps({step})?$select=customizationlevel")
    assert found["customizationlevel"] == 1
