"""An event loop on which time passes faster, and jumps when a test says so: waits cost a test nothing.

Everything of one process lives on it, the sandbox and the client of Table Storage too, so that all see the same time.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Final

HURRY: Final = 20.0  # seconds that pass in a real one
# Real seconds that pass between two looks at the time, at most: a process that got no processor misses no moment.
LOOK_S: Final = 0.05


class _HurriedSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else min(timeout / HURRY, LOOK_S))


class HurriedLoop(asyncio.SelectorEventLoop):
    """Its `time` is what its timers, and with them all timeouts, go by."""

    def __init__(self) -> None:
        self._passed_s, self._looked_s = 0.0, time.monotonic()
        super().__init__(_HurriedSelector())

    def time(self) -> float:
        """Return the seconds of this loop."""
        now = time.monotonic()
        self._passed_s += min(now - self._looked_s, LOOK_S) * HURRY
        self._looked_s = now
        return self._passed_s

    def pass_s(self, seconds: float) -> None:
        """Let time jump; what was due meanwhile happens next."""
        self._passed_s += seconds


class LoopClock:
    """Epoch seconds as they pass on a loop."""

    def __init__(self, loop: HurriedLoop) -> None:
        self._loop = loop
        self._began = time.time() - loop.time()

    def __call__(self) -> float:
        return self._began + self._loop.time()

    def pass_s(self, seconds: float) -> None:
        """Let time jump."""
        self._loop.pass_s(seconds)

    def reach(self, epoch_s: float) -> None:
        """Let time jump to a moment, unless it is over."""
        self.pass_s(max(0.0, epoch_s - self()))
