"""The second pass: rows that left the mapping lose the link that we gave them, and no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import batched

from linker.adapters.dataverse import Dataverse, LiveLink
from linker.core.errors import DataverseError, LinkerError, SupersededError, TransientError, UnknownOutcomeError
from linker.core.keys import key_text
from linker.core.linking.hash_blocks import Entry, hash_link, names_link
from linker.core.model import Counts, RowKey, Source, Target, UnlinkAllowance
from linker.core.odata import MappingColumns
from linker.core.records import GUARDED, RowIssue, issue, refusal
from linker.core.runs.generation_values import UnlinkOutcome, UnlinkTask
from linker.deps import Deps
from linker.durable.attempt import Attempt
from linker.durable.boundary import check_may_continue
from linker.durable.writes import PATCHES, ROUNDS
from linker.services.fact_gathering import find_sources
from linker.services.run_requests import marks_of

SHARDS_A_CALL = 20  # an activity stays short, so that cancelling and renewing stay quick
PRECONDITION_FAILED = 412
_KEPT = "Dataverse accepted twice that the link is cleared, and kept it."


async def unlink_table(deps: Deps, task: UnlinkTask) -> UnlinkOutcome:
    """Settle the next shards of a table that hold removed rows.

    The guard looks at the whole table before the first row is touched.
    """
    try:
        held = await _find_held_back(deps, task)
    except TransientError as error:
        return UnlinkOutcome(after=task.after, later_s=error.wait_s)
    except LinkerError as error:
        return UnlinkOutcome(after=task.after, failed=str(error)[:1000])
    if task.dry_run:
        return _count_only(task, held)
    return await _shards(deps, task, deps.dataverse(), held)


def guard(
    departed: int, rows: int, most_share: float, allowed: Sequence[UnlinkAllowance] = (), *, earlier: int = 0
) -> str:
    """Return why nothing of a table may be unlinked, empty when it may. `rows` counts mapped and departed rows, `earlier`
    those that other runs unlinked in the last 24 hours: many small steps empty a table, too.

    An empty mapping clears nothing at any share: it is what a mapping looks like that is being written. What is `allowed`
    for the table in this run goes before all that, as far as it goes.
    """
    if any(departed <= one.most_rows and (departed < rows or one.empty_mapping) for one in allowed):
        return ""
    beyond = ", and beyond what is allowed for this run" if allowed else ""
    if departed >= rows:
        return f"no row of the table is left in the mapping{beyond}"
    if departed + earlier > most_share * (rows + earlier):
        share = f"more than {most_share:.0%} (LINKER_UNLINK_MAX_SHARE)"
        before = f" after {earlier:,} that were unlinked in the last 24 hours" if earlier else ""
        return f"{departed:,} of {rows:,} rows left the mapping{before}, {share}{beyond}"
    return ""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What became of departed rows; `lost` of them kept a link that Dataverse had accepted to clear."""

    counts: Counts = Counts()
    lost: int = 0

    def __add__(self, other: Cleared) -> Cleared:
        return Cleared(self.counts + other.counts, self.lost + other.lost)


@dataclass(frozen=True, slots=True)
class Held:
    """Why departed rows keep their links in this run; both empty when they do not."""

    code: str = ""
    reason: str = ""

    def outcome(self, cleared: Cleared, after: str | None, *, later_s: float = 0.0, failed: str = "") -> UnlinkOutcome:
        """Return what a call came to."""
        guarded = self.code == GUARDED
        return UnlinkOutcome(cleared.counts, after, self.reason, guarded, later_s, failed, cleared.lost)


async def _find_held_back(deps: Deps, task: UnlinkTask) -> Held:
    earlier = await deps.unlinked.before(task.table, task.run, deps.clock())
    allowed = await _still_seen(deps, task)
    if reason := guard(task.departed, task.rows, deps.settings.unlink_max_share, allowed, earlier=earlier):
        others = ", and they are other rows than those that were allowed" if len(allowed) < len(task.allowed) else ""
        return Held(GUARDED, f"{reason}{others}")
    if task.marks is not None and await marks_of(deps, task.marks) != task.marks:
        return Held("MappingMoved", "mapping or profiles changed while the run was under way")
    return Held()


