"""link_page: link the rows of one page and save their hashes. Safe to run twice, at the same time too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from linker import telemetry
from linker.activities.attempt import Attempt, PageHeldError
from linker.activities.late import mark_late
from linker.activities.life import go_on
from linker.activities.mapping import MappingRows, PageTooLargeError, read_mapping
from linker.activities.outcomes import Outcomes
from linker.activities.values import PageOutcome, PageTask
from linker.activities.writing import Writer, Written
from linker.blocks import UNCONFIRMED, Entries, HashBlock, digest, intend, unconfirm, wanted_entries
from linker.core.keys import key_text
from linker.dataverse import Dataverse, Meter
from linker.deps import Deps
from linker.diff import PagePlan, diff_page
from linker.errors import (
    ConfigurationError,
    LedgerError,
    LinkerError,
    SupersededError,
    TransientError,
    UnknownOutcomeError,
)
from linker.model import (
    LOOKUP_SCHEMA_NAME,
    CustomerId,
    Mode,
    PlannedChange,
    RowKey,
    Target,
)
from linker.odata import MappingColumns
from linker.pace import Load
from linker.pages import Plan, decides, is_spelled_oddly, strays
from linker.reasons import refusal


async def link_page(deps: Deps, task: PageTask) -> PageOutcome:
    """Link one page. What is expected to fail comes back as a value: later, or failed with the reason."""
    started = deps.clock()
    dataverse = deps.dataverse()
    try:
        await go_on(deps, task.run)
        outcome = await _link(deps, task, dataverse)
    except PageTooLargeError:
        outcome = PageOutcome(split=True)
    except PageHeldError as error:
        outcome = PageOutcome(later_s=error.wait_s, later_reason=str(error), held=True)
    except (TransientError, SupersededError, UnknownOutcomeError) as error:
        outcome = PageOutcome(later_s=getattr(error, "wait_s", 1.0), later_reason=str(error)[:300])
    except LinkerError as error:
        outcome = PageOutcome(failed=str(error)[:1000])
    return replace(outcome, load=load_of(dataverse.meter), seconds=round(deps.clock() - started, 3))


def load_of(meter: Meter) -> Load:
    """Return what the pace learns from the requests of one activity."""
    return Load(
        throttled=meter.throttled > 0,
        timed_out=meter.timed_out,
        dop_hint=meter.dop_hint,
        slowest_s=round(meter.slowest_write_s, 3),
        slowest_rows=meter.slowest_write_rows,
    )


async def _link(deps: Deps, task: PageTask, dataverse: Dataverse) -> PageOutcome:
    plan = await _current_plan(deps, task)
    target = await deps.target(task.run, task.table)
    key = (task.table, plan.name(task.page))
    attempt, outcomes = Attempt(deps, *key), Outcomes(task.table)
    work = _PageWork(deps, task, target, plan, dataverse, await deps.salt(), key, attempt, outcomes)
    try:
        return await work.run()
    except LinkerError as error:
        lost = isinstance(error, SupersededError) or not await work.attempt.release()
        if lost and work.sent:
            await mark_late(deps, *key, {row: work.wanted[row][0] for row in work.sent})
        raise


async def _current_plan(deps: Deps, task: PageTask, *, anew: bool = False) -> Plan:
    """Return the plan that the page is of. Raises ConfigurationError when it is not the current one any more."""
    plan = await deps.plan(task.table, task.version, anew=anew)
    if plan is None:
        raise ConfigurationError(
            f"Page {task.page} of '{task.table}' is not part of the current plan. Nothing was written."
        )
    return plan


@dataclass(slots=True)
class _PageWork:
    """The steps of one attempt at one page, in the order of design decision 14."""

    deps: Deps
    task: PageTask
    target: Target
    plan: Plan
    dataverse: Dataverse
    salt: bytes
    key: tuple[str, str]  # table and name of the page
    attempt: Attempt
    outcomes: Outcomes
    wanted: Entries = field(default_factory=dict)
    owned: set[RowKey] = field(default_factory=set)  # rows spelled oddly here, on which another page decides
    sent: set[RowKey] = field(default_factory=set)
    planned: dict[RowKey, str] = field(default_factory=dict)  # what a dry run would write
    profiles: set[str] = field(default_factory=set)  # that got newly linked rows

    async def run(self) -> PageOutcome:
        before = await self.deps.blocks.header(*self.key)
        rows = await self._without_owned(
            await read_mapping(self.dataverse, self.target, self.plan.range(self.task.page))
        )
        wanted = self.wanted = wanted_entries(rows.wanted, self.salt)
        self.outcomes.invalid(rows.invalid)
        settled = self._is_settled(before.block, wanted)
        telemetry.block("skipped" if settled else "read")
        if settled:
            self.outcomes.confirmed(rows.wanted.keys(), before.block.header, self.task.run)
            return await self._outcome(rows, ())
        stored = await self.deps.blocks.load(*self.key)
        if stored.etag != before.etag:
            raise TransientError("The page's block changed while its mapping was read.", wait_s=1.0)
        self.attempt.found(stored)
        plan = diff_page(
            rows.wanted,
            wanted,
            stored.block,
            all_live=self._looks_at_all(stored.block),
            links_empty=self.target.column_created and self._looks_at_all(stored.block),
        )
        self.outcomes.confirmed(plan.unchanged, stored.block.header, self.task.run)
        await self._carry_out(plan, wanted)
        return await self._outcome(rows, [key for key in plan.departed if key not in self.owned])

    async def _without_owned(self, rows: MappingRows) -> MappingRows:
        """Leave rows to another page where the mapping names them there too: two pages must not decide on one row.

        A key in braces, or in capitals where order minds them, may stand in another page than its canonical text.
        """
        strange = [
            key
            for key, texts in rows.texts.items()
            if self.plan.page_of(key) != self.task.page or any(map(is_spelled_oddly, texts))
        ]
        if not strange:
            return rows
        found = await self.dataverse.spellings(MappingColumns(self.target.name_column), self.target.sources, strange)
        owners = {key: named for key, named in found.items() if not decides(key, rows.texts[key], named)}
        self.owned = set(owners)
        differ = tuple(key for key, named in owners.items() if {*named.values()} != {rows.wanted[key]})
        return replace(
            rows,
            wanted={key: customer for key, customer in rows.wanted.items() if key not in owners},
            duplicates=rows.duplicates + len(owners),
            conflicts=(*rows.conflicts, *differ),
        )

    def _is_settled(self, block: HashBlock, wanted: Entries) -> bool:
        header = block.header
        fresh = header.known and not header.unconfirmed and not self._looks_at_all(block)
        return fresh and header.digest == digest(wanted)

    def _looks_at_all(self, block: HashBlock) -> bool:
        """A full or verify run distrusts every page that this same run has not saved yet."""
        return self.task.mode is not Mode.INCREMENTAL and block.header.epoch != self.task.epoch

    def _rewrites(self) -> bool:
        """LINKER_FULL=rewrite: a full run writes every row, as the described task does."""
        return (
            self.deps.settings.full == "rewrite"
            and self.task.mode is Mode.FULL
            and self._looks_at_all(self.attempt.block)
        )

    async def _carry_out(self, plan: PagePlan, wanted: Entries) -> None:
        if not (plan.compare or plan.change or self._looks_at_all(self.attempt.block)):
            return
        if not self.task.dry_run:
            await self.attempt.take()
            await _current_plan(self.deps, self.task, anew=True)  # a late delivery may come after a split elsewhere
        same = set() if self._rewrites() else await self._compare(plan, wanted)
        change = {**plan.change, **{key: c for key, c in plan.compare.items() if key not in same}}
        links = await self._resolve({key: c for key, c in change.items() if key_text(key) not in self.outcomes.issues})
        linked_before = self._intended(same, wanted) if self.attempt.block.header.run == self.task.run else set()
        self.outcomes.linked |= linked_before
        self.outcomes.unchanged |= same - linked_before
        if self.task.dry_run:
            self.outcomes.linked |= links.keys()
            self.planned = links
            self.profiles.update(links.values())
            await self._note_profiles()
            return
        known = {key: hashes for key, hashes in self.attempt.block.entries.items() if key not in self.owned}
        entries = known | {key: wanted[key] for key in same}
        await self._write(links, entries, wanted)

    async def _compare(self, plan: PagePlan, wanted: Entries) -> set[RowKey]:
        """Return the rows whose live link is already the wanted one; rows that do not exist are rejected."""
        if not plan.compare:
            return set()
        live = await self.dataverse.links(self.target, LOOKUP_SCHEMA_NAME, list(plan.compare))
        for key in plan.compare.keys() - live.keys():
            self.outcomes.issue(key, "RowNotFound")
        same = {key for key, customer in plan.compare.items() if key in live and live[key].customer == customer}
        self.profiles |= {profile for key in self._intended(same, wanted) if (profile := live[key].profile)}
        stored = self.attempt.block.entries
        changed = plan.compare.keys() & live.keys() - same
        self.outcomes.drift += sum(1 for key in changed if stored.get(key) == wanted[key])
        return same

    def _intended(self, same: set[RowKey], wanted: Entries) -> set[RowKey]:
        """Return the rows that an earlier attempt intended: it linked them, whoever reads them back."""
        entries = self.attempt.block.entries
        return {key for key in same if wanted[key][0] | UNCONFIRMED in entries.get(key, ())}

    async def _resolve(self, change: dict[RowKey, CustomerId]) -> dict[RowKey, str]:
        """Return the profile id for each row to write; rows whose profile is not in Dataverse yet are deferred."""
        profiles = await self.dataverse.profiles(change.values()) if change else {}
        for key, customer in change.items():
            if customer not in profiles:
                self.outcomes.issue(key, "ProfileMissing", f"The profile of customer {customer} is not in Dataverse.")
        return {key: profiles[customer] for key, customer in change.items() if customer in profiles}

    async def _write(self, links: dict[RowKey, str], entries: dict[RowKey, tuple[int, ...]], wanted: Entries) -> None:
        if links:
            entries |= {key: intend(entries.get(key, ()), wanted[key][0]) for key in links}
            await self.attempt.intend(entries, self.task.run, **self._so_far())
        task = self.task
        writer = Writer(
            self.dataverse, self.target, self.attempt, self.deps.gate, task.batch, task.width, task.lanes, self.sent
        )
        written = await writer.write(links) if links else Written()
        for key, error in written.refused.items():
            self.outcomes.issues[key_text(key)] = refusal(self.task.table, key_text(key), error)
        for key in written.lost:
            self.outcomes.issue(key, "NotStored")
        self.outcomes.linked |= written.linked
        entries |= {key: unconfirm(wanted[key]) if key in written.doubtful else wanted[key] for key in written.linked}
        self.profiles |= {links[key] for key in written.linked}
        await self._note_profiles()
        if strays(self.plan, self.task.page, wanted):
            await self.deps.strays.note(*self.key)
        epoch = self.attempt.block.header.epoch if task.mode is Mode.INCREMENTAL else task.epoch
        open_rows = len(written.doubtful & written.linked)  # whoever confirms these counts them
        await self.attempt.finish(entries, task.run, epoch, **self._so_far(besides=open_rows))

    def _so_far(self, *, besides: int = 0) -> dict[str, int]:
        """What this run has done on the page by now, in whichever attempt."""
        return {"linked": self.outcomes.counts.linked - besides, "drift": self.outcomes.drift}

    async def _outcome(self, rows: MappingRows, departed: Iterable[RowKey]) -> PageOutcome:
        """Count both sides of the ledger, each where it came from, and hold them against each other."""
        departed = tuple(departed)
        counts = replace(self.outcomes.counts, rows_read=rows.read - rows.duplicates)
        if counts.rows_read != counts.outcomes:
            raise LedgerError(
                f"Page {self.task.page} of '{self.task.table}' read {counts.rows_read:,} rows and accounts for "
                f"{counts.outcomes:,}. What it wrote is saved; run again, and report this."
            )
        await self._save_issues()
        if self.task.dry_run:
            await self._save_samples(rows, departed)
        elif departed:
            await self.deps.departed.note(*self.key, self.task.run, departed)
        return PageOutcome(counts, len(departed), len(rows.conflicts), self.outcomes.drift, self.outcomes.lost)

    async def _note_profiles(self) -> None:
        """Hand the profiles over to the touch phase, before the block forgets which rows are new."""
        if self.profiles and self.deps.settings.touch_profiles:
            note = self.deps.new_id()
            await self.deps.waiting.note(self.task.run, note, self.profiles, dry_run=self.task.dry_run)

    async def _save_samples(self, rows: MappingRows, departed: Iterable[RowKey]) -> None:
        table, planned = self.task.table, self.planned.items()
        links = (PlannedChange(table, key_text(k), "link", rows.wanted[k], profile) for k, profile in planned)
        unlinks = (PlannedChange(table, key_text(k), "unlink") for k in departed)
        await self.deps.samples.save(self.task.run, self.key, links, unlinks)

    async def _save_issues(self) -> None:
        await self.deps.issues.save(self.task.run, list(self.outcomes.issues.values()), dry_run=self.task.dry_run)
