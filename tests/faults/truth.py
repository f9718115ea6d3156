"""What has to hold after a run, whatever happened to it, and what once all is said and done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from linker.core.keys import row_key
from linker.core.linking.hash_blocks import Entry, hash_link
from linker.core.linking.shards import Claim, all_shards, hash_wish
from linker.core.model import Counts, Link, Run, Status
from linker.deps import Deps
from sandbox.data.lookup_column import LOOKUP
from sandbox.database import Database, scan
from sandbox.database.unification import expected_links

from .scene import GONE, TABLES, Scene

COMPLETED = (Status.SUCCESSFUL, Status.WARNINGS)

type Links = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class TableTruth:
    """One table as it is. `customers` is the mapping, `profiles` the link that each mapped row should have."""

    table: str
    live: Links
    customers: dict[str, str]
    profiles: Links

    @property
    def missing(self) -> set[str]:
        """Mapped rows that Dataverse does not have."""
        return self.profiles.keys() - self.live.keys()

    @property
    def waiting(self) -> set[str]:
        """Mapped rows whose profile is not there."""
        return {row for row in self.live if row in self.profiles and self.profiles[row] is None}

    @property
    def wrong(self) -> set[str]:
        """Rows whose link is not the one that mapping and profiles ask for; those that wait for a profile are not."""
        return {row for row, link in self.live.items() if row not in self.waiting and link != self.profiles.get(row)}


def truths(database: Database) -> list[TableTruth]:
    """Read every source table with its mapping."""
    return [_truth(database, table) for table in TABLES]


def _truth(database: Database, name: str) -> TableTruth:
    table = database.schema.tables[name]
    columns = [table.primary_id, *([LOOKUP] if LOOKUP in table.columns else [])]
    live = {str(row[0]): _text(row[1]) if len(row) > 1 else None for row in scan(database, name, columns)}
    expected = list(expected_links(database, name))
    return TableTruth(
        name, live, {link.key: link.customer_id for link in expected}, {link.key: link.profile_id for link in expected}
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def lies(scene: Scene, run: Run) -> list[str]:
    """Return what a run that has ended says and is not so, as the tables stand now."""
    if run.ended_at is None:
        return [f"run {run.id} is {run.status} and never ended"]
    if run.status not in COMPLETED:
        return [] if run.status_detail else [f"run {run.id} is {run.status} and does not say why"]
    issues = scene.app.do(_issues(scene.deps, run.id))
    found = [f"{table.table}: {table.counts} do not add up" for table in run.tables if not _adds_up(table.counts)]
    untold = {
        truth.table: {row for row in truth.wrong if (truth.table, row) not in issues}
        for truth in truths(scene.database)
    }
    found += [
        f"{len(rows)} wrong rows of {table} are told by nobody: {min(rows)}" for table, rows in untold.items() if rows
    ]
    if run.status is Status.SUCCESSFUL and (run.counts.rejected or run.counts.deferred):
        found.append(f"run is Successful with {run.counts}")
    return found


def _adds_up(counts: Counts) -> bool:
    return counts.rows_read == counts.outcomes


async def _issues(deps: Deps, run: str) -> set[tuple[str, str]]:
    return {(issue.table, issue.row) async for _, issue in deps.issues.of_run(run)}


def undone(scene: Scene, run: Run) -> list[str]:
    """Return in what the environment differs from one that a run without faults has just been through."""
    found = [] if run.status is not Status.FAILED else [f"run failed: {run.status_detail}"]
    now = truths(scene.database)
    found += [f"{len(truth.wrong)} rows of {truth.table} are wrong" for truth in now if truth.wrong]
    missing, waiting = sum(len(truth.missing) for truth in now), sum(len(truth.waiting) for truth in now)
    # A row that is gone is found when something is to be written to it; mapped as it was before, it counts as unchanged.
    if not GONE <= run.counts.rejected <= missing or run.counts.deferred != waiting:
        found.append(f"{missing} rows are gone and {waiting} wait, the run says {run.counts}")
    found += scene.app.do(_inconsistent(scene.deps, now))
    lock = scene.app.do(scene.deps.lock.peek())
    return found + (["the lock is held"] if lock.holder or lock.pending else [])


async def _inconsistent(deps: Deps, now: list[TableTruth]) -> list[str]:
    return [text for truth in now for text in await _inconsistent_table(deps, truth)]


async def _inconsistent_table(deps: Deps, truth: TableTruth) -> list[str]:
    """Hold the blocks of a table against its links: one confirmed entry for each row that is linked, and none else."""
    stored = dict(await _entries(deps, truth.table))
    salt = await deps.salt()
    wanted = {
        key: (_entry(key, truth.customers[row], profile, salt),)
        for row in truth.live
        if (profile := truth.profiles.get(row)) is not None and (key := row_key(row)) is not None
    }
    waiting = {row_key(row) for row in truth.waiting | truth.missing}
    differ = [key for key in wanted if stored.get(key) != wanted[key]]
    left = stored.keys() - wanted.keys() - waiting
    told = ((differ, "differ from the links"), (left, "are of rows that are not mapped"))
    return [f"{len(keys)} entries of {truth.table} {what}" for keys, what in told if keys]


def _entry(key: bytes, customer: str, profile: str, salt: bytes) -> Entry:
    """Return the confirmed entry of a row: mapping rows of the sandbox name no profile, and no partition is set."""
    wish = hash_wish(key, Claim(customer), salt, names_profile=False)
    return Entry(wish, hash_link(key, Link(profile.lower()), salt))


async def _entries(deps: Deps, table: str) -> Iterator[tuple[bytes, tuple[Entry, ...]]]:
    found = await deps.states.load(table)
    assert found is not None
    assert not found[0].names_profile
    blocks = [await deps.blocks.load(table, shard.name) for shard in all_shards(found[0].bits)]
    return (entry for stored in blocks for entry in stored.block.entries.items())
