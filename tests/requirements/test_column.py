"""The lookup column on the first run: created once, awaited, shown (docs/requirements.md, docs/reference/dataverse.md 8)."""

import asyncio
from dataclasses import replace

import httpx

from linker.core.model import Mode, Run, Status
from linker.core.runs.activity_values import Prepared, RunRef, TableTask
from linker.deps import Deps
from linker.durable.activities.discover_tables import survey
from linker.durable.activities.prepare_table import prepare_table
from sandbox.server.app import Sandbox
from sandbox.switches.config import SandboxConfig
from tests.fakes.requests import COLUMN
from tests.requirements.made import Made, running
from tests.requirements.situations import solution


async def prepared(deps: Deps, run: str = "run", *, dry_run: bool = False) -> Prepared:
    """Begin a run, as far as its contacts are ready to be linked."""
    await deps.runs.create(Run(run, Mode.INCREMENTAL, Status.REFRESHING, dry_run=dry_run))
    await survey(deps, RunRef(run))
    return await prepare_table(deps, TableTask(run, "contact", Mode.INCREMENTAL, dry_run))


async def shown(deps: Deps, run: str = "run") -> str:
    found = await deps.runs.load(run)
    assert found is not None
    return next(table.column for table in found.tables if table.table == "contact")


def has_column(sandbox: Sandbox) -> bool:
    return COLUMN in sandbox.environment.database.schema.tables["contact"].columns


async def test_a_dry_run_says_would_be_created_then_a_run_creates_it_and_the_next_finds_it() -> None:
    with running(Made()) as (deps, sandbox, _):
        assert (await prepared(deps, "dry", dry_run=True)).failed == ""
        assert (await shown(deps, "dry"), has_column(sandbox)) == ("would be created", False)
        assert (await prepared(deps, "first")).failed == ""
        assert (await shown(deps, "first"), has_column(sandbox)) == ("created", True)
        assert (await prepared(deps, "second")).failed == ""
        assert await shown(deps, "second") == "exists"


async def test_it_is_put_into_the_solution_of_the_setting() -> None:
    made = Made(settings={"solution": "links"}, after=solution("links", managed=False))
    with running(made) as (deps, _, __):
        sent: list[httpx.Request] = []

        async def keep(request: httpx.Request) -> None:
            sent.append(request)

        deps.connection.client.event_hooks = {"request": [keep]}
        assert (await prepared(deps)).failed == ""
        creations = [request for request in sent if request.url.path.endswith("RelationshipDefinitions")]
        assert [request.headers["MSCRM.SolutionUniqueName"] for request in creations] == ["links"]


async def test_while_a_user_customises_the_run_waits_and_then_creates_the_column() -> None:
    with running(Made(switches={"customizing": True})) as (deps, sandbox, _):
        waits = await prepared(deps)
        assert (waits.retry_s, has_column(sandbox)) == (15.0, False)
        assert waits.failed.startswith(
            "The lookup column of table 'contact' could not be created yet; no row was written."
        )
        assert "Cannot start another" in waits.failed
        sandbox.environment.configure(SandboxConfig())
        assert (await prepared(deps)).failed == ""
        assert await shown(deps) == "created"


async def test_until_the_servers_know_the_column_the_run_waits_and_still_knows_that_it_is_new() -> None:
    with running(Made(switches={"metadata_lag_s": 3_600})) as (deps, sandbox, _):
        waits = await prepared(deps)
        assert (waits.retry_s, has_column(sandbox)) == (10.0, True)
        assert "is new, and not all servers of Dataverse know it yet" in waits.failed
        sandbox.environment.configure(SandboxConfig())
        task = TableTask("run", "contact", Mode.INCREMENTAL)
        assert (await prepare_table(deps, task)).failed == ""
        assert (await deps.runs.target("run", "contact")).column_created
        assert await shown(deps) == "created"


async def test_of_two_that_create_it_at_once_one_waits_and_finds_the_column_of_the_other() -> None:
    with running(Made()) as (deps, sandbox, _):
        other = replace(deps, cache=type(deps.cache)())
        begun = await asyncio.gather(prepared(deps, "first"), prepared(other, "second"))
        waits = [one.retry_s > 0 for one in begun]  # for the column, or for what the other one saved
        assert sorted(waits) == [False, True]
        again = [await prepared(one, run) for one, run in ((deps, "first"), (other, "second"))]
        assert [one.failed for one in again] == ["", ""]
        made = [r for r in sandbox.environment.database.schema.lookups("contact") if r.referencing_attribute == COLUMN]
        assert len(made) == 1
