"""An event loop on which time passes faster, and jumps when it is told to: waits cost a test nothing.

Everything of one process lives on it, the sandbox and the client of Table Storage too, so that all see the same time.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Final

HURRY: Final = 20.0  # seconds that pass in a real one: a timeout of 60 s still leaves a busy machine 3 s


class _HurriedSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(None if timeout is None else timeout / HURRY)


class HurriedLoop(asyncio.SelectorEventLoop):
    """Its `time` is what its timers, and with them all timeouts, go by."""

    def __init__(self) -> None:
        self._ahead_s = 0.0
        super().__init__(_HurriedSelector())

    def time(self) -> float:
        """Return the seconds of this loop."""
        return super().time() * HURRY + self._ahead_s

    def pass_s(self, seconds: float) -> None:
        """Let time jump; what was due meanwhile happens next."""
        self._ahead_s += seconds


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
