"""The run lock in Table Storage: loads the one entity, applies a change of `linker.core.runs.run_lock`, saves it by ETag."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

from linker.adapters.storage.table_guards import cut_text, join_text
from linker.core.errors import AlreadyThereError, ChangedError, TransientError
from linker.core.model import RunRequest, Ticket
from linker.core.ports import Entity, Tables
from linker.core.runs import lock_state, run_lock
from linker.core.runs.lock_state import LockState, Pause, TakeOver
from linker.core.runs.run_lock import Cancellation, Grant, Renewal
from linker.core.serialization import dumps, loads

TABLE: Final = "linkerstatus"
ROW: Final = "lock"
MAX_ATTEMPTS: Final = 40  # of one operation, each after a longer pause: about a minute when the lock stays contended
_MARKS_KEPT: Final = 64  # changes by others that may come between a write and the look whether it was stored


async def pause(attempt: int) -> None:
    """Wait before the next attempt, longer each time (at most 2 s) and by chance, so that contenders part."""
    await asyncio.sleep(random.uniform(0, min(2.0, 0.02 * 1.5**attempt)))  # noqa: S311 - nothing secret


@dataclass(frozen=True, slots=True)
class _Saved:
    """The entity as read. `marks` name the latest changes, so that a change whose answer was lost is recognised."""

    state: LockState
    marks: tuple[str, ...]
    etag: str | None


@dataclass(slots=True)
class Watch:
    """The lease as this process saw it last, and since when, by its own stopwatch: no clock is trusted, its own neither.

    The lease was set after the last look that found another one (`after_s`), and before the first that found it (`since_s`).
    """

    lease: tuple[str, float] = ("", 0.0)  # holder and end
    since_s: float = 0.0
    after_s: float = -inf
    looked_s: float = -inf

    def look(self, state: LockState, now_s: float) -> tuple[float, float]:
        """Return for how many seconds the lease has been as it is, at least and at most."""
        lease = (state.holder.run if state.holder else "", state.expires)
        if lease != self.lease:
            self.lease, self.since_s, self.after_s = lease, now_s, self.looked_s
        self.looked_s = now_s
        return now_s - self.since_s, now_s - self.after_s


@dataclass(frozen=True, slots=True)
class RunLock:
    """The lock of one environment (`partition`). Every method is one atomic change; any of them may be repeated.

    `clock` returns epoch seconds, `new_id` ids that are used once, `stopwatch` seconds that nothing sets. Raises
    TransientError when the storage does not answer or the lock stays contended; the change may then have been made.
    """

    tables: Tables
    partition: str
    clock: Callable[[], float]
    lease_s: float
    new_id: Callable[[], str]
    pause: Callable[[int], Awaitable[None]] = pause
    stopwatch: Callable[[], float] = time.monotonic
    watch: Watch = field(default_factory=Watch)

    async def request(self, wanted: RunRequest, key: str = "") -> Grant:
        """See lock.request. The new run, if there is one, is named by `new_id`."""
        run_id = self.new_id()
        return await self._change(
            lambda state: run_lock.request(
                state, wanted, run_id=run_id, now=self.clock(), lease_s=self.lease_s, key=key
            )
        )

    async def renew(self, run: str) -> Renewal:
        """See lock.renew."""
        return await self._change(lambda state: run_lock.renew(state, run, now=self.clock(), lease_s=self.lease_s))

    async def finish(self, run: str, *, completed: bool) -> Ticket | None:
        """See lock.finish."""
        return await self._change(
            lambda state: run_lock.finish(state, run, completed=completed, now=self.clock(), lease_s=self.lease_s)
        )

    async def cancel(self, run: str) -> Cancellation:
        """See lock.cancel."""
        return await self._change(lambda state: run_lock.cancel(state, run))

    async def take_over(self) -> TakeOver | None:
        """See lock.take_over. The run that does the work again is named by `new_id`."""
        run_id = self.new_id()

        def step(state: LockState) -> tuple[LockState, TakeOver | None]:
            least_s, most_s = self.watch.look(state, self.stopwatch())
            now, lease_s = self.clock(), self.lease_s
            return run_lock.take_over(
                state, run_id=run_id, now=now, lease_s=lease_s, unchanged_s=least_s, oldest_s=most_s
            )

        return await self._change(step)

    async def begin_waiting(self) -> Ticket | None:
        """See lock.begin_waiting."""
        return await self._change(lambda state: run_lock.begin_waiting(state, now=self.clock(), lease_s=self.lease_s))

    async def pause_runs(self, wanted: Pause) -> None:
        """Let no run begin before the pause ends; it takes the place of another one."""
        await self._change(lambda state: (replace(state, pause=wanted), None))

    async def resume(self) -> Ticket | None:
        """See lock.resume."""
        return await self._change(lambda state: run_lock.resume(state, now=self.clock(), lease_s=self.lease_s))

    async def let_go(self, run: str) -> bool:
        """See lock.let_go."""
        return await self._change(lambda state: run_lock.let_go(state, run))

    async def note_progress(self, run: str) -> None:
        """See lock.progressed."""
        await self._change(lambda state: (run_lock.note_progress(state, run), None))

    async def peek(self) -> LockState:
        """Return the state as it is."""
        return (await self._load()).state

    async def _change[T](self, step: Callable[[LockState], tuple[LockState, T]]) -> T:
        """Apply `step` to the state in storage, again whenever another host was faster, and return its answer.

        All attempts carry one mark. An attempt of unknown outcome can be stored only while the state is still the one it
        was computed from, and `step` gives the same answer for the same state, so the latest answer is the right one.
        """
        mark = self.new_id()
        saved = await self._load()
        for attempt in range(MAX_ATTEMPTS):
            state, answer = step(saved.state)
            if state == saved.state:
                return answer
            if await self._store(_Saved(state, (*saved.marks, mark)[-_MARKS_KEPT:], saved.etag)):
                return answer
            await self.pause(attempt)
            saved = await self._load()
            if mark in saved.marks:
                return answer
        raise TransientError(f"The run lock of '{self.partition}' could not be changed: others are always faster.")

    async def _load(self) -> _Saved:
        entity = await self.tables.get(TABLE, self.partition, ROW)
        return _Saved(LockState(), (), None) if entity is None else _read(entity)

    async def _store(self, saved: _Saved) -> bool:
        """Return whether it was stored. False: it was not, or the outcome is unknown."""
        properties = {**cut_text(dumps(saved.state)), "marks": " ".join(saved.marks)}
        try:
            if saved.etag is None:
                await self.tables.insert(TABLE, self.partition, ROW, properties)
            else:
                await self.tables.replace(TABLE, self.partition, ROW, properties, etag=saved.etag)
        except (AlreadyThereError, ChangedError, TransientError):
            return False
        return True


def _read(entity: Entity) -> _Saved:
    text = join_text(entity) or str(entity.properties["state"])  # as the version before saved it, in one piece
    return _Saved(
        lock_state.slim_state(loads(LockState, text)), tuple(str(entity.properties["marks"]).split()), entity.etag
    )
