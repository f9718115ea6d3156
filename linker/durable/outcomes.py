"""What became of the rows of one shard: counted by outcome, saved for people, and handed to the touch phase."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field, replace

from linker.core.errors import LedgerError
from linker.core.keys import key_text, key_texts
from linker.core.linking.hash_blocks import Header
from linker.core.linking.shards import Wanted
from linker.core.model import Counts, Link, RowKey, Target
from linker.core.records import PlannedChange, RowIssue, invalid_key, issue, refusal
from linker.core.runs.activity_values import ShardOutcome, ShardTask
from linker.deps import Deps
from linker.durable.isolation import Refusals, TableRefusedError
from linker.durable.writes import Written

MAX_OPEN = 5_000  # rows that are read to see which were open before; only where nothing landed and rows were refused


@dataclass(slots=True)
class Outcomes:
    """Rows of one table by outcome."""

    table: str
    linked: set[RowKey] = field(default_factory=set)
    unchanged: set[RowKey] = field(default_factory=set)
    issues: dict[str, RowIssue] = field(default_factory=dict)  # rejected and deferred, by row
    settled: int = 0  # unchanged rows of a shard that was not opened
    earlier: int = 0  # of the unchanged rows, those that an earlier attempt of the same run linked
    drifted: set[RowKey] = field(default_factory=set)  # rows whose confirmed link another writer had changed
    drifted_before: int = 0  # of them, those that an earlier attempt of the same run linked

    @property
    def counts(self) -> Counts:
        """The right side of the ledger."""
        rejected = sum(1 for found in self.issues.values() if found.outcome == "rejected")
        return Counts(
            linked=len(self.linked) + self.earlier,
            unchanged=len(self.unchanged) + self.settled - self.earlier,
            rejected=rejected,
            deferred=len(self.issues) - rejected,
        )

    @property
    def drift(self) -> int:
        """Of the linked rows, those whose confirmed link another writer had changed: what was not set right is none."""
        return len(self.drifted & self.linked) + self.drifted_before

    @property
    def lost(self) -> int:
        """Rows that Dataverse accepted and did not store."""
        return sum(1 for found in self.issues.values() if found.code == "NotStored")

    def so_far(self, *, besides: int = 0) -> dict[str, int]:
        """Return what this run has done on the shard by now, in whichever attempt. `besides`: linked rows left out."""
        return {"linked": self.counts.linked - besides, "drift": self.drift}

    def note_confirmed(self, keys: Set[RowKey], header: Header, run: str) -> None:
        """Note rows that the block confirms. What an earlier attempt of the run linked, the run linked."""
        self.unchanged |= keys
        if header.run == run:
            self.earlier, self.drifted_before = min(header.linked, len(keys)), header.drift

    def note_confirmed_rows(self, rows: int, header: Header, run: str) -> None:
        """Note so many rows that the block confirms, without their keys; see `note_confirmed`."""
        self.settled = rows
        if header.run == run:
            self.earlier, self.drifted_before = min(header.linked, rows), header.drift

    def has_issue(self, key: RowKey) -> bool:
        """Return whether a row was rejected or deferred."""
        return key_text(key) in self.issues

    def note_issue(self, key: RowKey, code: str, text: str = "") -> None:
        """Note why a row was not linked."""
        row = key_text(key)
        self.issues[row] = issue(self.table, row, code, text)

    def keep_readable(self, links: Mapping[RowKey, Link], target: Target) -> dict[RowKey, Link]:
        """Return the links that may be written: those of rows without an issue that can be read back.

        Where rows do not show the partition of a link, one into another partition looks like a dead one. Such a
        row is rejected, however the rows of other profiles fare. A dry run before the column exists cannot know.
        """
        if target.navigation and not target.partition_column:
            for key in [key for key, link in links.items() if link.partition]:
                self.note_issue(key, "PartitionNotShown")
        if not self.issues:
            return dict(links)
        rows = zip(links.items(), key_texts(links), strict=True)
        return {key: link for (key, link), row in rows if row not in self.issues}

    def note_invalid(self, texts: Iterable[str]) -> None:
        """Note mapping rows without a key: each is counted, equal ones are shown once."""
        for number, text in enumerate(texts):
            self.issues[f"{number}:{text}"] = invalid_key(self.table, text)

    def note_written(self, written: Written) -> None:
        """Note what became of rows that were written."""
        for key, error in written.refused.items():
            profile = written.links[key].profile
            self.issues[key_text(key)] = refusal(self.table, key_text(key), error, profile)
        for key in written.lost:
            self.note_issue(key, "NotStored")
        self.linked |= written.linked


@dataclass(slots=True)
class ShardReport:
    """What one attempt at a shard leaves behind: row errors, samples of a dry run, profiles to touch, and its outcome."""

    deps: Deps
    task: ShardTask
    shard: str
    outcomes: Outcomes
    planned: dict[RowKey, Link] = field(default_factory=dict)  # what a dry run would write
    profiles: set[str] = field(default_factory=set)  # that got newly linked rows
    proven: bool = False  # a link of the table was read back alive
    refusals: Refusals = field(init=False)

    def __post_init__(self) -> None:
        self.refusals = Refusals(self._find_open)

    async def find_noted(self, header: Header) -> set[RowKey]:
        """Return the removed rows that an earlier attempt of this run noted. Its unlinking pass may have settled them since, so
        that the block no longer names them. The run counts them anyway.
        """
        if header.run != self.task.run:
            return set()
        return set(await self.deps.removed.load(self.task.table, self.shard, self.task.run))

    async def finds_proof(self) -> bool:
        """Return whether a link of the table was proved to be alive by now, as a repeated attempt may find."""
        found = await self.deps.states.load(self.task.table)
        self.proven = found is not None and found[0].proven
        return self.proven

    async def note_proof(self) -> None:
        """Remember that a link of the table is alive."""
        await self.deps.change_state(self.task.table, lambda state: replace(state, proven=True))
        self.proven = True

    async def finish(self, rows_read: int, wanted: Wanted, removed: Iterable[RowKey]) -> ShardOutcome:
        """Count both sides of the ledger, each where it came from, and hold them against each other."""
        removed = tuple(removed)
        counts = replace(self.outcomes.counts, rows_read=rows_read)
        if counts.rows_read != counts.outcomes:
            raise LedgerError(
                f"Shard {self.task.number} of '{self.task.table}' read {counts.rows_read:,} rows and accounts for "
                f"{counts.outcomes:,}. What it wrote is saved; run again, and report this."
            )
        alike = await self.refusals.alike()  # before these rows are remembered
        await self._save_issues()
        if self.task.dry_run:
            await self._save_samples(wanted, removed)
        elif removed:
            await self.deps.removed.note(self.task.table, self.shard, self.task.run, removed)
        return ShardOutcome(
            counts,
            len(removed),
            len(wanted.conflicts),
            self.outcomes.drift,
            self.outcomes.lost,
            self.proven,
            refused=len(alike),
            refusal=next((str(error)[:300] for error in alike.values()), ""),
        )

    async def save_refused(self, refused: TableRefusedError) -> None:
        """Save why the rows of a sample were refused."""
        found = [refusal(self.task.table, key_text(key), error) for key, error in refused.sample.items()]
        await self.deps.issues.save(self.task.run, found)

    async def note_profiles(self) -> None:
        """Hand the profiles over to the touch phase, before the block forgets which rows are new."""
        if self.profiles and self.deps.settings.touch_profiles:
            note = self.deps.new_id()
            await self.deps.waiting.note(self.task.run, note, self.profiles, dry_run=self.task.dry_run)

    async def _find_open(self) -> Collection[RowKey]:
        """Return rows that earlier runs left open: that they are refused again says nothing about the others."""
        return set(await self.deps.issues.open_rows(self.task.table, MAX_OPEN))

    async def _save_samples(self, wanted: Wanted, removed: Iterable[RowKey]) -> None:
        table, planned = self.task.table, sorted(self.planned.items())  # the same rows in whatever order they were read
        links = (
            PlannedChange(table, key_text(k), "link", wanted.claims[k].customer, link.profile) for k, link in planned
        )
        unlinks = (PlannedChange(table, key_text(k), "unlink") for k in removed)
        await self.deps.samples.save(self.task.run, (self.task.table, self.shard), links, unlinks)

    async def _save_issues(self) -> None:
        await self.deps.issues.save(self.task.run, list(self.outcomes.issues.values()), dry_run=self.task.dry_run)
