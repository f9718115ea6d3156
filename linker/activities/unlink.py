"""The second pass: rows that left the mapping lose the link that we gave them, and no other (design decision 18)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from linker.activities.attempt import Attempt
from linker.activities.marks import marks_of
from linker.activities.values import UnlinkOutcome, UnlinkTask
from linker.activities.writing import PATCHES
from linker.blocks import names, row_hash
from linker.dataverse import Dataverse, LiveLink
from linker.deps import Deps
from linker.errors import DataverseError, LinkerError, SupersededError, TransientError, UnknownOutcomeError
from linker.evidence import find_sources
from linker.model import LOOKUP_SCHEMA_NAME, Counts, RowKey, Source, Target, UnlinkAllowance
from linker.odata import MappingColumns, chunks
from linker.pages import key_text
from linker.reasons import GUARDED, issue

PAGES_A_CALL = 20  # an activity stays short, so that cancelling and renewing stay quick


async def unlink_table(deps: Deps, task: UnlinkTask) -> UnlinkOutcome:
    """Settle the next departed pages of a table. The guard looks at the whole table before the first row is touched."""
    try:
        held = await _held_back(deps, task)
    except TransientError as error:
        return UnlinkOutcome(after=task.after, later_s=error.wait_s)
    except LinkerError as error:
        return UnlinkOutcome(after=task.after, failed=str(error)[:1000])
    return _counted_only(task, held) if task.dry_run else await _pages(deps, task, deps.dataverse(), held)


def guard(departed: int, rows: int, most_share: float, allowed: Sequence[UnlinkAllowance] = ()) -> str:
    """Return why nothing of a table may be unlinked, empty when it may. `rows` counts mapped and departed rows.

    An empty mapping clears nothing at any share: it is what a mapping looks like that is being written. What is `allowed`
    for the table in this run goes before all that, as far as it goes.
    """
    if any(departed <= one.most_rows and (departed < rows or one.empty_mapping) for one in allowed):
        return ""
    beyond = ", and beyond what is allowed for this run" if allowed else ""
    if departed >= rows:
        return f"no row of the table is left in the mapping{beyond}"
    if departed > most_share * rows:
        share = f"more than {most_share:.0%} (LINKER_UNLINK_MAX_SHARE)"
        return f"{departed:,} of {rows:,} rows left the mapping, {share}{beyond}"
    return ""


@dataclass(frozen=True, slots=True)
class Held:
    """Why departed rows keep their links in this run; both empty when they do not."""

    code: str = ""
    reason: str = ""

    def outcome(self, counts: Counts, after: str | None, *, later_s: float = 0.0, failed: str = "") -> UnlinkOutcome:
        """Return what a call came to."""
        return UnlinkOutcome(counts, after, self.reason, self.code == GUARDED, later_s, failed)


async def _held_back(deps: Deps, task: UnlinkTask) -> Held:
    if reason := guard(task.departed, task.rows, deps.settings.unlink_max_share, task.allowed):
        return Held(GUARDED, reason)
    if task.marks is not None and await marks_of(deps, task.marks) != task.marks:
        return Held("MappingMoved", "mapping or profiles changed while the run was under way")
    return Held()


def _counted_only(task: UnlinkTask, held: Held) -> UnlinkOutcome:
    counts = Counts(deferred=task.departed) if held.code else Counts(unlinked=task.departed)
    return held.outcome(counts, None)


async def _pages(deps: Deps, task: UnlinkTask, dataverse: Dataverse, held: Held) -> UnlinkOutcome:
    """Settle one page after the other. What interrupts it comes back with the counts of the pages that are done."""
    counts, after, done = Counts(), task.after, 0
    try:
        work = await _Unlinking.start(deps, task, dataverse, held)
        async for page, departed in deps.departed.after(task.table, task.run, task.after):
            counts += await work.page(page, departed)
            after, done = page, done + 1
            if done == PAGES_A_CALL:
                return held.outcome(counts, after)
    except (TransientError, SupersededError, UnknownOutcomeError) as error:
        return held.outcome(counts, after, later_s=getattr(error, "wait_s", 1.0))
    except LinkerError as error:
        return held.outcome(counts, after, failed=str(error)[:1000])
    return held.outcome(counts, None)


@dataclass(frozen=True, slots=True)
class _Unlinking:
    """What all pages of one call share."""

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
        found = await find_sources(dataverse, MappingColumns(target.name_column))
        sources = {*target.sources, *(source for source in found if source.table.casefold() in called)}
        return cls(deps, task, target, tuple(sorted(sources)), dataverse, held)

    async def page(self, page: str, departed: list[RowKey]) -> Counts:
        """Settle the departed rows of one page. Rows that the block names no more were settled before."""
        if self.held.code:
            return await self._defer(departed, self.held.code, self.held.reason)
        attempt = Attempt(self.deps, self.task.table, page)
        attempt.found(await self.deps.blocks.load(self.task.table, page))
        if not attempt.block.known:
            return await self._defer(departed, "BlockLost")
        here = [row for row in departed if row in attempt.block.entries]
        await attempt.take()
        try:
            counts = await self._settle(attempt, here)
        except LinkerError as error:
            if isinstance(error, UnknownOutcomeError):
                attempt.unanswered()
            await attempt.release()
            raise
        return counts + Counts(unlinked=len(departed) - len(here))

    async def _settle(self, attempt: Attempt, departed: list[RowKey]) -> Counts:
        """Confirm absence, read link and ETag, clear what is ours, and forget only what was confirmed."""
        columns = MappingColumns(self.target.name_column)
        back = await self.dataverse.still_mapped(columns, self.sources, departed)
        absent = [row for row in departed if row not in back]
        live = await self.dataverse.links(self.target, LOOKUP_SCHEMA_NAME, absent)
        salt = await self.deps.salt()
        ours = {row: link.etag for row, link in live.items() if _is_ours(link, attempt.block.entries[row], salt)}
        kept = {row for row, link in live.items() if link.profile is not None and row not in ours}
        refused: dict[RowKey, DataverseError] = {}
        for rows in chunks(sorted(ours), PATCHES):
            await attempt.before_send()
            refused |= await self.dataverse.clear_links(self.target, {row: ours[row] for row in rows})
        still = await self.dataverse.links(self.target, LOOKUP_SCHEMA_NAME, list(ours)) if ours else {}
        open_rows = {row for row in ours if row in refused or (row in still and still[row].profile is not None)}
        settled = set(absent) - open_rows
        entries = {row: hashes for row, hashes in attempt.block.entries.items() if row not in settled}
        await attempt.finish(entries, self.task.run, attempt.block.header.epoch)
        deferred = await self._defer(sorted(back), "Mapped")
        deferred += await self._defer(sorted(open_rows), "LinkChanged")
        return Counts(unchanged=len(kept), unlinked=len(settled) - len(kept)) + deferred

    async def _defer(self, rows: list[RowKey], code: str, reason: str = "") -> Counts:
        issues = [issue(self.task.table, key_text(row), code, _sentence(reason)) for row in rows]
        await self.deps.issues.save(self.task.run, issues, dry_run=self.task.dry_run)
        return Counts(deferred=len(rows))


def _sentence(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:]}." if reason else ""


def _is_ours(link: LiveLink, hashes: tuple[int, ...], salt: bytes) -> bool:
    return link.customer is not None and names(hashes, row_hash(link.customer, salt))
