"""Looks at everything that a run would meet, and writes nothing; and at what an approval of a first link would allow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from linker.adapters.dataverse import Dataverse, lookup_column, metadata
from linker.core.capabilities import Capabilities, with_capabilities
from linker.core.errors import ConfigurationError, DataverseError
from linker.core.linking.mapping_scan import TableState, mode_of
from linker.core.model import Mode, Status
from linker.core.odata import MappingColumns
from linker.core.permissions import write_permission
from linker.core.permissions.preflight_report import Picture, Severity, TablePicture, entitlement, severity
from linker.core.permissions.write_permission import Permission, Refusal
from linker.core.requirements.table_eligibility import JudgedTable
from linker.core.runs.activity_values import TableTask
from linker.deps import Deps
from linker.services import fact_gathering, write_permits
from linker.services.fact_gathering import Evidence
from linker.services.full_reasons import full_reason, reason_for_full
from linker.services.service_account import AccountRights, PrivilegeError, naming_privileges, read_account_rights


async def look(deps: Deps) -> Picture:
    """Return the whole picture. Raises TransientError; DataverseError when Dataverse refuses for no missing privilege."""
    dataverse = deps.patient_dataverse()
    who = await read_account_rights(deps, dataverse)
    if who.obstacle:
        return _unable(deps, who)
    try:
        with naming_privileges(who.account.name):
            return await _look(deps, dataverse, who)
    except PrivilegeError as error:
        return _unable(deps, replace(who, missing=(*who.missing, error.missing)))


@dataclass(frozen=True, slots=True)
class _NextRun:
    """What all tables of the next run share: the mapping's columns, what the tables can do, and a reason for a full run."""

    columns: MappingColumns
    can: Capabilities
    because: str
    schema: str


async def _look(deps: Deps, dataverse: Dataverse, who: AccountRights) -> Picture:
    seen = await fact_gathering.gather(deps, dataverse, who.held)
    if seen.columns is None:
        return _picture(deps, who, seen, (), (), None)
    can = await deps.probe_capabilities(await fact_gathering.find_linked_columns(deps, seen))
    permitted = await write_permits.permissions(deps, dataverse, who, seen.judgement.linked, seen.columns, can)
    because, schema = await full_reason(deps, seen), await metadata.profile_schema(dataverse)
    next_run = _NextRun(seen.columns, can, because, schema)
    tables = [
        await _table(deps, dataverse, table, permitted[table.table.logical_name], next_run)
        if table.run.status is Status.QUEUED
        else _skip_table(table)
        for table in seen.judgement.tables
    ]
    return _picture(deps, who, seen, tuple(tables), tuple(permitted.values()), can)


def _unable(deps: Deps, who: AccountRights) -> Picture:
    return Picture(
        deps.settings.dataverse_url,
        Severity.BLOCKED,
        detail=who.obstacle,
        service_account=who.account.name,
        missing=who.missing,
    )


def _picture(
    deps: Deps,
    who: AccountRights,
    seen: Evidence,
    tables: tuple[TablePicture, ...],
    permitted: tuple[Permission, ...],
    can: Capabilities | None,
) -> Picture:
    judged, refused = seen.judgement, {one.table for one in permitted if one.refusal}
    warnings = (
        *judged.warnings,
        *who.warnings,
        *(table.detail for table in tables if table.outcome == "refused" and table.table not in refused),
        *(warning for one in permitted for warning in one.all_warnings),
    )
    told, detail = tuple(dict.fromkeys(warnings)), judged.detail or write_permission.obstacle(permitted)
    return Picture(
        deps.settings.dataverse_url,
        severity(detail, tables, told),
        detail=detail,
        service_account=who.account.name,
        customer_insights=seen.environment.insights,
        findings=judged.findings,
        capabilities=can,
        tables=tables,
        tables_checked=True,
        missing=who.missing,
        entitlement=entitlement(tables, touches=deps.settings.touch_profiles),
        warnings=told,
        notes=(
            *seen.notes,
            *judged.notes,
            *_find_unused(seen),
            *(note for one in permitted for note in one.notes),
        ),
    )


def _find_unused(seen: Evidence) -> tuple[str, ...]:
    unused = [f"'{source.table}' of '{source.data_source}'" for source in fact_gathering.not_in_mapping(seen)]
    return (f"Known to Customer Insights, but the mapping names no row: {', '.join(unused)}.",) if unused else ()


def _skip_table(judged: JudgedTable) -> TablePicture:
    run = judged.run
    return TablePicture(run.table, "skipped", run.detail, judged.sources, run.findings)


async def _table(
    deps: Deps,
    dataverse: Dataverse,
    judged: JudgedTable,
    permitted: Permission,
    next_run: _NextRun,
) -> TablePicture:
    """Return one table that may be linked."""
    seen = _skip_table(judged)
    if permitted.refusal is Refusal.UNFIT:
        return replace(seen, outcome="refused", detail=permitted.detail)
    try:
        state, (mode, why) = await _preparation(deps, dataverse, judged, next_run)
    except (ConfigurationError, DataverseError) as error:
        return replace(seen, outcome="refused", detail=str(error))
    return replace(
        seen,
        outcome=_outcome(permitted),
        detail=permitted.detail or seen.detail,
        column=state,
        mode=mode,
        mode_reason=why,
        rows=permitted.estimate.rows if permitted.estimate else 0,
        automations=permitted.automations,
        estimate=permitted.estimate,
        missing=permitted.missing,
    )


async def _preparation(
    deps: Deps, dataverse: Dataverse, judged: JudgedTable, next_run: _NextRun
) -> tuple[Literal["exists", "would be created"], tuple[Mode, str]]:
    """Return what preparing a table would come to: its column, its mode and why."""
    found = await lookup_column.find_or_plan(dataverse, judged.table, deps.settings.solution)
    name = judged.table.logical_name
    stored = await deps.states.load(name)
    state = stored[0] if stored else TableState()
    because = next_run.because
    target = with_capabilities(judged.target(next_run.columns.table), next_run.can)
    task = TableTask("", name, Mode.INCREMENTAL, dry_run=True, full_reason=because, schema=next_run.schema)
    reason = await reason_for_full(deps, dataverse, task, target, state) if found else because
    mode = mode_of(Mode.INCREMENTAL, state, column_is_new=found is None, because=reason)
    return "exists" if found else "would be created", mode


def _outcome(permitted: Permission) -> Literal["held", "refused", "ready"]:
    if permitted.refusal is Refusal.HELD:
        return "held"
    return "refused" if permitted.refusal else "ready"


async def hold(deps: Deps, table: str) -> None:
    """Remember what an approval of a table's first link would allow, as a run does that finds it held."""
    dataverse = deps.patient_dataverse()
    who = await read_account_rights(deps, dataverse)
    if who.obstacle:
        raise ConfigurationError(who.obstacle)
    seen = await fact_gathering.gather(deps, dataverse, who.held, (table,))
    await write_permits.remember_held(deps, await find_permitted_tables(deps, dataverse, who, seen))


async def find_permitted_tables(
    deps: Deps, dataverse: Dataverse, who: AccountRights, seen: Evidence
) -> dict[str, Permission]:
    """Look at the tables that the run would link, unless it ends here."""
    if seen.columns is None or seen.judgement.status is not None:
        return {}
    can = await deps.check_capabilities(await fact_gathering.find_linked_columns(deps, seen))
    return await write_permits.permissions(
        deps, dataverse, who, seen.judgement.linked, seen.columns, can, remembers=True
    )
