"""JSON values in table `linkerstatus`.

Among them are the salt of the row hashes, which is a secret, the signals of a finished unification, and what the profile and
the mapping table can do.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable

from linker.adapters.storage.table_guards import cut_text, join_text
from linker.core.capabilities import Capabilities
from linker.core.errors import AlreadyThereError, StateError
from linker.core.ports import Properties, Tables
from linker.core.runs.signals import Look, Signal, SignalKind, receive, silent
from linker.core.serialization import dumps, loads

STATUS = "linkerstatus"


class Documents:
    """JSON values of one partition of `linkerstatus`, cut into properties that fit."""

    def __init__(self, tables: Tables, partition: str) -> None:
        self._tables, self.partition = tables, partition

    async def load[T](self, kind: type[T], row: str) -> tuple[T, str] | None:
        """Return a value and its ETag, None when there is none."""
        entity = await self._tables.get(STATUS, self.partition, row)
        return (loads(kind, join_text(entity)), entity.etag) if entity else None

    async def save(self, row: str, value: object, etag: str | None = None, beside: Properties | None = None) -> str:
        """Save a value: over what was read with `etag`, or over anything. `beside` see `beside()`. Raises ChangedError."""
        return await self._tables.replace(
            STATUS, self.partition, row, {**cut_text(dumps(value)), **(beside or {})}, etag=etag
        )

    async def insert(self, row: str, value: object, beside: Properties | None = None) -> str:
        """Save a value that must not be there yet. Raises AlreadyThereError."""
        return await self._tables.insert(STATUS, self.partition, row, {**cut_text(dumps(value)), **(beside or {})})

    async def delete(self, row: str) -> None:
        """Remove a value."""
        await self._tables.delete(STATUS, self.partition, row)

    async def beside(self, name: str, first: str, end: str) -> AsyncIterator[tuple[str, str | None]]:
        """Yield the row keys from `first` to before `end`, ascending, each with the text that was saved beside its value
        under this name: lists don't have to read whole values.
        """
        async for entity in self._tables.query(STATUS, self.partition, first=first, end=end, select=("RowKey", name)):
            text = entity.properties.get(name)
            yield entity.row, None if text is None else str(text)

    async def every(self, prefix: str) -> list[str]:
        """Return the JSON texts of all values whose row key starts with `prefix`, read with one request."""
        found = self._tables.query(STATUS, self.partition, first=prefix, end=prefix + "~")
        return [join_text(entity) async for entity in found]

    async def rows(self, prefix: str) -> list[str]:
        """Return the row keys that start with `prefix`, ascending."""
        found = self._tables.query(STATUS, self.partition, first=prefix, end=prefix + "~", select=("RowKey",))
        return [entity.row async for entity in found]


async def salt_of(documents: Documents, known: bytes = b"") -> bytes:
    """Return the environment's salt for row hashes, made at first use. Without it a stored hash reveals nothing.

    `known` is the salt that this process remembers: it is stored again when storage has lost it, or never kept it.
    """
    found = await documents.load(str, "salt")
    if found is None:
        with contextlib.suppress(AlreadyThereError):  # another host was faster; its salt is the one
            await documents.insert("salt", known.hex() or secrets.token_hex(16))
        found = await documents.load(str, "salt")
    if found is None:
        raise StateError("The salt of the row hashes could not be saved.")
    return bytes.fromhex(found[0])


SIGNAL, LOOK = "signal-", "look"


# ---- what the environment showed last ----


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
        await self._save(before, receive(before, detail, self._now(), again=again))

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