async def _still_seen(deps: Deps, task: UnlinkTask) -> tuple[UnlinkAllowance, ...]:
    """Return the allowances that are for the rows which left the mapping: an operator decided about rows, not a number.

    A dry run notes no rows, so it counts what would be cleared if they are the same.
    """
    if task.dry_run or not any(one.seen for one in task.allowed):
        return task.allowed
    digest = await deps.removed_digest(task.table, task.run)
    return tuple(one for one in task.allowed if one.seen in ("", digest))


def _count_only(task: UnlinkTask, held: Held) -> UnlinkOutcome:
    counts = Counts(deferred=task.departed) if held.code else Counts(unlinked=task.departed)
    return held.outcome(Cleared(counts), None)


async def _shards(deps: Deps, task: UnlinkTask, dataverse: Dataverse, held: Held) -> UnlinkOutcome:
    """Settle one shard after the other. What interrupts it comes back with the counts of the shards that are done."""
    cleared, after, done = Cleared(), task.after, 0
    try:
        work = await _Unlinking.start(deps, task, dataverse, held)
        async for shard, removed in deps.removed.after(task.table, task.run, task.after):
            await check_may_continue(deps, task.run)
            cleared += await work.shard(shard, removed)
            after, done = shard, done + 1
            if done == SHARDS_A_CALL:
                return held.outcome(cleared, after)
    except (TransientError, SupersededError) as error:
        return held.outcome(cleared, after, later_s=getattr(error, "wait_s", 1.0))
    except LinkerError as error:
        return held.outcome(cleared, after, failed=str(error)[:1000])
    return held.outcome(cleared, None)


