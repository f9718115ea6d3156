"""Finding bad rows among good ones, and noticing when it is the table that is refused and not its rows.

A write of many rows is refused as a whole. So it is halved until bad rows are alone, and the good ones land. Where every row
is refused, by a plug-in, a missing right or a firewall, that would cost twice as many requests as there are rows. So when
nothing landed yet, a few rows from all over the write are sent alone, and if all of them are refused alike, the table stops.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from linker.adapters.dataverse import Dataverse, lookup_column
from linker.core.errors import ConfigurationError, DataverseError, LinkerError
from linker.core.model import Link, RowKey, Target
from linker.core.throttling.error_classification import (
    Answer,
    advice_on,
    is_about_missing,
    is_about_no_row,
    judge,
    may_be_unknown_name,
    named_ids,
)
from linker.deps import Deps

SAMPLE: Final = 10  # single rows that are refused alike before the table counts as refused
SUSPICIOUS: Final = 3  # refused writes, none of which landed, before a sample is taken

type Links = Mapping[RowKey, Link]
"""The link to write to each row."""
type Refused = dict[RowKey, DataverseError]


class TableRefusedError(DataverseError):
    """Dataverse refused each row of a sample alike. `sample` says what it answered for each of them."""

    def __init__(self, sample: Mapping[RowKey, DataverseError]) -> None:
        first = next(iter(sample.values()))
        super().__init__(first.status, first.code, first.text)
        self.sample = dict(sample)

    def __str__(self) -> str:
        return (
            f"Dataverse refused each of {len(self.sample)} rows that were sent alone, all alike, so no other row was sent. "
            f"It answered {self.status} {self.code}: {self.text}"
        )


@dataclass(slots=True)
class Refusals:
    """What came of the writes of one attempt, shared by its lanes. `known` gives rows that earlier runs left open."""

    known: Callable[[], Awaitable[Collection[RowKey]]]
    landed: bool = False
    alone: Refused = field(default_factory=dict)  # rows that were refused alone
    refused: int = 0  # writes of several rows
    broken: BaseException | None = None  # what ended one lane ends the others before their next write
    sampling: asyncio.Lock = field(
        default_factory=asyncio.Lock
    )  # while one lane takes a sample, the others wait for it

    async def wait_for_sample(self) -> None:
        """Wait for a sample that another lane takes. Raises what ended a lane."""
        async with self.sampling:
            if self.broken is not None:
                raise self.broken

    async def note(self, row: RowKey, error: DataverseError) -> None:
        """Note a row that was refused alone. Raises TableRefusedError when the sample is complete."""
        self.alone[row] = error
        if len(self.alone) >= SAMPLE and len(alike := await self.alike()) >= SAMPLE:
            raise TableRefusedError(alike)

    async def alike(self) -> Refused:
        """Return rows refused alone and alike, while none landed; a row that was refused before proves nothing."""
        if self.landed or not self.alone or any(is_about_missing(e.status, e.code) for e in self.alone.values()):
            return {}
        if len({(error.status, error.code.lower()) for error in self.alone.values()}) > 1:
            return {}
        known = await self.known()
        return {row: error for row, error in self.alone.items() if row not in known}


@dataclass(frozen=True, slots=True)
class Isolation:
    """Writes rows of which some may be bad. `send` returns the rows that were refused one by one, or raises DataverseError
    when it refuses all of them; `shrink` is called when they were too many at once.
    """

    send: Callable[[Links], Awaitable[Refused]]
    shrink: Callable[[], None]
    refusals: Refusals

    async def write(self, links: Links) -> Refused:
        """Return the rows that were refused. One bad row among n costs about 2 log2(n) more requests.

        Raises DataverseError for what is about no row, TableRefusedError among them, and what `send` raises.
        """
        refused: Refused = {}
        waiting, sampled, is_first = deque([dict(links)]), set[RowKey](), True
        while waiting:
            part = {row: link for row, link in waiting.popleft().items() if row not in sampled}
            if not part:
                continue
            if not is_first:  # the first write has its room already, which a sample may wait for
                await self.refusals.wait_for_sample()
            is_first = False
            error = await self._send_part(part, refused)
            if error is None:
                continue
            bad = _find_named(part, error)
            refused |= dict.fromkeys(bad, error)
            waiting.extend(_parts(part, bad))
            if self._is_suspicious(error):
                async with self.refusals.sampling:
                    sampled |= await self._sample(part, refused)
        return refused

    async def _send_part(self, part: Links, refused: Refused) -> DataverseError | None:
        """Send rows and note what came of it; return why several of them were refused as a whole."""
        try:
            singly = await self.send(part)
        except DataverseError as error:
            if is_about_no_row(error):
                raise
            if len(part) > 1:
                return error
            singly = dict.fromkeys(part, error)
        self.refusals.landed = self.refusals.landed or len(singly) < len(part)
        refused |= singly
        for row, why in singly.items():
            await self.refusals.note(row, why)
        return None

    def _is_suspicious(self, error: DataverseError) -> bool:
        if judge(error.status, error.code, error.text) is Answer.SHRINK:
            self.shrink()
        self.refusals.refused += 1
        return self.refusals.refused == SUSPICIOUS and not self.refusals.landed

    async def _sample(self, part: Links, refused: Refused) -> set[RowKey]:
        """Send single rows from all over a part until one lands; return those that were sent."""
        known = await self.refusals.known()
        rows = scatter((row for row in part if row not in known and row not in refused), SAMPLE)
        sent: set[RowKey] = set()
        for row in rows:
            if self.refusals.landed:
                break
            sent.add(row)
            await self._send_part({row: part[row]}, refused)
        return sent


def scatter(rows: Iterable[RowKey], most: int) -> list[RowKey]:
    """Return at most so many rows from all over, always the same of the same rows. Any regular distance could meet only rows
    of one kind.
    """
    return sorted(rows, key=lambda row: (crc32(row), row))[:most]


def _find_named(links: Links, error: DataverseError) -> list[RowKey]:
    """Rows that the error text names, by their own id or that of their profile; they need no search."""
    ids = set(named_ids(error.text))
    keys = {bytes.fromhex(text.replace("-", "")) for text in ids}
    return [row for row, link in links.items() if row in keys or link.profile in ids] if ids else []


def _parts(links: Links, bad: Sequence[RowKey]) -> list[dict[RowKey, Link]]:
    if bad:
        return [{row: link for row, link in links.items() if row not in bad}]
    rows = list(links.items())
    half = len(rows) // 2
    return [dict(rows[:half]), dict(rows[half:])]


async def explain_refusal(deps: Deps, dataverse: Dataverse, target: Target, error: DataverseError) -> LinkerError:
    """Return the passing fault that a refusal comes to when a server does not know the new column yet, else the refusal,
    with what to do about it where its code says so.

    A column counts as new until its table has been linked whole. What metadata says with strong consistency decides, so a
    column that was removed is not waited for. Raises what the look at metadata raises.
    """
    if advice := advice_on(error.code):
        return ConfigurationError(f"{error} {advice}")
    if not may_be_unknown_name(error.status, error.code):
        return error
    found = await deps.states.load(target.table)
    is_new = target.column_created or found is None or bool(found[0].epoch) or not found[0].linked
    if not is_new or await lookup_column.find(dataverse, target.table) is None:
        return error
    return lookup_column.not_known_yet(target.table)
