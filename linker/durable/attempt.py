"""One attempt at a shard: it owns the shard by ETag, and sends only within its time.

An attempt at links owns its shard from the save of its intents on, which takes no write of its own. Until then it only reads,
and the ETag keeps what it read from being saved over the work of another attempt.
A superseded attempt may still have written rows late, and a profile may have come back under another id, of which the mapping
shows nothing. Such rows are marked, so that their stored hashes are not trusted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace

from linker.adapters.dataverse import Dataverse
from linker.adapters.storage import StoredBlock, TaskState
from linker.core.errors import ChangedError, DataverseError, SupersededError, TransientError
from linker.core.linking.hash_blocks import Entries, Entry, HashBlock, Header, hash_link, intend, unconfirm
from linker.core.linking.mapping_scan import TableState
from linker.core.linking.shards import Shard, fold_customer, group_by_shard, shard_of
from linker.core.model import Link, RowKey, Target
from linker.core.odata import MappingColumns
from linker.core.serialization import iso
from linker.deps import Deps
from linker.services.full_reasons import mark_unconfirmed

MARGIN_S = 1.0  # between the last moment to send and the end of the longest write


class ShardHeldError(TransientError):
    """Another attempt owns the shard; it may send until its time is over."""


class Attempt:
    """Ownership of one shard's block, from `take` or `intend` to `finish`."""

    def __init__(self, deps: Deps, table: str, shard: str, salt_name: str = "") -> None:
        self._deps, self.key, self._salt_name = deps, (table, shard), salt_name
        self._id = deps.new_id()
        self.block = HashBlock()  # as this attempt read or saved it last
        self._etag: str | None = None
        self._before = self.block.header
        self.owns = False
        self._renewing = asyncio.Lock()  # lanes of one shard ask at the same time
        self._open_until = 0.0  # epoch s: until then a write without an answer may still be committed

    def start_from(self, stored: StoredBlock) -> None:
        """Start from a block that was read. Raises ShardHeldError while another attempt owns it."""
        header, now = stored.block.header, self._deps.clock()
        if header.attempt and header.until > now:
            left_s = min(header.until - now, self._seconds_left(header, now))
            if left_s > 0:
                raise ShardHeldError("Another attempt works on this shard.", wait_s=left_s + MARGIN_S)
        self._deps.cache.held_shards.pop(self.key, None)
        self._keep(stored)
        self._before = header

    def _keep(self, stored: StoredBlock) -> None:
        self.block, self._etag = stored.block, stored.etag

    def _seconds_left(self, header: Header, now: float) -> float:
        """Return for how long at most the attempt in a header may still send, by the time that this process has seen it.

        `until` comes from the clock of another host, which may be wrong. An attempt that does not take the shard again
        sends for `attempt_seconds` and no longer, so one that was seen unchanged for so long is over.
        """
        seen, owner = self._deps.cache.held_shards, (header.attempt, header.until)
        known, since = seen.get(self.key, (owner, now))
        since = since if known == owner else now
        seen[self.key] = (owner, since)
        return since + self._deps.settings.attempt_seconds - now

    async def take(self) -> None:
        """Own the shard from now on. Raises ShardHeldError when another attempt was faster."""
        try:
            await self._own()
        except ChangedError as error:
            raise ShardHeldError("Another attempt took this shard.", wait_s=MARGIN_S) from error

    async def before_send(self) -> None:
        """Make sure that a write which starts now ends within this attempt's time. Raises SupersededError if it cannot."""
        longest = self._deps.settings.write_timeout_seconds + MARGIN_S
        async with self._renewing:
            if self._deps.clock() + longest < self.block.header.until:
                return
            try:
                await self._own()
            except ChangedError as error:
                self.owns = False
                raise SupersededError("A later attempt took this shard.") from error

    async def intend(self, entries: Entries, run: str, *, linked: int = 0, drift: int = 0) -> None:
        """Save entries and own the shard from now on: intents come before the first write. `linked` and `drift` see Header.

        Raises ShardHeldError when another attempt was faster, SupersededError when this one lost the shard.
        """
        until = self._deps.clock() + self._deps.settings.attempt_seconds
        await self._save(entries, run, self.block.header.epoch, until, linked=linked, drift=drift)
        self.owns = True

    async def finish(self, entries: Entries, run: str, epoch: str, *, linked: int = 0, drift: int = 0) -> None:
        """Save what was confirmed and give the shard back, later if a write may still be under way.

        A run that saves something new makes progress: it may be interrupted once more without its work being set aside.
        """
        await self._save(entries, run, epoch, self._open_until, linked=linked, drift=drift)
        self.owns = False
        if (self.block.header.digest, epoch) != (self._before.digest, self._before.epoch):
            await self._note_progress(run)

    async def _note_progress(self, run: str) -> None:
        """Note the progress of a run once in this process. The lock keeps the note as long as the run lasts."""
        if self._deps.cache.progressed == run:
            return
        with contextlib.suppress(TransientError):  # the shard is done anyway
            await self._deps.lock.note_progress(run)
            self._deps.cache.progressed = run

    async def release(self) -> bool:
        """Give the shard back as it stands, after a step that failed in an orderly way. False: a later attempt has it."""
        if not self.owns:
            return True
        self.owns = False
        owner = self._id if self._open_until else ""
        try:
            given_back = StoredBlock(self.block.owned_by(owner, self._open_until), self._etag)
            await self._deps.blocks.take(*self.key, given_back)
        except ChangedError:
            return False
        return True

    def note_unanswered(self) -> None:
        """Note that a write got no answer: Dataverse may commit it until its own time is over."""
        self._open_until = self._deps.clock() + self._deps.settings.write_timeout_seconds

    async def _own(self) -> None:
        until = self._deps.clock() + self._deps.settings.attempt_seconds
        taken = StoredBlock(self.block.owned_by(self._id, until), self._etag)
        self._keep(await self._deps.blocks.take(*self.key, taken))
        self.owns = True

    async def _save(self, entries: Entries, run: str, epoch: str, until: float, *, linked: int, drift: int) -> None:
        """Save the block, owned by this attempt until a time (epoch s), 0 for no owner."""
        block = self.block.saved_by(run, epoch, entries, linked=linked, drift=drift, secret=self._salt_name)
        block = block.owned_by(self._id, until) if until else block
        try:
            self._keep(await self._deps.blocks.save(*self.key, StoredBlock(block, self._etag)))
        except ChangedError as error:
            if not self.owns:
                raise ShardHeldError("Another attempt took this shard.", wait_s=MARGIN_S) from error
            self.owns = False
            raise SupersededError("A later attempt took this shard.") from error


