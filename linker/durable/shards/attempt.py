"""One attempt at a shard: it takes the shard by ETag, and sends only within its time."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

from linker.adapters.storage import StoredBlock
from linker.core.errors import ChangedError, SupersededError, TransientError
from linker.core.linking.hash_blocks import Entries, HashBlock, Header
from linker.deps import Deps

MARGIN_S = 1.0  # between the last moment to send and the end of the longest write


class ShardHeldError(TransientError):
    """Another attempt owns the shard; it may send until its time is over."""


class Attempt:
    """Ownership of one shard's block, from `take` to `save`."""

    def __init__(self, deps: Deps, table: str, shard: str, salt_name: str = "") -> None:
        self._deps, self._key, self._salt_name = deps, (table, shard), salt_name
        self._id = deps.new_id()
        self._stored = StoredBlock(HashBlock(), None)
        self._before = self._stored.block.header
        self.owns = False
        self._renewing = asyncio.Lock()  # lanes of one shard ask at the same time
        self._open_until = 0.0  # epoch s: until then a write without an answer may still be committed

    @property
    def shard(self) -> str:
        """The name of the shard."""
        return self._key[1]

    @property
    def block(self) -> HashBlock:
        """The block as this attempt read or saved it last."""
        return self._stored.block

    def found(self, stored: StoredBlock) -> None:
        """Start from a block that was read. Raises ShardHeldError while another attempt owns it."""
        header, now = stored.block.header, self._deps.clock()
        if header.attempt and header.until > now:
            left_s = min(header.until - now, self._left_s(header, now))
            if left_s > 0:
                raise ShardHeldError("Another attempt works on this shard.", wait_s=left_s + MARGIN_S)
        self._deps.cache.held_shards.pop(self._key, None)
        self._stored, self._before = stored, header

    def _left_s(self, header: Header, now: float) -> float:
        """Return for how long at most the attempt in a header may still send, by the time that this process has seen it.

        `until` comes from the clock of another host, which may be wrong. An attempt that does not take the shard again
        sends for `attempt_seconds` and no longer, so one that was seen unchanged for so long is over.
        """
        seen, owner = self._deps.cache.held_shards, (header.attempt, header.until)
        known, since = seen.get(self._key, (owner, now))
        since = since if known == owner else now
        seen[self._key] = (owner, since)
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
        """Save entries and keep the shard: intents come before the first write. `linked` and `drift` see Header."""
        header = self.block.header
        saved = self.block.saved_by(run, header.epoch, entries, linked=linked, drift=drift, secret=self._salt_name)
        await self._save(saved.owned_by(header.attempt, header.until))

    async def finish(self, entries: Entries, run: str, epoch: str, *, linked: int = 0, drift: int = 0) -> None:
        """Save what was confirmed and give the shard back, later if a write may still be under way.

        A run that saves something new gets on: it may be interrupted once more without its work being set aside.
        """
        block = self.block.saved_by(run, epoch, entries, linked=linked, drift=drift, secret=self._salt_name)
        await self._save(block.owned_by(self._id, self._open_until) if self._open_until else block)
        self.owns = False
        if (block.header.digest, epoch) != (self._before.digest, self._before.epoch):
            with contextlib.suppress(TransientError):  # the shard is done anyway
                await self._deps.lock.progressed(run)

    async def release(self) -> bool:
        """Give the shard back as it stands, after a step that failed in an orderly way. False: a later attempt has it."""
        if not self.owns:
            return True
        self.owns = False
        owner = self._id if self._open_until else ""
        try:
            await self._deps.blocks.take(
                *self._key, replace(self._stored, block=self.block.owned_by(owner, self._open_until))
            )
        except ChangedError:
            return False
        return True

    def unanswered(self) -> None:
        """Note that a write got no answer: Dataverse may commit it until its own time is over."""
        self._open_until = self._deps.clock() + self._deps.settings.write_timeout_seconds

    async def _own(self) -> None:
        until = self._deps.clock() + self._deps.settings.attempt_seconds
        taken = replace(self._stored, block=self.block.owned_by(self._id, until))
        self._stored = await self._deps.blocks.take(*self._key, taken)
        self.owns = True

    async def _save(self, block: HashBlock) -> None:
        try:
            self._stored = await self._deps.blocks.save(*self._key, replace(self._stored, block=block))
        except ChangedError as error:
            self.owns = False
            raise SupersededError("A later attempt took this shard.") from error
