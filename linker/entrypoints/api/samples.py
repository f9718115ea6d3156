"""What a dry run would change, by example."""

from __future__ import annotations

from itertools import chain

from linker.core.model import PlannedChange, Run, TableRun
from linker.core.serialization import to_json
from linker.deps import Deps
from linker.entrypoints.api.answers import SampleList
from linker.entrypoints.api.runs import found_run
from linker.entrypoints.http.messages import Reply
from linker.entrypoints.http.operations import Call, operation

MAX_SAMPLES = 20  # of one table


@operation("GET", "/runs/{run}/samples", answer=SampleList, refusals=(404,))
async def get_samples(call: Call) -> Reply:
    """List rows that a dry run would change, some of each table; a real run has none."""
    return Reply(200, to_json(SampleList(await samples_of(call.deps, await found_run(call)))))


async def samples_of(deps: Deps, run: Run) -> tuple[PlannedChange, ...]:
    """Return rows that a dry run would change, some of each table."""
    return tuple(chain.from_iterable([await _of_table(deps, run.id, table) for table in run.tables]))


async def _of_table(deps: Deps, run: str, table: TableRun) -> list[PlannedChange]:
    found: list[PlannedChange] = []
    async for change in deps.samples.of_run(run, table.table):
        if change.change == "unlink" and not table.counts.unlinked:
            continue  # pages do not know that the whole table is held back
        found.append(change)
        if len(found) == MAX_SAMPLES:
            break
    return found
