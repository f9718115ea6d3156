"""Processes that die at a moment of storage."""

from dataclasses import replace

from linker.core.model import RunRequest
from tests.fakes.world import World

ANY = RunRequest()


def lease_runs_out(world: World) -> None:
    world.clock.pass_s(world.settings.lease_seconds + 1)


async def holding(world: World, run: str) -> None:
    """Let a run take the lock under the id that the fakes use."""
    await replace(world.deps.lock, new_id=lambda: run).request(ANY)
