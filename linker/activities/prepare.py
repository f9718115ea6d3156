"""Make a table ready: its lookup column, its mode, the rows whose link vanished, and the scan of its mapping."""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b

from linker.activities.life import go_on
from linker.activities.marking import mark_unconfirmed
from linker.activities.recreated import mark_recreated
from linker.activities.restored import find_deviations
from linker.activities.scanning import Opening, open_scan, scan_rules
from linker.activities.values import Prepared, TableTask
from linker.core.capabilities import Capabilities, Capability
from linker.core.scanning import ScanChoice, TableState, choose_scan
from linker.core.shards import Shard
from linker.dataverse import Dataverse, column, metadata
from linker.deps import Deps
from linker.errors import ChangedError, ConfigurationError, DataverseError, TransientError
from linker.model import LOOKUP_SCHEMA_NAME, ColumnState, Mode, RowKey, Run, Status, Target

KEYS_HELD = 500_000  # keys held at once: 16 bytes each, and as much again while they are sorted into shards
MAX_REVISIT = 1_000  # rows that a delta scan looks up one by one; of more, not all are remembered (Issues)


async def prepare_table(deps: Deps, task: TableTask) -> Prepared:
    """Prepare one table. What is expected to fail comes back as a value."""
    dataverse = deps.dataverse()
    try:
        await go_on(deps, task.run)
        return await _prepared(deps, task, dataverse)
    except TransientError as error:
        return Prepared(task.table, retry_s=error.wait_s, failed=str(error)[:500])
    except ChangedError:
        return Prepared(task.table, retry_s=1.0, failed="What is remembered of the table changed while it was read.")
    except (ConfigurationError, DataverseError) as error:
        return Prepared(task.table, failed=str(error)[:1000])


async def _prepared(deps: Deps, task: TableTask, dataverse: Dataverse) -> Prepared:
    target = await _target(deps, task, dataverse, await deps.capabilities())
    before, etag = await _state(deps, task)
    state = before
    why = "" if target.column_created else await reason_for_full(deps, dataverse, task, target, state)
    mode, reason = mode_of(task.mode, state, column_is_new=target.column_created, because=why)
    starts_again = target.column_created or why in _RESTARTS
    begun = "" if starts_again else state.epoch
    epoch = begun or (task.run if mode is not Mode.INCREMENTAL else "")
    state = replace(
        state,
        epoch=epoch,
        schema=task.schema if mode is Mode.FULL else state.schema or task.schema,
        names_profile=target.names_profile,
        secret=_fingerprint(await deps.salt()),
    )
    if not task.dry_run and state != before:
        await deps.states.save(task.table, state, etag)
    believes = mode is Mode.INCREMENTAL or begun  # what an interrupted full run saved is believed as well
    if believes and not task.dry_run and task.table not in deps.settings.unlisted_tables:
        await mark_vanished(deps, dataverse, target, state)
    links_due = (
        mode is Mode.VERIFY
        or task.clears_orphans
        or (state.linked and await _are_links_due(deps, dataverse, task, target, state))
    )
    choice, revisit = await _choice(deps, task, target, state, mode)
    ranges = (await deps.capabilities()).has(Capability.TEXT_RANGES)
    scan = await deps.staging.scan(task.table)
    if scan is None or scan.run != task.run or (choice.full and not scan.full):  # else a repeated delivery opened it
        opening = Opening(task.run, target, choice, state, task.newest, task.newest_profile, revisit, ranges)
        scan = await open_scan(deps, dataverse, opening)
    await _show(deps, task, target, mode, reason)
    return Prepared(task.table, scan.id, scan.streams, mode, epoch, links_due=links_due)


async def _are_links_due(deps: Deps, dataverse: Dataverse, task: TableTask, target: Target, state: TableState) -> bool:
    """Return whether all links are to be held against all profiles: once a day, and when new profiles cannot be told."""
    if deps.clock() - (state.orphans_at or state.scanned_at) >= deps.settings.orphan_hours * 3_600:
        return True
    return not task.dry_run and await mark_recreated(deps, dataverse, target, state)


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


# Reasons after which nothing that an interrupted full run saved may be believed.
OTHER_SCHEMA = "the schema of the profile table changed"
OTHER_HASHES = "the stored row hashes were made with another secret"
OTHER_WISHES = "the mapping names profiles in another way now"
LOST_BLOCKS = "what was known of some rows is lost"
VERSION_1 = "the stored state is of version 1"
WENT_BACK = "the mapping is older than at the last run: the environment was restored or copied"
_RESTARTS = frozenset({OTHER_SCHEMA, OTHER_HASHES, OTHER_WISHES, LOST_BLOCKS, VERSION_1, WENT_BACK})


