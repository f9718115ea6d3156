"""Writing the links of a page: batches, short waits, bad rows isolated, every row read back (design decisions 14-17)."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from linker import odata
from linker.activities.attempt import Attempt
from linker.dataverse import Dataverse
from linker.errors import DataverseError, TransientError, UnknownOutcomeError
from linker.gate import Gate
from linker.model import LOOKUP_SCHEMA_NAME, RowKey, Target
from linker.verdict import Answer, judge, named_rows

SHORT_WAIT_S = 5.0  # a longer pause is the orchestrator's: it costs nothing there
SHORT_WAITS = 3
PATCHES = 100  # single updates of one batch: one look at the time left covers them all
ROUNDS = 2  # writes of one row in one attempt: what two accepted writes did not change is not a passing fault

type Links = Mapping[RowKey, str]
"""Profile id to link to, for each row."""


@dataclass(slots=True)
class Written:
    """What became of the rows of one page that had to be written."""

    linked: set[RowKey] = field(default_factory=set)  # read back and right
    refused: dict[RowKey, DataverseError] = field(default_factory=dict)
    lost: set[RowKey] = field(default_factory=set)  # accepted each time, never stored
    doubtful: set[RowKey] = field(default_factory=set)  # a write without an answer may still come


@dataclass(slots=True)
class Writer:
    """Writes one page's links within one attempt."""

    dataverse: Dataverse
    target: Target
    attempt: Attempt
    gate: Gate
    batch: int
    width: int
    lanes: int
    sent: set[RowKey] = field(default_factory=set)

    async def write(self, links: Links) -> Written:
        """Write and read back. Raises TransientError, SupersededError, UnknownOutcomeError for rows that stayed without an
        answer and are not stored, and DataverseError for what is about no row.
        """
        written = Written()
        missing = dict(links)
        for _ in range(ROUNDS):
            await self._send_all(missing, written)
            missing = {row: profile for row, profile in missing.items() if row not in written.refused}
            missing = await self._not_stored(missing)
            if not missing:
                break
        if silent := missing.keys() & written.doubtful:
            raise UnknownOutcomeError(
                f"Writes of {len(silent):,} links got no answer, and the links are not stored yet."
            )
        written.lost = set(missing)
        written.linked = {row for row in links if row not in written.refused and row not in missing}
        return written

    async def _send_all(self, links: Links, written: Written) -> None:
        """Send the batches over the page's lanes. When one fails, those under way end, and no other begins."""
        batches = self._batches(links)
        lanes = [self._lane(batches, written) for _ in range(self.lanes)]
        ended = await asyncio.gather(*lanes, return_exceptions=True)
        if errors := [error for error in ended if error is not None]:
            raise errors[0]

    def _batches(self, links: Links) -> Generator[Links]:
        size = self.batch if self.target.bulk else min(self.batch, PATCHES)
        for rows in odata.chunks(sorted(links), size):
            yield {row: links[row] for row in rows}

    async def _lane(self, batches: Generator[Links], written: Written) -> None:
        try:
            for links in batches:  # shared: each batch is taken once
                refused = await self._isolating(links, written)
                written.refused.update(refused)
        finally:
            batches.close()

    async def _isolating(self, links: Links, written: Written) -> dict[RowKey, DataverseError]:
        """Write rows of which some may be bad; the good ones land. One bad row among n costs about 2 log2(n) more requests."""
        if not links:
            return {}
        try:
            return await self._patiently(links)
        except UnknownOutcomeError:
            self.attempt.unanswered()
            self.dataverse.meter.timed_out = True  # perhaps too much at once: the next pages write less
            written.doubtful.update(links)
            return {}
        except DataverseError as error:
            answer = judge(error.status, error.code, error.text)
            if answer is Answer.STOP:
                raise
            if len(links) == 1:
                return dict.fromkeys(links, error)
            self.dataverse.meter.timed_out |= answer is Answer.SHRINK
            bad = _named(links, error)
            refused = dict.fromkeys(bad, error)
            for part in _parts(links, bad):
                refused |= await self._isolating(part, written)
            return refused

    async def _patiently(self, links: Links) -> dict[RowKey, DataverseError]:
        for left in reversed(range(SHORT_WAITS)):
            try:
                return await self._write(links)
            except TransientError as error:
                if not left or error.wait_s > SHORT_WAIT_S:
                    raise
                await asyncio.sleep(error.wait_s)
        raise AssertionError("the last round returns or raises")

    async def _write(self, links: Links) -> dict[RowKey, DataverseError]:
        async with self.gate.lane(self.width):
            await self.attempt.before_send()
            self.sent.update(links)  # in place: the page marks these rows when it finds itself late
            return await self.dataverse.write_links(self.target, links)

    async def _not_stored(self, links: Links) -> dict[RowKey, str]:
        live = await self.dataverse.links(self.target, LOOKUP_SCHEMA_NAME, list(links))
        return {row: profile for row, profile in links.items() if row not in live or live[row].profile != profile}


def _named(links: Links, error: DataverseError) -> list[RowKey]:
    """Rows that the error text names; they need no search."""
    keys = (bytes.fromhex(text.replace("-", "")) for text in named_rows(error.text))
    return [key for key in keys if key in links]


def _parts(links: Links, bad: list[RowKey]) -> list[dict[RowKey, str]]:
    if bad:
        return [{row: profile for row, profile in links.items() if row not in bad}]
    rows = list(links.items())
    half = len(rows) // 2
    return [dict(rows[:half]), dict(rows[half:])]
