"""Which tables a run links: facts are gathered, R1-R6 answered, and both saved with the run (design decisions 5 and 24)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from linker import evidence, permission
from linker.activities import permits
from linker.activities.permits import Standing
from linker.activities.values import RunRef, Survey
from linker.dataverse import Dataverse, metadata
from linker.deps import Deps
from linker.errors import ConfigurationError
from linker.evidence import Evidence
from linker.model import Run, Status
from linker.permission import Permission

DRY_RUN_NOTE = "Dry run: nothing was written. It does not look for links that vanished since they were confirmed."


async def survey(deps: Deps, ref: RunRef) -> Survey:
    """Find the sources, answer R1-R6, say which tables may be written, and save all with the run. Writes nothing to Dataverse.

    Raises ConfigurationError when the service account lacks a privilege that every table needs.
    """
    dataverse = deps.patient_dataverse()
    asked = await deps.runs.load(ref.run)
    who = await permits.standing(deps, dataverse)
    if who.obstacle:
        raise ConfigurationError(who.obstacle)
    with permits.naming(who.account.name):
        seen = await evidence.gather(deps, dataverse, who.held, asked.requested_tables if asked else ())
        permitted = await _permitted(deps, dataverse, who, seen)
    await evidence.keep(deps, seen.insight)
    if asked is None or not asked.dry_run:
        await permits.remember_held(deps, permitted)
        if obstacle := permission.obstacle(permitted.values()):
            raise ConfigurationError(obstacle)
    for table in seen.judgement.tables:
        if seen.columns is not None and table.run.table == table.table.logical_name:
            await deps.runs.save_target(ref.run, table.target(seen.columns.table))
    shown = await deps.runs.advance(ref.run, lambda run: _shown(run, seen, who, permitted))
    names = tuple(table.table for table in shown.tables if table.status is Status.QUEUED)
    schema = await metadata.profile_schema(dataverse) if seen.columns is not None else ""
    status, settings = seen.judgement.status, deps.settings
    return Survey(names, status, await full_reason(deps, seen), schema, deps.limiter.report(), settings.touch_profiles)


async def hold(deps: Deps, table: str) -> None:
    """Remember what an approval of a table's first link would allow, as a run does that finds it held."""
    dataverse = deps.patient_dataverse()
    who = await permits.standing(deps, dataverse)
    if who.obstacle:
        raise ConfigurationError(who.obstacle)
    seen = await evidence.gather(deps, dataverse, who.held, (table,))
    await permits.remember_held(deps, await _permitted(deps, dataverse, who, seen))


async def _permitted(deps: Deps, dataverse: Dataverse, who: Standing, seen: Evidence) -> dict[str, Permission]:
    """Look at the tables that the run would link, unless it ends here."""
    if seen.columns is None or seen.judgement.status is not None:
        return {}
    can = await deps.check_capabilities(await evidence.linked_columns(deps, seen))
    return await permits.permissions(deps, dataverse, who, seen.judgement.linked, seen.columns, can, remembers=True)


def _shown(run: Run, seen: Evidence, who: Standing, permitted: Mapping[str, Permission]) -> Run:
    found = seen.judgement
    tables = [permission.applied(t.run, permitted.get(t.run.table), dry_run=run.dry_run) for t in found.tables]
    warnings = (
        *found.warnings,
        *who.warnings,
        *(warning for one in permitted.values() for warning in one.all_warnings),
    )
    notes = (*evidence.unanswered(seen), *found.notes, *(note for one in permitted.values() for note in one.notes))
    return replace(
        run,
        service_account=who.account.name,
        tables=tuple(tables),
        findings=found.findings,
        notes=(*notes, DRY_RUN_NOTE) if run.dry_run else notes,
        warnings=tuple(dict.fromkeys((*run.warnings, *warnings))),  # a survey may be repeated
        status_detail=found.detail,
    )


async def full_reason(deps: Deps, seen: Evidence) -> str:
    """Why the run has to be full, as far as Customer Insights says; without an answer nothing follows."""
    if deps.insights is None or seen.insight.fault or await deps.insights.has_never_unified() is not True:
        return ""
    return "Customer Insights knows of no successful merge"
