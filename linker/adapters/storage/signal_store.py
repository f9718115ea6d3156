"""What the environment showed last (values in table `linkerstatus`): the signals of a finished unification, and what the
profile and the mapping table can do.
"""

from __future__ import annotations

from collections.abc import Callable

from linker.adapters.storage.documents import Documents
from linker.core.capabilities import Capabilities
from linker.core.errors import StateError
from linker.core.runs.signals import Look, Signal, SignalKind, received, silent
from linker.core.serialization import loads

SIGNAL, LOOK = "signal-", "look"


class Signals:
    """Signals of one environment. They are hints: a lost or damaged value is as good as none."""

    def __init__(self, documents: Documents, now: Callable[[], str]) -> None:
        self._documents, self._now = documents, now

    async def all(self) -> tuple[Signal, ...]:
        """Return every signal, the ones that never reported anything included."""
        known = {signal.kind: signal for text in await self._documents.every(SIGNAL) if (signal := _read(text))}
        return tuple(known.get(kind) or Signal(kind) for kind in SignalKind)

    async def receive(self, kind: SignalKind, detail: str, *, again: bool = False) -> None:
        """Remember that a signal reported something; `again` counts news that were reported before."""
        before = await self._load(kind)
        await self._save(before, received(before, detail, self._now(), again=again))

    async def miss(self, kind: SignalKind, note: str) -> None:
        """Remember why a signal says nothing now."""
        before = await self._load(kind)
        await self._save(before, silent(before, note, self._now()))

    async def look(self) -> Look | None:
        """Return the last look at the marks."""
        try:
            found = await self._documents.load(Look, LOOK)
        except StateError:
            return None
        return found[0] if found else None

    async def save_look(self, look: Look) -> None:
        """Save a look at the marks."""
        await self._documents.save(LOOK, look)

    async def _load(self, kind: SignalKind) -> Signal:
        try:
            found = await self._documents.load(Signal, SIGNAL + kind)
        except StateError:
            found = None
        return found[0] if found else Signal(kind)

    async def _save(self, before: Signal, after: Signal) -> None:
        if after != before:
            await self._documents.save(SIGNAL + after.kind, after)


def _read(text: str) -> Signal | None:
    try:
        return loads(Signal, text)
    except StateError:
        return None


ROW = "capabilities"


class CapabilityStore:
    """The findings that were saved last."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    async def load(self) -> Capabilities | None:
        """Return what was saved last, None when nothing was, or when another version of the app saved it."""
        try:
            found = await self._documents.load(Capabilities, ROW)
        except StateError:
            return None
        return found[0] if found else None

    async def save(self, found: Capabilities) -> None:
        """Save findings over those that are there: of two probes at once either one is good."""
        await self._documents.save(ROW, found)
