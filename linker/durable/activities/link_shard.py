"""link_shard: link the rows of one shard and save their hashes. Safe to run twice, at the same time too."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from linker.adapters.dataverse import Dataverse
from linker.adapters.storage import StoredBlock
from linker.core.errors import (
    DataverseError,
    LinkerError,
    SupersededError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from linker.core.linking.hash_blocks import (
    UNCONFIRMED,
    Entry,
    HashBlock,
    ShardPlan,
    confirm_links,
    confirms,
    diff_shard,
    hash_link,
    intend,
    name_salt,
    unconfirm,
)
from linker.core.linking.shards import Claim, Wanted, hash_wishes
from linker.core.model import CustomerId, Link, Mode, RowKey, Target
from linker.core.runs.activity_values import ShardOutcome, ShardTask
from linker.deps import Deps
from linker.durable.attempt import Attempt, ShardHeldError, mark_late
from linker.durable.boundary import check_may_continue
from linker.durable.isolation import Links, TableRefusedError, explain_refusal
from linker.durable.outcomes import Outcomes, ShardReport
from linker.durable.staged import StagedShard, current_scan, resolve_links
from linker.durable.writes import FirstLinkProvedError, Writer, Written, choose_canaries, is_stored, prove_links

type Intents = dict[RowKey, tuple[Entry, ...]]

LONG_TURN_S = 1.0  # from here on a look at the lock costs little beside the wait


async def link_shard(deps: Deps, task: ShardTask) -> ShardOutcome:
    """Link one shard. What is expected to fail comes back as a value: later, or failed with the reason."""
    started = deps.clock()
    limiter, dataverse = deps.limiter, deps.dataverse()
    limiter.adopt(task.pace)
    throttled = False
    try:
        await check_may_continue(deps, task.run)
        outcome = await _link(deps, task, dataverse)
    except ShardHeldError as error:
        outcome = ShardOutcome(later_s=error.wait_s, later_reason=str(error), held=True)
    except FirstLinkProvedError as error:
        outcome = ShardOutcome(error.counts, proven=True, later_s=error.wait_s, later_reason=str(error), held=True)
    except (TransientError, SupersededError) as error:
        throttled = isinstance(error, ThrottledError)
        outcome = ShardOutcome(later_s=getattr(error, "wait_s", 1.0), later_reason=str(error)[:300])
    except LinkerError as error:
        outcome = ShardOutcome(failed=str(error)[:1000])
    return replace(outcome, load=deps.load(dataverse, throttled=throttled), seconds=round(deps.clock() - started, 3))


async def _link(deps: Deps, task: ShardTask, dataverse: Dataverse) -> ShardOutcome:
    scan = await current_scan(deps, task)
    full, shard = scan.full, scan.shard(task.number)
    name, target = shard.name, await deps.target(task.run, task.table)
    salt = await deps.salt_named(scan.secret)
    attempt, outcomes = Attempt(deps, task.table, name, name_salt(salt)), Outcomes(task.table)
    staged = StagedShard(deps, dataverse, target, scan, shard, salt, full)
    report = ShardReport(deps, task, name, outcomes)
    work = _ShardWork(deps, task, target, staged, dataverse, attempt, outcomes, report, task.mode.compares_all)
    try:
        return await work.run()
    except LinkerError as error:
        if isinstance(error, UnknownOutcomeError):
            work.attempt.note_unanswered()
        if isinstance(error, TableRefusedError):  # rows that were tried do not count in the next sample
            await work.report.save_refused(error)
        lost = isinstance(error, SupersededError) or not await work.attempt.release()
        if lost and work.sent:
            await mark_late(deps, task.table, shard, {row: work.intended[row] for row in work.sent})
        if isinstance(error, DataverseError):
            raise await explain_refusal(deps, dataverse, target, error) from error
        raise


@dataclass(slots=True)
class _ShardWork:
    """The steps of one attempt at one shard. The order of effects is: intents, Dataverse, read-back, block."""

    deps: Deps
    task: ShardTask
    target: Target
    staged: StagedShard
    dataverse: Dataverse
    attempt: Attempt
    outcomes: Outcomes
    report: ShardReport
    compares_all: bool  # whatever the block says
    wishes: Mapping[RowKey, int] = field(default_factory=dict)
    intended: dict[RowKey, Entry] = field(default_factory=dict)  # the confirmed entry of each row that is written
    sent: set[RowKey] = field(default_factory=set)
    recognized: dict[RowKey, tuple[Entry, ...]] = field(default_factory=dict)  # see _recognize
    began: float = field(init=False)  # epoch s

    async def run(self) -> ShardOutcome:
        self.began = self.deps.clock()
        may_be_settled = self.staged.full and not self.compares_all  # else the header alone is rarely enough
        stored = await (self.deps.blocks.header(*self.attempt.key) if may_be_settled else self._load_block())
        noted = await self.report.find_noted(stored.block.header)
        trusted = stored.etag is not None and not noted and not self._looks_at_all(stored.block)
        if (rows := await self.staged.count_settled(stored.block.header, trusted=trusted)) is not None:
            self.outcomes.note_confirmed_rows(rows, stored.block.header, self.task.run)
            return await self.report.finish(rows, Wanted(), ())
        stored = await self._load_block() if may_be_settled else stored
        others = stored.block.is_of_other_secret(name_salt(self.staged.salt))
        stored = stored.distrust() if others else stored
        self.attempt.start_from(stored)
        wanted = await self.staged.find_wanted(stored.block)
        self.wishes = hash_wishes(wanted.claims, self.staged.salt, names_profile=self.staged.scan.names_profile)
        rows_read, all_live = wanted.rows, self._looks_at_all(stored.block)
        no_links = all_live and self.target.column_created and stored.block.header.run != self.task.run
        plan = diff_shard(wanted.claims, self.wishes, stored.block, all_live=all_live, links_empty=no_links)
        self.outcomes.note_invalid(wanted.invalid)
        self.outcomes.note_confirmed(plan.unchanged, stored.block.header, self.task.run)
        await self._recognize(plan.unclaimed if others else ())
        removed = sorted({*plan.unclaimed, *(noted - wanted.claims.keys())}) if self.staged.full else ()
        if removed:
            await current_scan(self.deps, self.task, again=True)  # all of its rows were there when they were read
        await self._carry_out(plan, is_new=others or (stored.etag is None and stored.block.known))
        return await self.report.finish(rows_read, wanted, removed)

    async def _load_block(self) -> StoredBlock:
        return await self.deps.blocks.load_or_split(self.task.table, self.staged.shard, self.staged.scan.earlier_bits)

    def _looks_at_all(self, block: HashBlock) -> bool:
        """Return whether every row is compared: a full or verify run distrusts each shard that it has not saved yet."""
        return self.compares_all and block.header.epoch != self.task.epoch

    def _rewrites(self) -> bool:
        """Return whether every row is written, as the described task does (LINKER_FULL=rewrite)."""
        full = self.deps.settings.full == "rewrite" and self.task.mode is Mode.FULL
        return full and self._looks_at_all(self.attempt.block)

    async def _recognize(self, unclaimed: Collection[RowKey]) -> None:
        """Look at rows that no claim names and whose hashes nothing compares with: the link that each has now is ours."""
        if not unclaimed:
            return
        live, salt = await self.dataverse.links(self.target, list(unclaimed)), self.staged.salt
        links = {key: row.link for key, row in live.items() if row.link is not None}
        self.recognized = {key: (Entry(0, hash_link(key, link, salt) | UNCONFIRMED),) for key, link in links.items()}

    async def _carry_out(self, plan: ShardPlan, *, is_new: bool) -> None:
        """Compare and write. `is_new`: the block has to be saved in any case, because what is stored is not what it says."""
        if not (plan.compare or plan.change or is_new or self._looks_at_all(self.attempt.block)):
            return
        wanted = await self._resolve({**plan.compare, **plan.change})
        same = set() if self._rewrites() else await self._compare(plan.compare, wanted)
        rest = {key: link for key, link in wanted.items() if key not in same}
        links = self.outcomes.keep_readable(rest, self.target)
        linked_before = self._find_intended(same) if self.attempt.block.header.run == self.task.run else set()
        self.outcomes.linked |= linked_before
        self.outcomes.unchanged |= same - linked_before
        known = {key for key in same if confirms(self.attempt.block.entries.get(key, ()), self.wishes[key])}
        self.outcomes.note_confirmed(plan.unchanged | known, self.attempt.block.header, self.task.run)
        if self.task.dry_run:
            self.outcomes.linked |= links.keys()
            self.report.planned = links
            self.report.profiles.update(link.profile for link in links.values())
            await self.report.note_profiles()
            return
        entries = {**self.attempt.block.entries, **self.recognized}
        entries |= {key: (entry,) for key, entry in self._entries({key: wanted[key] for key in same}).items()}
        await self._write(links, entries, {**plan.compare, **plan.change})

    def _entries(self, links: Mapping[RowKey, Link]) -> dict[RowKey, Entry]:
        """Return the confirmed entry of each row. The partition counts only where it can be read back."""
        seen = links if self.target.partition_column else {key: Link(link.profile) for key, link in links.items()}
        return confirm_links(seen, self.wishes, self.staged.salt)

    async def _resolve(self, claims: Mapping[RowKey, Claim], *, trusting: bool = True) -> dict[RowKey, Link]:
        links, issues = await resolve_links(self.dataverse, self.target, claims, trusting=trusting)
        for key, (code, text) in issues.items():
            self.outcomes.note_issue(key, code, text)
        return links

    async def _compare(self, compare: Mapping[RowKey, Claim], wanted: Mapping[RowKey, Link]) -> set[RowKey]:
        """Return the rows whose live link is already the wanted one; rows that do not exist are rejected."""
        keys = [key for key in compare if key in wanted]
        live = await self.dataverse.links(self.target, list(compare)) if compare else {}
        for key in compare.keys() - live.keys():
            self.outcomes.note_issue(key, "RowNotFound")
        same = {key for key in keys if key in live and is_stored(live[key], wanted[key], self.target)}
        intended, stored = self._find_intended(same), self.attempt.block.entries
        self.report.profiles |= {wanted[key].profile for key in intended}
        repaired = {key for key in keys if key in live and key not in same} | intended
        repaired = set() if self.target.column_created else repaired  # what was confirmed was of an earlier column
        self.outcomes.drifted |= {
            key  # it was confirmed on its claim before anything was intended, which keeps that entry
            for key in repaired
            if any(entry.is_confirmed and entry.wish == self.wishes[key] for entry in stored.get(key, ()))
        }
        return same

    def _find_intended(self, same: Collection[RowKey]) -> set[RowKey]:
        """Return the rows that an earlier attempt intended: it linked them, whichever attempt reads them back."""
        stored = self.attempt.block.entries
        marked = {key: [entry.wish for entry in stored.get(key, ()) if not entry.is_confirmed] for key in same}
        return {key for key, wishes in marked.items() if self.wishes[key] in wishes}

    async def _write(self, links: Links, entries: Intents, claims: Mapping[RowKey, Claim]) -> None:
        proves = bool(links) and self.task.canary and not await self.report.finds_proof()
        if links:
            await self._intend({row: links[row] for row in choose_canaries(links)[:1]} if proves else links, entries)
        # A late delivery may come after a later run. One that begins after this look finds the shard owned, or what is saved.
        await current_scan(self.deps, self.task, again=True)
        written = await self._write_all(links, entries, claims, proves=proves) if links else Written()
        self.outcomes.note_written(written)
        for key in written.linked:
            entry = (self.intended[key],)
            entries[key] = unconfirm(entry) if key in written.doubtful else entry
        self.report.profiles |= {written.links[key].profile for key in written.linked}
        await self.report.note_profiles()
        epoch = self.task.epoch if self.compares_all else self.attempt.block.header.epoch
        open_rows = len(written.doubtful & written.linked)  # the attempt that confirms these counts them
        await self.attempt.finish(entries, self.task.run, epoch, **self.outcomes.so_far(besides=open_rows))

    async def _write_all(
        self, links: Links, entries: Intents, claims: Mapping[RowKey, Claim], *, proves: bool
    ) -> Written:
        """Write. A row whose label shows another customer is resolved again without the mapping's lookup."""
        task, customers = self.task, {key: claims[key].customer for key in links}
        writer = Writer(
            self.dataverse,
            self.target,
            self.attempt,
            task.lanes,
            self.report.refusals,
            self._still_wanted,
            self.sent,
        )
        written = await self._prove(writer, links, entries, customers) if proves else Written()
        rest = {key: link for key, link in links.items() if key not in written.links}
        written = written.with_more(await writer.write(rest, customers))
        if not written.mislabeled:
            return written
        again = await self._resolve({key: claims[key] for key in written.mislabeled}, trusting=False)
        again = {key: link for key, link in again.items() if link != links[key]}
        again = self.outcomes.keep_readable(again, self.target)
        for key in written.mislabeled - again.keys():
            if not self.outcomes.has_issue(key):
                self.outcomes.note_issue(key, "OtherCustomer")
        if not again:
            return written
        await self._intend(again, entries)
        second = await writer.write(again, customers)
        for key in second.mislabeled:
            self.outcomes.note_issue(key, "OtherCustomer")
        return written.with_more(second)

    async def _still_wanted(self) -> None:
        """Raise TransientError when the run was canceled while the shard waited long for its turn, as many shards do."""
        if self.deps.clock() - self.began > LONG_TURN_S:
            await check_may_continue(self.deps, self.task.run)

    async def _prove(
        self, writer: Writer, links: Links, entries: Intents, customers: Mapping[RowKey, CustomerId]
    ) -> Written:
        """Write single rows until one proves that links are alive. Raises FirstLinkProvedError when other shards wait."""

        async def save_intents(some: Links) -> None:
            if some.keys() - self.intended.keys():
                await self._intend(some, entries)

        written, proven = await prove_links(writer, links, customers, save_intents)
        if proven:
            await self.report.note_proof()
            if len(written.links) < len(links) and self.staged.scan.count > 1:
                raise FirstLinkProvedError(self.outcomes.counts.linked + len(written.linked))
        await save_intents({row: link for row, link in links.items() if row not in written.links})
        return written

    async def _intend(self, links: Links, entries: Intents) -> None:
        self.intended |= self._entries(links)
        entries |= {key: intend(entries.get(key, ()), self.intended[key]) for key in links}
        await self.attempt.intend(entries, self.task.run, **self.outcomes.so_far())
