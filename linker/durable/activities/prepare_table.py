"""Make a table ready: its lookup column, its mode, the rows whose link vanished, and the scan of its mapping."""

from __future__ import annotations

from dataclasses import dataclass, replace

from linker.adapters.dataverse import Dataverse, lookup_column, metadata
from linker.adapters.dataverse.patient_reads import Unread, ask_optional
from linker.core.capabilities import Capabilities, Capability, with_capabilities
from linker.core.errors import ChangedError, ConfigurationError, DataverseError, LinkerError, TransientError
from linker.core.linking.hash_blocks import name_salt
from linker.core.linking.mapping_scan import LOST_BLOCKS, RESTARTS, ScanChoice, TableState, choose_scan, mode_of
from linker.core.model import WIRE, ColumnState, Mode, RowKey, Run, Status, Target
from linker.core.runs.activity_values import Prepared, TableTask
from linker.deps import Deps
from linker.durable.attempt import mark_recreated
from linker.durable.boundary import check_may_continue
from linker.durable.isolation import explain_refusal
from linker.durable.staged import Opening, open_scan, scan_rules
from linker.services.full_reasons import mark_unconfirmed, reason_for_full

KEYS_HELD = 500_000  # keys held at once: 16 bytes each, and as much again while they are sorted into shards
WAYS_S = 86_400.0
MAX_REVISIT = 1_000  # rows that a delta scan looks up one by one; of more, not all are remembered (Issues)


@dataclass(frozen=True, slots=True)
class WaysToWrite:
    """What rarely changes about the lookup column `navigation` of a table, as it was read at a time (epoch s)."""

    __pydantic_config__ = WIRE
    at: float
    navigation: str
    bulk: bool
    partition_column: str


async def prepare_table(deps: Deps, task: TableTask) -> Prepared:
    """Prepare one table. What is expected to fail comes back as a value."""
    dataverse = deps.patient_dataverse()
    try:
        await check_may_continue(deps, task.run)
        return await _report_table(deps, task, dataverse)
    except TransientError as error:
        return Prepared(task.table, retry_s=error.wait_s, failed=str(error)[:500])
    except ChangedError:
        return Prepared(task.table, retry_s=1.0, failed="What is remembered of the table changed while it was read.")
    except DataverseError as error:
        await deps.documents.delete(_ways_row(task.table))  # the next try reads what was remembered
        return await _refuse_table(deps, dataverse, task, error)
    except ConfigurationError as error:
        await deps.documents.delete(_ways_row(task.table))
        return Prepared(task.table, failed=str(error)[:1000])


async def _refuse_table(deps: Deps, dataverse: Dataverse, task: TableTask, refusal: DataverseError) -> Prepared:
    try:
        found = await explain_refusal(deps, dataverse, await deps.runs.target(task.run, task.table), refusal)
    except LinkerError as error:  # of the look at metadata
        found = error
    wait_s = found.wait_s if isinstance(found, TransientError) else 0.0
    return Prepared(task.table, retry_s=wait_s, failed=str(found)[: 500 if wait_s else 1000])


async def _report_table(deps: Deps, task: TableTask, dataverse: Dataverse) -> Prepared:
    await deps.salt(again=True)
    target = await _target(deps, task, dataverse, await deps.capabilities())
    before, etag = await _state(deps, task)
    state = before
    why = "" if target.column_created else await reason_for_full(deps, dataverse, task, target, state)
    mode, reason = mode_of(task.mode, state, column_is_new=target.column_created, because=why)
    starts_again = target.column_created or why in RESTARTS
    begun = "" if starts_again else state.epoch
    epoch = begun or (task.run if mode.compares_all else "")
    state = replace(
        state,
        epoch=epoch,
        schema=task.schema if mode is Mode.FULL else state.schema or task.schema,
        names_profile=target.names_profile,
        secret=name_salt(await deps.salt()),
    )
    if not task.dry_run and state != before:
        await deps.states.save(task.table, state, etag)
    believes = begun or not mode.compares_all  # what an interrupted full run saved is believed as well
    if believes and not task.dry_run and task.table not in deps.settings.unlisted_tables:
        await mark_vanished(deps, dataverse, target, state)
    is_first = not (state.linked or begun or target.column_created)
    links_due = (
        mode.finds_orphans
        or task.clears_orphans
        or why == LOST_BLOCKS
        or (is_first and await dataverse.has_links(target))  # of which nothing is known
        or (state.linked and await _are_links_due(deps, dataverse, task, target, state))
    )
    choice, revisit = await _choice(deps, task, target, state, mode)
    ranges = (await deps.capabilities()).has(Capability.TEXT_RANGES)
    scan = await deps.staging.scan(task.table)
    if scan is None or scan.run != task.run or (choice.full and not scan.full):  # else a repeated delivery opened it
        seen = scan.id if scan else ""
        opening = Opening(task.run, target, choice, state, task.newest, task.newest_profile, revisit, ranges, seen)
        scan = await open_scan(deps, dataverse, opening)
    await _show(deps, task, target, mode, reason)
    return Prepared(task.table, scan.id, scan.streams, mode, epoch, links_due=links_due)


