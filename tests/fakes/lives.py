"""Runs at the beginning of their life: requested, queued, begun."""

from dataclasses import replace

from linker.core.model import Counts, Run, RunRequest, Status, TableRun
from linker.core.runs.activity_values import Totals
from linker.durable.activities import run_lifecycle
from linker.services import run_requests
from tests.fakes.client import Starter
from tests.fakes.world import World

ALL = RunRequest()


async def queued(world: World, start: Starter, request: RunRequest = ALL) -> str:
    """A run that holds the lock and waits until mapping and profiles rest."""
    run = (await run_requests.request_run(world.deps, request, start)).id
    await run_lifecycle.begin_run(world.deps, start.started[-1])
    return run


async def begun(world: World, start: Starter, request: RunRequest = ALL, *tables: TableRun) -> str:
    """A run that holds the lock and is refreshing."""
    run = await queued(world, start, request)
    await world.deps.runs.advance(run, lambda old: replace(old, status=Status.REFRESHING, tables=tables))
    return run


async def loaded(world: World, run: str) -> Run:
    found = await world.deps.runs.load(run)
    assert found is not None
    return found


CONTACT = TableRun("contact", "crm", Status.REFRESHING)


GOOD = Totals(Counts(rows_read=3, linked=3), pages=1)
