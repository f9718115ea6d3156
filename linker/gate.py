"""The gate before Dataverse's writes: so many at once in this process, whoever sends them.

Pages share it, so that a lane which one page leaves idle while it reads is taken by another (docs/decisions/0015).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Gate:
    """Counts the writes under way. Who asks first goes first, as far as widths are equal."""

    def __init__(self) -> None:
        self._under_way = 0
        self._left = asyncio.Condition()

    @asynccontextmanager
    async def lane(self, width: int) -> AsyncIterator[None]:
        """Wait until fewer than `width` writes are under way, and be one of them inside the block."""
        async with self._left:
            await self._left.wait_for(lambda: self._under_way < width)
            self._under_way += 1
        try:
            yield
        finally:
            async with self._left:
                self._under_way -= 1
                self._left.notify_all()
