"""What the tests of touched profiles look at: touches of each customer, and profiles that still wait."""

from __future__ import annotations

from linker.adapters.storage import WaitingProfiles
from tests.fakes.app import FakeApp


async def forget(waiting: WaitingProfiles, *, dry_run: bool) -> None:
    """Remove all notes."""
    await waiting.forget(await waiting.notes(dry_run=dry_run), dry_run=dry_run)


def customers(app: FakeApp) -> dict[str, int]:
    """Return how often each customer's profile was touched."""
    dataverse = app.world.dataverse
    return {dataverse.profiles[profile]: times for profile, times in dataverse.touches.items()}


def waiting(app: FakeApp) -> list[tuple[str, str, str]]:
    return [key for key in app.world.store.entities if "-touches" in key[1]]
