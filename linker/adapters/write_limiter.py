"""The limiter before Dataverse: the shell of the pace in this process, shared by all activities.

It counts the writes under way, feeds every answer to the pace (linker/core/throttling/pace.py), and lets a write begin when the
pace has room for it (docs/decisions/0007). No request of any kind is sent before Retry-After has ended.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from itertools import count

from linker.core.errors import ThrottledError, UnknownOutcomeError
from linker.core.throttling import pace as law
from linker.core.throttling.allowance import Kind
from linker.core.throttling.pace import Pace, first_control
from linker.core.throttling.width import Write

SHORT_WAIT_S = 5.0  # a longer pause is the orchestrator's: it costs nothing there
LOOK_S = 1.0  # the budget grows with time, without an event
# The limit on an answer that is waited for: a pause that Dataverse asks for says nothing against that answer.
answer_limit: ContextVar[asyncio.Timeout | None] = ContextVar("answer_limit", default=None)


def extend_limit(seconds: float) -> None:
    """Move the limit on the answer that is waited for, if there is one, by a pause of so many seconds."""
    limit = answer_limit.get()
    if limit is not None and (when := limit.when()) is not None and not limit.expired():
        limit.reschedule(when + seconds)


class Limiter:
    """Writes under way in this process. `clock` gives epoch seconds; `most` is LINKER_WIDTH; `process` names this process."""

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        most: int = 0,
        process: str = "",
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.control = replace(first_control(most), process=process)
        self._clock, self._sleep = clock, sleep
        self._under_way = 0
        self._turns, self._cuts = count(), count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []  # a heap of turn and order of arrival
        self._looking: asyncio.Task[None] | None = None

    def report(self) -> Pace:
        """Return what the orchestrator has to know."""
        return law.report(self.control, self._clock())

    def adopt(self, pace: Pace) -> None:
        """Take over what the orchestrator knows from other processes."""
        self.control = law.adopt_pace(self.control, pace, self._clock())

    def turn(self) -> int:
        """Return the turn of a shard that begins to write: its writes begin before those of later turns."""
        return next(self._turns)

    @asynccontextmanager
    async def lane(self, rows: int) -> AsyncIterator[None]:
        """Wait as `enter` does, and be one write of so many rows inside the block."""
        lane = await self.enter(self.turn())
        async with lane.writing(rows):
            yield

    async def enter(self, turn: int) -> Lane:
        """Wait until the pace has room for one more write, and return its lane. Waiting writes begin in the order of turns:
        so shards finish one after the other, and one reads back while the next ones write.

        Raises ThrottledError when a pause is longer than SHORT_WAIT_S; nothing was sent then.
        """
        while hold_s := (room := law.find_room(self.control, self._clock())).hold_s:
            await self._pass(hold_s)
        if not self._waiting and self._under_way < room.width:
            self._under_way += 1
            return self._open_lane()
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (turn, self.turn(), waiter))
        self._let_in()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.leave()
            raise
        return self._open_lane()

    def _open_lane(self) -> Lane:
        return Lane(self, self._clock(), self._under_way, law.rows_of_write(self.control, next(self._cuts)))

    def _let_in(self) -> None:
        """Let waiting writes begin while there is room. A long pause refuses them: the orchestrator waits at no cost."""
        if not self._waiting:
            return
        hold_s, width = law.find_room(self.control, self._clock())
        while self._waiting and (hold_s > SHORT_WAIT_S or self._under_way < width):
            _, _, waiter = heapq.heappop(self._waiting)
            if waiter.done():
                continue
            if hold_s > SHORT_WAIT_S:
                waiter.set_exception(_pause(hold_s))
            else:
                self._under_way += 1
                waiter.set_result(None)
        if self._waiting and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while self._waiting:
            hold_s = law.hold_s(self.control, self._clock())
            await (self._sleep(hold_s) if 0 < hold_s <= SHORT_WAIT_S else asyncio.sleep(LOOK_S))
            self._let_in()

    def written(self, lane: Lane, rows: int) -> None:
        """Note that a write of so many rows was carried out."""
        now_s = self._clock()
        under_way = (lane.others + self._under_way) / 2
        self.control = law.after_write(self.control, Write(now_s, now_s - lane.began_s, rows, under_way))

    def leave(self) -> None:
        """Note that a write has ended, or gave its room back."""
        self._under_way -= 1
        self._let_in()

    async def admit(self) -> None:
        """Wait until a request of any kind may be sent. Raises ThrottledError when that takes longer than SHORT_WAIT_S."""
        while hold_s := law.hold_s(self.control, self._clock(), writes=False):
            await self._pass(hold_s)

    async def _pass(self, hold_s: float) -> None:
        if hold_s > SHORT_WAIT_S:
            raise _pause(hold_s)
        await self._sleep(hold_s)

    async def rest(self, seconds: float) -> None:
        """Wait after a fault of the server, by the same clock."""
        extend_limit(seconds)
        await self._sleep(seconds)

    def answered(self, seconds: float, requests: int, hint: int) -> None:
        """Note that `requests` operations in one HTTP request were answered after so many seconds, and the hint on it."""
        self.control = law.after_request(law.with_hint(self.control, hint), self._clock(), seconds, requests)
        if self._waiting:
            self._let_in()

    def refused(self, wait_s: float, kind: Kind) -> None:
        """Note that Dataverse asked for a pause."""
        self.control = law.after_throttle(self.control, self._clock(), wait_s, kind, self._under_way)

    def overloaded(self) -> None:
        """Note that a write was too much at once: it got no answer in time, or the answer said so."""
        self.control = law.after_timeout(self.control, self._clock(), self._under_way)


@dataclass(slots=True)
class Lane:
    """Room for one write, from `Limiter.enter` to the end of `writing`, or to `leave` when there is nothing to write."""

    limiter: Limiter
    began_s: float
    others: int
    batch: int  # rows that the write takes

    @asynccontextmanager
    async def writing(self, rows: int) -> AsyncIterator[None]:
        """Be one write of so many rows inside the block; an answer without an error reaches the pace."""
        try:
            yield
            self.limiter.written(self, rows)
        except UnknownOutcomeError:
            self.limiter.overloaded()
            raise
        finally:
            self.leave()

    def leave(self) -> None:
        """Give the room back."""
        self.limiter.leave()


def _pause(hold_s: float) -> ThrottledError:
    return ThrottledError(
        f"Dataverse asked for a pause, of which {hold_s:,.0f} s are left. Nothing was sent.", wait_s=hold_s
    )
