"""Coroutines that run beside each other until they end or the host stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Holds what it started: the event loop alone would let a running task be collected."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` on the current event loop. It must handle its own errors."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self, grace_s: float) -> int:
        """Give what runs `grace_s` seconds to end, then cancel the rest. Returns how many were cancelled."""
        if not self._running:
            return 0
        _, late = await asyncio.wait(self._running, timeout=grace_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return len(late)
