"""How a run begins: it waits until mapping and profiles rest, gathers facts, and answers R1 to R6 for each table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from linker.adapters.dataverse import metadata
from linker.core.errors import ConfigurationError
from linker.core.model import Run, Status
from linker.core.permissions import write_permission
from linker.core.permissions.write_permission import Permission
from linker.core.runs.activity_values import RunRef, Settled, SettleTask, Survey
from linker.core.runs.lifecycle import OPEN
from linker.core.runs.signals import Awaited, SettleRules, next_wait
from linker.core.serialization import iso
from linker.deps import Deps
from linker.durable.boundary import max_wait_s
from linker.services import fact_gathering, write_permits
from linker.services.fact_gathering import Evidence
from linker.services.full_reasons import full_reason
from linker.services.preflight_checks import find_permitted_tables
from linker.services.run_requests import look_at_marks
from linker.services.service_account import AccountRights, naming_privileges, read_account_rights
from linker.settings import Settings

DRY_RUN_NOTE = "Dry run: nothing was written. It does not look for links that vanished since they were confirmed."


async def survey(deps: Deps, ref: RunRef) -> Survey:
    """Find the sources, answer R1-R6, say which tables may be written, and save all with the run. Writes nothing to Dataverse.

    Raises ConfigurationError when the service account lacks a privilege that every table needs.
    """
    dataverse = deps.patient_dataverse()
    asked = await deps.runs.load(ref.run)
    who = await read_account_rights(deps, dataverse)
    if who.obstacle:
        raise ConfigurationError(who.obstacle)
    with naming_privileges(who.account.name):
        seen = await fact_gathering.gather(deps, dataverse, who.held, asked.requested_tables if asked else ())
        permitted = await find_permitted_tables(deps, dataverse, who, seen)
    await fact_gathering.keep(deps, seen)
    if asked is None or not asked.dry_run:
        await write_permits.remember_held(deps, permitted)
        if obstacle := write_permission.obstacle(permitted.values()):
            raise ConfigurationError(obstacle)
    for table in seen.judgement.tables:
        if seen.columns is not None and table.run.table == table.table.logical_name:
            await deps.runs.create_target(ref.run, table.target(seen.columns.table))
    shown = await deps.runs.advance(ref.run, lambda run: _show_tables(run, seen, who, permitted))
    # Also those on which the run works already: a survey may be delivered again, or the run be started twice.
    names = tuple(table.table for table in shown.tables if table.status in OPEN)
    schema = await metadata.profile_schema(dataverse) if seen.columns is not None else ""
    status, settings = seen.judgement.status, deps.settings
    return Survey(names, status, await full_reason(deps, seen), schema, deps.limiter.report(), settings.touch_profiles)


def _show_tables(run: Run, seen: Evidence, who: AccountRights, permitted: Mapping[str, Permission]) -> Run:
    found = seen.judgement
    tables = [
        write_permission.apply_permission(t.run, permitted.get(t.run.table), dry_run=run.dry_run) for t in found.tables
    ]
    warnings = (
        *found.warnings,
        *who.warnings,
        *(warning for one in permitted.values() for warning in one.all_warnings),
    )
    notes = (
        *seen.notes,
        *found.notes,
        *(note for one in permitted.values() for note in one.notes),
    )
    return replace(
        run,
        service_account=who.account.name,
        tables=tuple(tables),
        findings=found.findings,
        notes=(*notes, DRY_RUN_NOTE) if run.dry_run else notes,
        warnings=tuple(dict.fromkeys((*run.warnings, *warnings))),  # a survey may be repeated
        status_detail=found.detail,
    )


async def settle(deps: Deps, task: SettleTask) -> Settled:
    """Say whether mapping and profiles rest, or how long to wait before the next look (less than half a lease)."""
    run = task.run
    renewal = await deps.lock.renew(run)
    if not renewal.held or renewal.cancel:
        return Settled(stop=True)
    last = (await deps.runs.task()).marks
    with naming_privileges("of this app"):
        look = await look_at_marks(deps, last)
    awaited = Awaited(task.for_job, task.job_start, last)
    wait = next_wait(look, awaited, _rules(deps.settings), now=deps.clock(), waited_s=task.waited_s)
    if not wait.seconds:
        began = iso(deps.clock())
        await deps.runs.advance(run, lambda old: _begin(old, began))
        return Settled(marks=look.marks)
    await deps.runs.advance(run, lambda old: replace(old, status=Status.QUEUED, status_detail=wait.detail))
    return Settled(wait_s=min(wait.seconds, max_wait_s(deps)), detail=wait.detail)


def _begin(run: Run, now: str) -> Run:
    return replace(run, status=Status.REFRESHING, status_detail="", started_at=run.started_at or now)


def _rules(settings: Settings) -> SettleRules:
    minutes = (settings.settle_minutes, settings.arrival_minutes, settings.settle_most_minutes)
    return SettleRules(*(minute * 60 for minute in minutes))
