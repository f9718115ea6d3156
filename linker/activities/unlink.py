"""The second pass: rows that left the mapping lose the link that we gave them, and no other (design decision 18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from linker.activities.attempt import Attempt
from linker.activities.life import go_on
from linker.activities.marks import marks_of
from linker.activities.values import UnlinkOutcome, UnlinkTask
from linker.activities.writing import PATCHES, ROUNDS
from linker.blocks import names, row_hash
from linker.core.keys import key_text
from linker.dataverse import Dataverse, LiveLink
from linker.deps import Deps
from linker.errors import DataverseError, LinkerError, StateError, SupersededError, TransientError, UnknownOutcomeError
from linker.evidence import find_sources
from linker.model import LOOKUP_SCHEMA_NAME, Counts, RowIssue, RowKey, Source, Target, UnlinkAllowance
from linker.odata import MappingColumns, chunks
from linker.pages import Plan
from linker.reasons import GUARDED, issue, refusal

PAGES_A_CALL = 20  # an activity stays short, so that cancelling and renewing stay quick
PRECONDITION_FAILED = 412
_KEPT = "Dataverse accepted twice that the link is cleared, and kept it."


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


async def _held_back(deps: Deps, task: UnlinkTask) -> Held:
    if reason := guard(task.departed, task.rows, deps.settings.unlink_max_share, task.allowed):
        return Held(GUARDED, reason)
    if task.marks is not None and await marks_of(deps, task.marks) != task.marks:
        return Held("MappingMoved", "mapping or profiles changed while the run was under way")
    return Held()


def _counted_only(task: UnlinkTask, held: Held) -> UnlinkOutcome:
    counts = Counts(deferred=task.departed) if held.code else Counts(unlinked=task.departed)
    return held.outcome(Cleared(counts), None)


async def _pages(deps: Deps, task: UnlinkTask, dataverse: Dataverse, held: Held) -> UnlinkOutcome:
    """Settle one page after the other. What interrupts it comes back with the counts of the pages that are done."""
    cleared, after, done = Cleared(), task.after, 0
    try:
        work = await _Unlinking.start(deps, task, dataverse, held)
        async for page, departed in deps.departed.after(task.table, task.run, task.after):
            await go_on(deps, task.run)
            cleared += await work.page(page, departed)
            after, done = page, done + 1
            if done == PAGES_A_CALL:
                return held.outcome(cleared, after)
    except (TransientError, SupersededError, UnknownOutcomeError) as error:
        return held.outcome(cleared, after, later_s=getattr(error, "wait_s", 1.0))
    except LinkerError as error:
        return held.outcome(cleared, after, failed=str(error)[:1000])
    return held.outcome(cleared, None)


@dataclass(frozen=True, slots=True)
class _Unlinking:
    """What all pages of one call share."""

    deps: Deps
    task: UnlinkTask
    target: Target
    sources: tuple[Source, ...]
    dataverse: Dataverse
    held: Held
    plan: Plan
    strays: tuple[str, ...]

    @classmethod
    async def start(cls, deps: Deps, task: UnlinkTask, dataverse: Dataverse, held: Held) -> _Unlinking:
        target = await deps.target(task.run, task.table)
        called = {task.table.casefold(), *(source.table.casefold() for source in target.sources)}
        found = await find_sources(dataverse, MappingColumns(target.name_column))
        sources = {*target.sources, *(source for source in found if source.table.casefold() in called)}
        stored = await deps.plans.load(task.table)
        if stored is None:
            raise StateError(f"Table '{task.table}' has no plan, so nothing is known of its rows. No link was cleared.")
        strays = tuple(await deps.strays.names(task.table))
        return cls(deps, task, target, tuple(sorted(sources)), dataverse, held, stored[0].plan, strays)

    async def page(self, page: str, departed: list[RowKey]) -> Cleared:
        """Settle the departed rows of one page. Rows that an earlier try settled come to the same again."""
        if self.held.code:
            return Cleared(await self._told(self._issues(departed, self.held.code, self.held.reason)))
        attempt = Attempt(self.deps, self.task.table, page)
        attempt.found(await self.deps.blocks.load(self.task.table, page))
        if not attempt.block.known:
            return Cleared(await self._told(self._issues(departed, "BlockLost")))
        await attempt.take()
        try:
            return await self._settle(attempt, departed)
        except LinkerError as error:
            if isinstance(error, UnknownOutcomeError):
                attempt.unanswered()
            await attempt.release()
            raise

    async def _settle(self, attempt: Attempt, departed: list[RowKey]) -> Cleared:
        """Confirm absence, read link and ETag, clear what is ours, and forget only what was confirmed."""
        columns = MappingColumns(self.target.name_column)
        back = await self.dataverse.still_mapped(columns, self.sources, departed)
        elsewhere = await self._named_elsewhere(attempt.page, set(departed))
        absent = [row for row in departed if row not in back and row not in elsewhere]
        live, known, salt = await self._links(absent), attempt.block.entries, await self.deps.salt()
        ours = {row: link for row, link in live.items() if _is_ours(link, known.get(row, ()), salt)}
        kept = {row for row, link in live.items() if link.profile is not None and row not in ours}
        left = await self._clear(attempt, ours)
        settled = set(absent) - left.keys() | elsewhere
        entries = {row: hashes for row, hashes in known.items() if row not in settled}
        await attempt.finish(entries, self.task.run, attempt.block.header.epoch)
        told = await self._told([*self._issues(sorted(set(back) - elsewhere), "Mapped"), *left.values()])
        unchanged = len(kept) + len(elsewhere)
        counts = Counts(unchanged=unchanged, unlinked=len(settled) - unchanged) + told
        return Cleared(counts, sum(1 for found in left.values() if found.code == "NotStored"))

    async def _named_elsewhere(self, page: str, departed: set[RowKey]) -> set[RowKey]:
        """Return the rows that another page's block names: the mapping spells their keys in another way now."""
        homes = {self.plan.name(self.plan.page_of(row)) for row in departed}
        named = set[RowKey]()
        for name in {*homes, *self.strays} - {page}:
            named |= departed & (await self.deps.blocks.load(self.task.table, name)).block.entries.keys()
        return named

    async def _clear(self, attempt: Attempt, ours: Mapping[RowKey, LiveLink]) -> dict[RowKey, RowIssue]:
        """Clear links and read them back; return why rows keep theirs. What was accepted and not stored is sent once more."""
        left: dict[RowKey, RowIssue] = {}
        for _ in range(ROUNDS):
            refused = await self._send(attempt, ours)
            still = {row: link for row, link in (await self._links(list(ours))).items() if link.profile is not None}
            left |= {row: self._refusal(row, refused[row]) for row in still.keys() & refused.keys()}
            others = {row for row in still.keys() - refused.keys() if still[row].profile != ours[row].profile}
            left |= {row: issue(self.task.table, key_text(row), "LinkChanged") for row in others}
            ours = {row: link for row, link in still.items() if row not in left}
        return left | {row: issue(self.task.table, key_text(row), "NotStored", _KEPT) for row in ours}

    async def _send(self, attempt: Attempt, links: Mapping[RowKey, LiveLink]) -> dict[RowKey, DataverseError]:
        refused: dict[RowKey, DataverseError] = {}
        for rows in chunks(sorted(links), PATCHES):
            await attempt.before_send()
            refused |= await self.dataverse.clear_links(self.target, {row: links[row].etag for row in rows})
        return refused

    async def _links(self, rows: list[RowKey]) -> dict[RowKey, LiveLink]:
        return await self.dataverse.links(self.target, LOOKUP_SCHEMA_NAME, rows)

    def _refusal(self, row: RowKey, error: DataverseError) -> RowIssue:
        if error.status == PRECONDITION_FAILED:
            return issue(self.task.table, key_text(row), "LinkChanged")
        return refusal(self.task.table, key_text(row), error)

    def _issues(self, rows: list[RowKey], code: str, reason: str = "") -> list[RowIssue]:
        return [issue(self.task.table, key_text(row), code, _sentence(reason)) for row in rows]

    async def _told(self, issues: Sequence[RowIssue]) -> Counts:
        """Save the row issues of a page and count them."""
        await self.deps.issues.save(self.task.run, issues, dry_run=self.task.dry_run)
        rejected = sum(1 for found in issues if found.outcome == "rejected")
        return Counts(rejected=rejected, deferred=len(issues) - rejected)


def _sentence(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:]}." if reason else ""


def _is_ours(link: LiveLink, hashes: tuple[int, ...], salt: bytes) -> bool:
    return link.customer is not None and names(hashes, row_hash(link.customer, salt))
