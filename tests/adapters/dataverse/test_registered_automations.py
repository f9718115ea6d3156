"""What is registered on a table, read from a Dataverse that runs it: whatever is judged to fire does fire, and nothing else."""

from collections.abc import Iterator

import pytest

from linker.adapters.dataverse.registered_automations import automations
from linker.adapters.dataverse.web_api import BYPASS
from linker.core.permissions.automations import Automation, Kind, estimate, find_fired, not_bypassed
from tests.fakes.sandboxed import Sandboxed, sandboxed
from tests.sandbox.webapi.steps import add_step, create, update_multiple

COLUMN = "jobtitle"  # stands for the lookup: any column of the table will do


@pytest.fixture
def world() -> Iterator[Sandboxed]:
    with sandboxed() as made:
        yield made


async def add_workflow(world: Sandboxed, name: str, **values: object) -> None:
    known = {"primaryentity": "contact", "type": 1, "statecode": 1, "category": 0, "mode": 0}
    await create(world.admin, "workflows", name=name, **known | values)


async def add_flow(world: Sandboxed, name: str, **values: object) -> None:
    await create(world.admin, "callbackregistrations", name=name, **{"entityname": "contact", "message": 3} | values)


async def found(world: Sandboxed) -> tuple[Automation, ...]:
    return await automations(world.dataverse, "contact")


async def fill(world: Sandboxed) -> None:
    """Register everything that there is, each kind with one that fires and ones that do not."""
    api = world.admin
    await add_step(api, name="any column")
    await add_step(api, name="listed", filteringattributes=f"lastname, {COLUMN.upper()}", mode=1)
    await add_step(api, name="other column", filteringattributes="lastname")
    await add_step(api, "UpdateMultiple", name="bulk", canbebypassed=False)
    await add_step(api, name="every table", table=None)
    await add_step(api, name="disabled", statecode=1)
    await add_step(api, name="other table", table="lead")
    await add_step(api, "Create", name="other message")
    await add_workflow(world, "background", triggeronupdateattributelist=COLUMN)
    await add_workflow(world, "real-time", triggeronupdateattributelist=COLUMN, mode=1)
    await add_workflow(world, "not on update")
    await add_workflow(world, "draft", triggeronupdateattributelist=COLUMN, statecode=0)
    await add_workflow(world, "rule", category=2)
    await add_flow(world, "flow")
    await add_flow(world, "flow of another column", filteringattributes="lastname")
    await add_flow(world, "flow on adding", message=1)
    await add_flow(world, "deleted flow", softdeletestatus=1)


async def test_what_is_judged_to_fire_is_what_fires(world: Sandboxed) -> None:
    await fill(world)
    rows = [await create(world.admin, "contacts") for _ in range(3)]
    judged = find_fired(await found(world), COLUMN)
    world.environment.counters.reset()
    first, *others = [{"contactid": row, COLUMN: "x"} for row in rows]
    await update_multiple(world.admin, first)  # as a run links its first row alone
    await update_multiple(world.admin, *others)
    counted = world.environment.counters.automation
    assert {automation.name for automation in judged} == set(counted.by_name)
    cost = estimate(judged, len(rows), rows_a_request=500)
    assert (cost.executions, cost.jobs) == (counted.step_executions, counted.async_jobs)


async def test_what_is_judged_to_stay_under_bypass_is_what_stays(world: Sandboxed) -> None:
    await fill(world)
    row = await create(world.admin, "contacts")
    judged = not_bypassed(find_fired(await found(world), COLUMN))
    world.environment.counters.reset()
    await update_multiple(world.admin, {"contactid": row, COLUMN: "x"}, **BYPASS)
    assert {automation.name for automation in judged} == set(world.environment.counters.automation.by_name) == {"bulk"}


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"customizationlevel": 0}, id="of the platform"),
        pytest.param({"stage": 30}, id="of the main operation"),
        pytest.param({"supporteddeployment": 1}, id="offline only"),
    ],
)
async def test_steps_that_say_nothing_about_this_table_are_left_out(world: Sandboxed, values: dict[str, int]) -> None:
    await add_step(world.admin, **values)
    assert await found(world) == ()


async def test_each_is_read_with_what_matters_about_it(world: Sandboxed) -> None:
    await add_step(
        world.admin, "UpdateMultiple", None, name="global", filteringattributes=" LastName,jobtitle ", mode=1
    )
    await add_workflow(world, "managed", triggeronupdateattributelist=COLUMN, ismanaged=True)
    step, workflow = await found(world)
    columns = ("lastname", "jobtitle")
    assert step == Automation("global", Kind.STEP, "UpdateMultiple", True, columns, every_table=True, id=step.id)
    assert workflow == Automation(
        "managed", Kind.WORKFLOW, asynchronous=True, columns=(COLUMN,), bypassable=False, id=workflow.id
    )
    assert step.id
    assert workflow.id