async def _are_links_due(deps: Deps, dataverse: Dataverse, task: TableTask, target: Target, state: TableState) -> bool:
    """Return whether all links are to be held against all profiles: once a day, and when new profiles cannot be found."""
    if deps.clock() - (state.orphans_at or state.scanned_at) >= deps.settings.orphan_hours * 3_600:
        return True
    return not task.dry_run and await mark_recreated(deps, dataverse, task.run, target, state)


async def _choice(
    deps: Deps, task: TableTask, target: Target, state: TableState, mode: Mode
) -> tuple[ScanChoice, list[str]]:
    """Return which mapping rows to read, and the rows (as hex) that earlier runs left open."""
    rules, now = scan_rules(deps), deps.clock()
    because = "an operator allowed this run to clear links" if task.allowed else ""
    has_filter = (await deps.capabilities()).has(Capability.MODIFIED_FILTER)
    newest = task.newest if has_filter else 0.0
    choice = choose_scan(state, mode, newest=newest, sources=target.sources, rules=rules, now=now, because=because)
    if choice.full:
        return choice, []
    revisit = await deps.issues.open_rows(task.table, MAX_REVISIT + 1)
    unconfirmed = sum(header.unconfirmed for header in (await deps.blocks.headers(task.table)).values())
    if len(revisit) + unconfirmed > MAX_REVISIT:
        return replace(choice, since=None, reason=f"more than {MAX_REVISIT:,} rows are open"), []
    return choice, [key.hex() for key in revisit]


async def _state(deps: Deps, task: TableTask) -> tuple[TableState, str | None]:
    """Return what is remembered of a table and its ETag. When that is lost, the blocks still name rows and their sizes."""
    found = await deps.states.load(task.table)
    if found is not None:
        return found
    sizes = await deps.blocks.sizes(task.table)
    return TableState(max(sizes), tuple(sizes)[1:]) if sizes else TableState(), None


async def _target(deps: Deps, task: TableTask, dataverse: Dataverse, can: Capabilities) -> Target:
    known = await deps.runs.target(task.run, task.table)
    found = await lookup_column.find(dataverse, task.table)
    created = found is None
    if found is None:
        table = (await metadata.find_tables(dataverse, task.table))[0]
        await lookup_column.plan(dataverse, table, deps.settings.solution)
        if not task.dry_run:
            found = await lookup_column.create(dataverse, table, deps.settings.solution, can.profile_kind)
            known = replace(known, column_created=True)
            await deps.runs.save_target(
                task.run, known
            )  # what follows may have to wait, and then finds the column there
    target = replace(
        with_capabilities(known, can),
        navigation=found or "",
        column_created=created or known.column_created,
        has_labels=await deps.has_labels(),
    )
    ways = await _ways_to_write(deps, dataverse, target)
    target = replace(target, bulk=ways.bulk, partition_column=ways.partition_column)
    await deps.runs.save_target(task.run, target)
    deps.cache.targets.pop((task.run, task.table), None)
    if target.column_created and not task.dry_run:
        await lookup_column.await_seen(dataverse, target)
    return target


async def _ways_to_write(deps: Deps, dataverse: Dataverse, target: Target) -> WaysToWrite:
    """Return how links of a table are written and read: read now, or by a run of the last day with the same column."""
    row, now = _ways_row(target.table), deps.clock()
    found = await deps.documents.load(WaysToWrite, row)
    if found is not None and found[0].navigation == target.navigation and 0 <= now - found[0].at < WAYS_S:
        return found[0]
    bulk = await ask_optional(dataverse, lambda alone: metadata.supports_update_multiple(alone, target.table))
    if isinstance(bulk, Unread):  # single updates work everywhere
        return WaysToWrite(now, target.navigation, bulk=False, partition_column=await _partition(dataverse, target))
    ways = WaysToWrite(now, target.navigation, bulk, await _partition(dataverse, target))
    if target.navigation and not target.column_created:
        await deps.documents.save(row, ways)
    return ways


async def _partition(dataverse: Dataverse, target: Target) -> str:
    if not target.navigation:
        return ""
    return await lookup_column.find_partition_column(dataverse, target, is_new=target.column_created)


def _ways_row(table: str) -> str:
    return f"ways-{table}"


async def mark_vanished(deps: Deps, dataverse: Dataverse, target: Target, state: TableState) -> int:
    """Mark rows unconfirmed that a block names and whose link is empty now; return how many.

    Nothing is remembered between runs.
    """
    marked = 0
    held: list[RowKey] = []
    async for keys in dataverse.keys_by_link(target, empty=True):
        held += keys
        if len(held) >= KEYS_HELD:
            marked += await mark_unconfirmed(deps, target.table, state, held)
            held = []
    return marked + await mark_unconfirmed(deps, target.table, state, held)


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