@dataclass(frozen=True, slots=True)
class _Unlinking:
    """What all shards of one call share."""

    deps: Deps
    task: UnlinkTask
    target: Target
    sources: tuple[Source, ...]
    dataverse: Dataverse
    held: Held

    @classmethod
    async def start(cls, deps: Deps, task: UnlinkTask, dataverse: Dataverse, held: Held) -> _Unlinking:
        target = await deps.target(task.run, task.table)
        called = {task.table.casefold(), *(source.table.casefold() for source in target.sources)}
        found = await find_sources(dataverse, MappingColumns.of(target))
        sources = {*target.sources, *(source for source in found if source.table.casefold() in called)}
        return cls(deps, task, target, tuple(sorted(sources)), dataverse, held)

    async def shard(self, shard: str, removed: list[RowKey]) -> Cleared:
        """Settle the removed rows of one shard. Rows that an earlier try settled come to the same again."""
        if self.held.code:
            return Cleared(await self._report(self._issues(removed, self.held.code, self.held.reason)))
        attempt = Attempt(self.deps, self.task.table, shard)
        attempt.start_from(await self.deps.blocks.load(self.task.table, shard))
        if not attempt.block.known:
            return Cleared(await self._report(self._issues(removed, "BlockLost")))
        await attempt.take()
        try:
            return await self._settle(attempt, removed)
        except LinkerError as error:
            if isinstance(error, UnknownOutcomeError):
                attempt.note_unanswered()
            await attempt.release()
            raise

    async def _settle(self, attempt: Attempt, removed: list[RowKey]) -> Cleared:
        """Confirm absence, read link and ETag, clear what is ours, and forget only what was confirmed."""
        columns = MappingColumns.of(self.target)
        found = await self.dataverse.claims_of(columns, self.target, self.sources, dict.fromkeys(removed, ()))
        back = {row.key for row in found}
        absent = [row for row in removed if row not in back]
        live, known, salt = await self._links(absent), attempt.block.entries, await self.deps.salt()
        ours = {row: link for row, link in live.items() if _is_ours(row, link, known.get(row, ()), salt)}
        kept = {row for row, link in live.items() if link.link is not None and row not in ours}
        left = await self._clear(attempt, ours)
        settled = set(absent) - left.keys()
        entries = {row: hashes for row, hashes in known.items() if row not in settled}
        await self._remember(len((settled - kept) & known.keys()))
        header = attempt.block.header
        counted = {"linked": header.linked, "drift": header.drift} if header.run == self.task.run else {}
        await attempt.finish(entries, self.task.run, header.epoch, **counted)
        rows_back = sorted(row for row in removed if row in back)
        others = await self._report([*self._issues(rows_back, "Mapped"), *left.values()])
        counts = Counts(unchanged=len(kept), unlinked=len(settled) - len(kept)) + others
        return Cleared(counts, sum(1 for found in left.values() if found.code == "NotStored"))

    async def _remember(self, rows: int) -> None:
        """Let the guard of the next 24 hours count rows that the block is about to forget.

        Until the block is saved the next run finds them in it and counts them again. So a host that dies before this note, or
        after the block, loses none of them, and one that dies in between makes the guard hold back more, never less.
        """
        if rows and not self.task.allowed:
            await self.deps.unlinked.add(self.task.table, self.task.run, rows, self.deps.clock())

    async def _clear(self, attempt: Attempt, ours: Mapping[RowKey, LiveLink]) -> dict[RowKey, RowIssue]:
        """Clear links and read them back; return why rows keep theirs. What was accepted and not stored is sent once more."""
        left: dict[RowKey, RowIssue] = {}
        for _ in range(ROUNDS):
            refused = await self._send(attempt, ours)
            still = {row: link for row, link in (await self._links(list(ours))).items() if link.link is not None}
            left |= {row: self._refusal(row, refused[row]) for row in still.keys() & refused.keys()}
            others = {row for row in still.keys() - refused.keys() if still[row].link != ours[row].link}
            left |= {row: issue(self.task.table, key_text(row), "LinkChanged") for row in others}
            ours = {row: link for row, link in still.items() if row not in left}
        return left | {row: issue(self.task.table, key_text(row), "NotStored", _KEPT) for row in ours}

    async def _send(self, attempt: Attempt, links: Mapping[RowKey, LiveLink]) -> dict[RowKey, DataverseError]:
        refused: dict[RowKey, DataverseError] = {}
        for rows in batched(sorted(links), PATCHES):
            await attempt.before_send()
            refused |= await self.dataverse.clear_links(self.target, {row: links[row].etag for row in rows})
        return refused

    async def _links(self, rows: list[RowKey]) -> dict[RowKey, LiveLink]:
        return await self.dataverse.links(self.target, rows)

    def _refusal(self, row: RowKey, error: DataverseError) -> RowIssue:
        if error.status == PRECONDITION_FAILED:
            return issue(self.task.table, key_text(row), "LinkChanged")
        return refusal(self.task.table, key_text(row), error)

    def _issues(self, rows: list[RowKey], code: str, reason: str = "") -> list[RowIssue]:
        return [issue(self.task.table, key_text(row), code, _sentence(reason)) for row in rows]

    async def _report(self, issues: Sequence[RowIssue]) -> Counts:
        """Save the row issues of a shard and count them."""
        await self.deps.issues.save(self.task.run, issues, dry_run=self.task.dry_run)
        rejected = sum(1 for found in issues if found.outcome == "rejected")
        return Counts(rejected=rejected, deferred=len(issues) - rejected)


def _sentence(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:]}." if reason else ""


def _is_ours(row: RowKey, live: LiveLink, entries: tuple[Entry, ...], salt: bytes) -> bool:
    """Return whether this app wrote the link, or meant to. Its profile may be gone by now."""
    return live.link is not None and names_link(entries, hash_link(row, live.link, salt))
