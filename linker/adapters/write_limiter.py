"""The limiter before Dataverse: the shell of the pace in this process, shared by all activities.

It counts the writes under way, feeds every answer to the pace (linker/core/throttling/pace.py), and lets a write begin when the
pace has room for it (docs/decisions/0007). No request of any kind is sent before Retry-After has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from linker.core.errors import ThrottledError, UnknownOutcomeError
from linker.core.throttling import pace as law
from linker.core.throttling.allowance import Kind
from linker.core.throttling.pace import Pace, first_control
from linker.core.throttling.width import Write

SHORT_WAIT_S = 5.0  # a longer pause is the orchestrator's: it costs nothing there
LOOK_S = 1.0  # the budget grows with time, without an event


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
        self._left = asyncio.Condition()

    @property
    def batch(self) -> int:
        """Rows for the next write."""
        return self.control.batch

    def report(self) -> Pace:
        """Return what the orchestrator has to know."""
        return law.report(self.control, self._clock())

    def adopt(self, pace: Pace) -> None:
        """Take over what the orchestrator knows from other processes."""
        self.control = law.adopted(self.control, pace)

    @asynccontextmanager
    async def lane(self, rows: int) -> AsyncIterator[None]:
        """Wait until the pace has room for one more write, and be that write, of so many rows, inside the block.

        Raises ThrottledError when the wait is longer than SHORT_WAIT_S; nothing was sent then.
        """
        await self._enter()
        began_s, others = self._clock(), self._under_way
        try:
            yield
            now_s = self._clock()
            under_way = (others + self._under_way) / 2
            self.control = law.after_write(self.control, Write(now_s, now_s - began_s, rows, under_way))
        except UnknownOutcomeError:
            self.overloaded()
            raise
        finally:
            async with self._left:
                self._under_way -= 1
                self._left.notify_all()

    async def _enter(self) -> None:
        while True:
            await self._pass(law.hold_s(self.control, self._clock()))
            async with self._left:
                if self._under_way < law.width_at(self.control, self._clock()):
                    self._under_way += 1
                    return
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._left.wait()
                except TimeoutError:
                    pass

    async def admit(self) -> None:
        """Wait until a request of any kind may be sent. Raises ThrottledError when that takes longer than SHORT_WAIT_S."""
        while hold_s := law.hold_s(self.control, self._clock(), writes=False):
            await self._pass(hold_s)

    async def _pass(self, hold_s: float) -> None:
        if hold_s > SHORT_WAIT_S:
            raise ThrottledError(
                f"Dataverse asked for a pause, of which {hold_s:,.0f} s are left. Nothing was sent.", wait_s=hold_s
            )
        if hold_s > 0:
            await self._sleep(hold_s)

    def answered(self, seconds: float, requests: int, hint: int) -> None:
        """Note that `requests` operations in one HTTP request were answered after so many seconds, and the hint on it."""
        self.control = law.after_request(law.with_hint(self.control, hint), self._clock(), seconds, requests)

    def refused(self, wait_s: float, kind: Kind) -> None:
        """Note that Dataverse asked for a pause."""
        self.control = law.after_throttle(self.control, self._clock(), wait_s, kind, self._under_way)

    def overloaded(self) -> None:
        """Note that a write was too much at once: it got no answer in time, or the answer said so."""
        self.control = law.after_timeout(self.control, self._clock(), self._under_way)
