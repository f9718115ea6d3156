"""Which tables a run links: facts are gathered, R1-R6 answered, and both saved with the run (design decisions 5 and 24)."""

from __future__ import annotations

from dataclasses import replace

from linker import evidence
from linker.activities.values import RunRef, Survey
from linker.dataverse import metadata
from linker.deps import Deps
from linker.evidence import Evidence
from linker.model import Run

DRY_RUN_NOTE = "Dry run: nothing was written. It does not look for links that vanished since they were confirmed."


async def survey(deps: Deps, ref: RunRef) -> Survey:
    """Find the sources, answer R1-R6, and save both with the run. Writes nothing to Dataverse."""
    dataverse = deps.dataverse()
    asked = await deps.runs.load(ref.run)
    account = await metadata.service_account(dataverse)
    seen = await evidence.gather(deps, dataverse, asked.requested_tables if asked else ())
    for table in seen.judgement.tables:
        if seen.columns is not None and table.run.table == table.table.logical_name:
            await deps.runs.save_target(ref.run, table.target(seen.columns.table))
    await deps.runs.advance(ref.run, lambda run: _shown(run, seen, account.name))
    names = tuple(table.run.table for table in seen.judgement.linked)
    schema = await metadata.profile_schema(dataverse) if seen.columns is not None else ""
    status, settings = seen.judgement.status, deps.settings
    return Survey(names, status, await full_reason(deps, seen), schema, settings.width, settings.touch_profiles)


def _shown(run: Run, seen: Evidence, account: str) -> Run:
    found = seen.judgement
    warnings = (*((seen.insight.fault,) if seen.insight.fault else ()), *found.warnings)
    return replace(
        run,
        service_account=account,
        tables=tuple(table.run for table in found.tables),
        findings=found.findings,
        notes=(*found.notes, DRY_RUN_NOTE) if run.dry_run else found.notes,
        warnings=tuple(dict.fromkeys((*run.warnings, *warnings))),  # a survey may be repeated
        status_detail=found.detail,
    )


async def full_reason(deps: Deps, seen: Evidence) -> str:
    """Why the run has to be full, as far as Customer Insights tells; without it nothing is known and nothing follows."""
    if deps.insights is None or seen.insight.fault or await deps.insights.last_unification() is not None:
        return ""
    return "Customer Insights knows of no successful merge"
