"""Moments at which a process dies, or a request is held until a test lets it pass."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.fakes.world import DiedError, World


def dies_before(world: World, kind: str, times: int = 1, *, after: int = 0) -> None:
    """Let the process end before a request of this kind reaches Dataverse, the first or the one after so many."""
    left, before = [times], [after]

    def hook(asked: Any) -> None:
        if asked.kind == kind and before[0]:
            before[0] -= 1
        elif asked.kind == kind and left[0]:
            left[0] -= 1
            raise DiedError(kind)

    world.dataverse.hooks.append(hook)


def dies_after(world: World, kind: str, times: int = 1) -> None:
    """Let the process end after Dataverse served a request of this kind."""
    left = [times]

    def hook(asked: Any) -> None:
        if asked.kind == kind and left[0]:
            left[0] -= 1
            raise DiedError(kind)

    world.dataverse.after.append(hook)


class Gate:
    """Holds what comes to it until a test opens it. It is reached when as many came as were awaited."""

    def __init__(self, awaited: int = 1) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self._awaited = awaited

    async def __call__(self) -> None:
        self._awaited -= 1
        if not self._awaited:
            self.reached.set()
        await self.open.wait()


def stalls_before(world: World, kind: str, times: int = 1) -> Gate:
    """Hold the first requests of this kind; the process that sends them stalls."""
    gate, held = Gate(times), list[Any]()

    def hook(asked: Any) -> Any:
        if asked.kind == kind and len(held) < times:
            held.append(asked)
            return gate()
        return None

    world.dataverse.hooks.append(hook)
    return gate
