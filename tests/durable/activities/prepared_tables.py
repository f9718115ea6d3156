"""Tables that are prepared for a run."""

from linker.core.model import Mode, Run, Status, TableRun, Target
from linker.core.runs.activity_values import Prepared, TableTask
from linker.durable.activities.prepare_table import prepare_table
from tests.fakes.world import CRM, World


async def surveyed(world: World, run: str) -> None:
    """Leave the state that survey leaves."""
    table = TableRun("contact", "crm", Status.QUEUED)
    await world.deps.runs.create(Run(run, Mode.INCREMENTAL, Status.REFRESHING, tables=(table,)))
    await world.deps.runs.save_target(run, Target("contact", "contacts", "contactid", "", sources=(CRM,)))


async def prepared(world: World, run: str = "run1", *, survey: bool = True, **values: object) -> Prepared:
    if survey:
        await surveyed(world, run)
    return await prepare_table(world.deps, TableTask(run, "contact", **{"mode": Mode.INCREMENTAL, **values}))  # type: ignore[arg-type]
