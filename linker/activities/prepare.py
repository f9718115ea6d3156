"""Make a table ready: its lookup column, its pages, its mode, and the rows whose link vanished (decisions 6, 7, 11, 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from linker.activities.life import go_on
from linker.activities.planning import new_plan
from linker.activities.strays import KEYS_HELD, by_page
from linker.activities.values import Prepared, TableTask
from linker.blocks import UNCONFIRMED, confirmed, unconfirm
from linker.dataverse import Dataverse, column, metadata
from linker.deps import Deps
from linker.errors import ChangedError, ConfigurationError, DataverseError, TransientError
from linker.model import LOOKUP_SCHEMA_NAME, ColumnState, Mode, RowKey, Run, Status, Target
from linker.pages import Plan
from linker.state import StoredBlock, TablePlan

MARK_TRIES = 20


async def prepare_table(deps: Deps, task: TableTask) -> Prepared:
    """Prepare one table. What is expected to fail comes back as a value."""
    dataverse = deps.dataverse()
    try:
        await go_on(deps, task.run)
        target = await _target(deps, task, dataverse)
        stored, etag = await _plan(deps, task, dataverse, target)
        because = reason_for_full(stored, task.schema, task.full_reason)
        mode, reason = mode_of(task.mode, stored, column_is_new=target.column_created, because=because)
        begun = "" if target.column_created or because_of_schema(stored, task.schema) else stored.epoch
        epoch = begun or (task.run if mode is not Mode.INCREMENTAL else "")
        schema = task.schema if mode is Mode.FULL else stored.schema or task.schema
        if not task.dry_run and (stored.epoch, stored.schema) != (epoch, schema):
            await deps.plans.save(task.table, replace(stored, epoch=epoch, schema=schema), etag)
        believes = mode is Mode.INCREMENTAL or begun  # what an interrupted full run saved is believed as well
        if believes and not task.dry_run and task.table not in deps.settings.unlisted_tables:
            await mark_vanished(deps, dataverse, target, stored.plan)
        await _show(deps, task, target, mode, reason)
    except TransientError as error:
        return Prepared(task.table, retry_s=error.wait_s, failed=str(error)[:500])
    except ChangedError:
        return Prepared(task.table, retry_s=1.0, failed="The table's plan changed while it was read.")
    except (ConfigurationError, DataverseError) as error:
        return Prepared(task.table, failed=str(error)[:1000])
    return Prepared(task.table, stored.plan.version, stored.plan.pages, mode, epoch)


def mode_of(asked: Mode, stored: TablePlan, *, column_is_new: bool = False, because: str = "") -> tuple[Mode, str]:
    """Return the mode for a table, and why. `because` is the run's own reason for a full run (decision 12).

    A full run that was interrupted goes on, whatever was asked for.
    """
    if not stored.linked:
        return Mode.FULL, "first run on this table" if not stored.epoch else "the first run was interrupted and goes on"
    if column_is_new:
        return Mode.FULL, "the lookup column was missing and is new"
    if stored.epoch:
        return Mode.FULL, "a full run was interrupted and goes on"
    if because:
        return Mode.FULL, because
    return asked, "only rows that changed" if asked is Mode.INCREMENTAL else "asked for"


def reason_for_full(stored: TablePlan, schema: str, because: str) -> str:
    """Return why a table has to be looked at as a whole, empty when it has not. `because` holds for all tables."""
    return because_of_schema(stored, schema) or because


def because_of_schema(stored: TablePlan, schema: str) -> str:
    """Return the reason if the schema of profiles is another one than the last full run began with, else nothing."""
    changed = stored.schema and schema and stored.schema != schema
    return "the schema of the profile table changed" if changed else ""


async def _target(deps: Deps, task: TableTask, dataverse: Dataverse) -> Target:
    known = await deps.runs.target(task.run, task.table)
    table = (await metadata.find_tables(dataverse, task.table))[0]
    found = await column.find_or_plan(dataverse, table, deps.settings.solution)
    created = found is None
    if found is None and not task.dry_run:
        found = await column.create(dataverse, table, deps.settings.solution)
    target = replace(
        known,
        navigation=found.navigation if found else "",
        column_created=created or known.column_created,
        bulk=await metadata.supports_update_multiple(dataverse, task.table),
    )
    await deps.runs.save_target(task.run, target)
    deps.cache.targets.pop((task.run, task.table), None)
    if target.column_created and not task.dry_run:
        await column.await_seen(dataverse, table)
    return target


async def _plan(deps: Deps, task: TableTask, dataverse: Dataverse, target: Target) -> tuple[TablePlan, str | None]:
    found = await deps.plans.load(task.table)
    if found is not None:
        return found
    plan = await new_plan(dataverse, target, version=task.run[-8:])
    stored = TablePlan(plan)
    return stored, await deps.plans.save(task.table, stored, None)


async def mark_vanished(deps: Deps, dataverse: Dataverse, target: Target, plan: Plan) -> int:
    """Unconfirm rows that a block names and whose link is empty now; return how many. Remembers nothing between runs."""
    marked = 0
    held: list[RowKey] = []
    async for keys in dataverse.keys_by_link(target, LOOKUP_SCHEMA_NAME, empty=True):
        held += keys
        if len(held) >= KEYS_HELD:
            marked += await _mark(deps, target.table, plan, held)
            held = []
    return marked + await _mark(deps, target.table, plan, held)


async def _mark(deps: Deps, table: str, plan: Plan, keys: Sequence[RowKey]) -> int:
    pages = {plan.name(page): here for page, here in by_page(plan, keys).items()}
    pages |= {page: set(keys) for page in await deps.strays.names(table)}
    return sum([await _mark_page(deps, table, page, here) for page, here in pages.items()])


async def _mark_page(deps: Deps, table: str, page: str, keys: set[RowKey]) -> int:
    for _ in range(MARK_TRIES):
        stored = await deps.blocks.load(table, page)
        entries = stored.block.entries
        believed = {key for key in keys if confirmed(entries.get(key, (UNCONFIRMED,)))}
        if not believed:
            return 0
        marked = {key: unconfirm(hashes) if key in believed else hashes for key, hashes in entries.items()}
        try:
            await deps.blocks.save(table, page, StoredBlock(stored.block.holding(marked), stored.etag))
        except ChangedError:
            continue
        return len(believed)
    raise TransientError(f"A page of '{table}' changes all the time; its vanished links could not be marked.")


async def _show(deps: Deps, task: TableTask, target: Target, mode: Mode, reason: str) -> None:
    def change(old: Run) -> Run:
        tables = tuple(
            replace(t, status=Status.REFRESHING, mode=mode, mode_reason=reason, column=_column(task, target))
            if t.table == task.table
            else t
            for t in old.tables
        )
        strongest = max((t.mode for t in tables if t.mode), key=lambda m: m.strength, default=mode)
        reasons = dict.fromkeys(f"{t.table}: {t.mode_reason}" for t in tables if t.mode is strongest)
        return replace(old, tables=tables, mode=strongest, mode_reason="; ".join(reasons))

    await deps.runs.advance(task.run, change)


def _column(task: TableTask, target: Target) -> ColumnState:
    if not target.column_created:
        return "exists"
    return "would be created" if task.dry_run else "created"