async def reason_for_full(deps: Deps, dataverse: Dataverse, task: TableTask, target: Target, state: TableState) -> str:
    """Return why every row has to be compared with its live link, empty when nothing asks for it."""
    if not (state.linked or state.epoch):
        return VERSION_1 if await deps.states.is_of_version_1(task.table) else task.full_reason
    reasons = (
        (because_of_schema(state, task.schema), OTHER_SCHEMA),
        (bool(state.secret) and state.secret != _fingerprint(await deps.salt()), OTHER_HASHES),
        (state.names_profile != target.names_profile, OTHER_WISHES),
        (0 < task.newest < state.watermark, WENT_BACK),
        (state.linked and await _blocks_are_lost(deps, state, task.table), LOST_BLOCKS),
    )
    if reason := next((text for true, text in reasons if true), ""):
        return reason
    if state.linked and task.mode is Mode.INCREMENTAL and not task.full_reason:
        return await find_deviations(deps, dataverse, target, state)
    return task.full_reason


async def _blocks_are_lost(deps: Deps, state: TableState, table: str) -> bool:
    """Return whether a shard of a table that was linked whole has no block that can be read, of its own size or larger."""
    known = {name for name, header in (await deps.blocks.headers(table)).items() if header.known}
    sizes = (state.bits, *state.earlier_bits)
    return any(
        not any(Shard(state.bits, number).at(bits).name in known for bits in sizes) for number in range(1 << state.bits)
    )


def mode_of(asked: Mode, state: TableState, *, column_is_new: bool = False, because: str = "") -> tuple[Mode, str]:
    """Return the mode for a table, and why. `because` is a reason to compare every row. A full run that was interrupted
    continues, whatever was asked for.
    """
    if not state.linked:
        if because in _RESTARTS:
            return Mode.FULL, because
        return (
            Mode.FULL,
            "first run on this table" if not state.epoch else "the first run was interrupted and continues",
        )
    if column_is_new:
        return Mode.FULL, "the lookup column was missing and is new"
    if state.epoch:
        return Mode.FULL, "a full run was interrupted and continues"
    if because:
        return Mode.FULL, because
    return asked, "only rows that changed" if asked is Mode.INCREMENTAL else "asked for"


def because_of_schema(state: TableState, schema: str) -> bool:
    """Return whether the schema of profiles is another one than the last full run began with."""
    return bool(state.schema and schema and state.schema != schema)


def _fingerprint(salt: bytes) -> str:
    return blake2b(salt, digest_size=8, person=b"fingerprint").hexdigest()


async def _state(deps: Deps, task: TableTask) -> tuple[TableState, str | None]:
    found = await deps.states.load(task.table)
    return found if found is not None else (TableState(), None)


async def _target(deps: Deps, task: TableTask, dataverse: Dataverse, can: Capabilities) -> Target:
    known = await deps.runs.target(task.run, task.table)
    table = (await metadata.find_tables(dataverse, task.table))[0]
    found = await column.find_or_plan(dataverse, table, deps.settings.solution)
    created = found is None
    if found is None and not task.dry_run:
        found = await column.create(dataverse, table, deps.settings.solution, can.profile_kind)
    target = replace(
        with_capabilities(known, can),
        navigation=found.navigation if found else "",
        column_created=created or known.column_created,
        bulk=await metadata.supports_update_multiple(dataverse, task.table),
        partition_column=await column.find_partition_column(dataverse, table) if found else "",
        has_labels=await deps.has_labels(),
    )
    await deps.runs.save_target(task.run, target)
    deps.cache.targets.pop((task.run, task.table), None)
    if target.column_created and not task.dry_run:
        await column.await_seen(dataverse, table)
    return target


def with_capabilities(target: Target, can: Capabilities) -> Target:
    """Return a table with what the profile and the mapping table can do. A mapping row's own lookup is believed only where the
    label of a written link can contradict it.
    """
    return replace(
        target,
        names_profile=can.has(Capability.MAPPING_NAMES_PROFILE) and can.has(Capability.LABELS),
        has_in=can.has(Capability.IN_FILTER),
        has_ranges=not can.lacks(Capability.TEXT_RANGES),
        has_partitions=can.has(Capability.PARTITION_COLUMN),
        profile_kind=can.profile_kind,
    )


async def mark_vanished(deps: Deps, dataverse: Dataverse, target: Target, state: TableState) -> int:
    """Mark rows unconfirmed that a block names and whose link is empty now; return how many.

    Nothing is remembered between runs.
    """
    marked = 0
    held: list[RowKey] = []
    async for keys in dataverse.keys_by_link(target, LOOKUP_SCHEMA_NAME, empty=True):
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