TRIES, WAIT_S = (
    20,
    3.0,
)  # only this attempt knows of these writes, so storage is asked for as long as an attempt may take


async def mark_late(deps: Deps, table: str, shard: Shard, sent: Mapping[RowKey, Entry]) -> None:
    """Name in the current blocks, unconfirmed, the entries that an attempt wrote although it lost its shard.

    The table may have grown to smaller shards since. The timer then asks for the run that corrects these rows within the hour.
    Raises TransientError when storage never answers.
    """
    for left in reversed(range(TRIES)):
        try:
            for current, rows in (await _current(deps, table, shard, sent)).items():
                await _mark(deps, table, current, rows)
            await deps.runs.change_task(_reopen)
        except (ChangedError, TransientError) as error:
            if not left:
                raise TransientError("Rows of a late write could not be marked; the shard is tried again.") from error
            await asyncio.sleep(0.0 if isinstance(error, ChangedError) else WAIT_S)
        else:
            return


async def _reopen(task: TaskState) -> TaskState:
    """Return the task as if no run had been complete: what the last one left is not right now."""
    return replace(task, completed=0.0)


async def _current(
    deps: Deps, table: str, shard: Shard, sent: Mapping[RowKey, Entry]
) -> Mapping[Shard, Mapping[RowKey, Entry]]:
    """Return the rows by the shards that hold them now. A shard that still is to be split keeps its own, too."""
    found = await deps.states.load(table)
    if found is None or found[0].bits == shard.bits:
        return {shard: sent}
    groups: dict[Shard, dict[RowKey, Entry]] = {shard: dict(sent)}
    for row, entry in sent.items():
        groups.setdefault(shard_of(row, found[0].bits), {})[row] = entry
    return groups


async def _mark(deps: Deps, table: str, shard: Shard, sent: Mapping[RowKey, Entry]) -> None:
    stored = await deps.blocks.load(table, shard.name)
    if not stored.block.known:
        return  # every row of it is compared anyway, or is marked in the larger shard from which it comes
    entries = dict(stored.block.entries)
    entries |= {key: intend(unconfirm(entries.get(key, ())), written) for key, written in sent.items()}
    await deps.blocks.save(table, shard.name, StoredBlock(stored.block.holding(entries), stored.etag))


MAX_NEW = 5_000  # profiles whose rows are looked up one by one; of more, all links are held against all profiles


async def mark_recreated(deps: Deps, dataverse: Dataverse, run: str, target: Target, state: TableState) -> bool:
    """Mark rows unconfirmed that are linked to another profile than the one that their customer has got since the last run.

    Return whether there are too many new profiles, or no way to ask for them, so that all links have to be looked at.
    """
    if not state.profiles_seen:
        return True
    profiles = await _new_profiles(deps, dataverse, run, target, state.profiles_seen)
    if profiles is None:
        return True
    if profiles:
        await mark_unconfirmed(
            deps, target.table, state, await _find_linked_elsewhere(deps, dataverse, target, state, profiles)
        )
    return False


async def _new_profiles(
    deps: Deps, dataverse: Dataverse, run: str, target: Target, seen: float
) -> dict[str, Link] | None:
    """Return the profiles that were created since a time, None when they are too many, or cannot be read. The tables of a
    run share the answer.
    """
    known = deps.cache.new_profiles
    if (run, seen) in known:
        return known[run, seen]
    for old in [key for key in known if key[0] != run]:
        del known[old]
    profiles: dict[str, Link] = {}
    try:
        async for some in dataverse.new_profiles(iso(seen), target):
            profiles |= some
            if len(profiles) > MAX_NEW:
                return None
    except DataverseError:  # no such column, or no such filter
        return None
    known[run, seen] = profiles
    return profiles


async def _find_linked_elsewhere(
    deps: Deps, dataverse: Dataverse, target: Target, state: TableState, profiles: dict[str, Link]
) -> list[RowKey]:
    """Return the rows of these customers that are confirmed on another profile."""
    rows = await dataverse.rows_of_customers(MappingColumns(target.name_column), target, sorted(profiles))
    by_customer = {_plain(customer): link for customer, link in profiles.items()}
    links = {key: by_customer[_plain(customer)] for key, customer in rows.items() if _plain(customer) in by_customer}
    salt, elsewhere = await deps.salt(), list[RowKey]()
    for shard, keys in group_by_shard(links, state.bits).items():
        entries = (await deps.blocks.load_or_split(target.table, shard, state.earlier_bits)).block.entries
        for key in keys & entries.keys():
            link = links[key] if target.partition_column else Link(links[key].profile)
            if any(entry.link != hash_link(key, link, salt) for entry in entries[key]):
                elsewhere.append(key)
    return elsewhere


def _plain(customer: str) -> str:
    return fold_customer(customer).replace("-", "")
