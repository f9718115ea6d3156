"""Writing the links of a shard: batches, short waits, bad rows isolated, every row read back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from linker.adapters.dataverse import Dataverse, LiveLink
from linker.adapters.write_limiter import SHORT_WAIT_S, Lane, Limiter
from linker.core.capabilities import TableKind
from linker.core.errors import (
    ConfigurationError,
    DataverseError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from linker.core.linking.shards import fold_customer, fold_customers
from linker.core.model import Counts, CustomerId, Link, RowKey, Target
from linker.durable.attempt import Attempt
from linker.durable.isolation import Isolation, Links, Refusals, scatter

CANARIES = 10  # rows that may be refused in a row before the others of the shard are written without a proof
SHORT_WAITS = 3
PATCHES = 100  # single updates of one batch: one look at the time left covers them all
ROUNDS = 2  # writes of one row in one attempt: what two accepted writes did not change is not a passing fault
# Waits after writes that Dataverse did not clearly answer, before rows are read and written again. Any other value would have
# to wait until the first one can commit no more; the same value may be sent at any time.
FAULT_WAITS_S = (2.0, 5.0, 10.0, 20.0)


@dataclass(slots=True)
class Written:
    """What became of the rows of one shard that had to be written. `links` are the links that were asked for."""

    linked: set[RowKey] = field(default_factory=set)  # read back and right
    refused: dict[RowKey, DataverseError] = field(default_factory=dict)
    lost: set[RowKey] = field(default_factory=set)  # accepted each time, never stored
    doubtful: set[RowKey] = field(default_factory=set)  # a write without an answer may still come
    mislabeled: set[RowKey] = field(default_factory=set)  # stored, but the label shows another customer
    links: dict[RowKey, Link] = field(default_factory=dict)

    def with_more(self, more: Written) -> Written:
        """Return what became of all rows after more were written, or some again."""
        return Written(
            self.linked | more.linked,
            self.refused | more.refused,
            self.lost | more.lost,
            self.doubtful | more.doubtful,
            (self.mislabeled - more.linked) | more.mislabeled,
            self.links | more.links,
        )


@dataclass(slots=True)
class Writer:
    """Writes one shard's links within one attempt."""

    dataverse: Dataverse
    target: Target
    attempt: Attempt
    lanes: int
    refusals: Refusals
    may_begin: Callable[[], Awaitable[None]]  # raises TransientError when nothing may be sent any more
    sent: set[RowKey] = field(default_factory=set)
    limiter: Limiter = field(init=False)  # of the connection to Dataverse
    turn: int = field(init=False)  # among the shards of this process that write
    _beginning: asyncio.Lock = field(
        default_factory=asyncio.Lock, init=False
    )  # lanes of one shard ask at the same time
    _begun: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.limiter = self.dataverse.connection.limiter
        self.turn = self.limiter.turn()

    async def write(self, links: Links, customers: Mapping[RowKey, CustomerId]) -> Written:
        """Write and read back. `customers` are the CustomerIds that live links show as their labels, where there are labels.

        Raises TransientError, SupersededError, UnknownOutcomeError for rows that stayed without an
        answer and are not stored, and DataverseError for what is about no row.
        """
        written = Written(links=dict(links))
        missing: Links = links
        for wait_s in (*FAULT_WAITS_S, None):
            try:
                missing = await self._rounds(missing, written, customers)
                break
            except ThrottledError:
                raise
            except TransientError as error:
                if wait_s is None or not missing.keys() & written.doubtful or error.wait_s > SHORT_WAIT_S:
                    raise
                await self.limiter.rest(wait_s)
                known = written.refused | self.refusals.alone
                missing = {row: link for row, link in missing.items() if row not in known}
        if silent := missing.keys() & written.doubtful:
            raise UnknownOutcomeError(
                f"Writes of {len(silent):,} links got no answer, and the links are not stored yet."
            )
        written.lost = set(missing)
        left = {*written.refused, *missing, *written.mislabeled}
        written.linked = {row for row in links if row not in left}
        return written

    async def _rounds(self, links: Links, written: Written, customers: Mapping[RowKey, CustomerId]) -> Links:
        """Write and read back, twice at most; return what is not stored then. What may be stored already is read first."""
        missing = dict(links)
        if missing.keys() & written.doubtful:
            missing = await self._not_stored(missing, written, customers)
        for _ in range(ROUNDS if missing else 0):
            await self._send_all(missing, written)
            missing = {row: link for row, link in missing.items() if row not in written.refused}
            missing = await self._not_stored(missing, written, customers)
            if not missing:
                break
        return missing

    async def _not_stored(
        self, links: Links, written: Written, customers: Mapping[RowKey, CustomerId]
    ) -> dict[RowKey, Link]:
        live = await self.dataverse.links(self.target, list(links))
        stored = {row for row, link in links.items() if row in live and is_stored(live[row], link, self.target)}
        written.mislabeled |= find_mislabeled({row: live[row] for row in stored}, customers, self.target)
        return {row: link for row, link in links.items() if row not in stored}

    async def _send_all(self, links: Links, written: Written) -> None:
        """Send all rows over the shard's lanes. When a batch fails, those under way end, and no other begins."""
        waiting, self.refusals.broken = sorted(links), None
        lanes = min(self.lanes, len(waiting))
        ended = await asyncio.gather(
            *(self._lane(waiting, links, written) for _ in range(lanes)), return_exceptions=True
        )
        if errors := [error for error in ended if error is not None]:
            raise next((error for error in errors if not isinstance(error, TransientError)), errors[0])

    async def _lane(self, waiting: list[RowKey], links: Links, written: Written) -> None:
        """Send one batch after the other while rows wait. Each is cut when it may be sent, as large as the pace says then."""
        try:
            while waiting:
                lane = await self._room(waiting)
                if lane is None:
                    return
                size = min(lane.batch, len(waiting) if self.target.bulk else PATCHES)
                rows, waiting[:] = waiting[:size], waiting[size:]
                send = partial(self._patiently, written, [lane])
                isolation = Isolation(send, self.limiter.overloaded, self.refusals)
                written.refused.update(await isolation.write({row: links[row] for row in rows}))
        except BaseException as error:
            self.refusals.broken = self.refusals.broken or error
            waiting.clear()
            raise

    async def _room(self, waiting: Collection[RowKey]) -> Lane | None:
        """Return room for one write when no lane takes a sample, None when no row waits for it any more."""
        await self.refusals.wait_for_sample()
        try:
            lane = await self.limiter.enter(self.turn)
        except ThrottledError:
            if waiting:
                raise
            return None
        try:
            await self._begin()
        except BaseException:
            lane.leave()
            raise
        if not waiting:
            lane.leave()
        return lane if waiting else None

    async def _begin(self) -> None:
        """Ask once, before the first write, whether the shard may still be written. One that has sent a canary is counted
        only at its end, so it is finished.
        """
        async with self._beginning:
            if not (self._begun or self.sent):
                await self.may_begin()
                self._begun = True

    async def _patiently(self, written: Written, room: list[Lane], links: Links) -> dict[RowKey, DataverseError]:
        """Write rows, again after a short pause. `room` holds the lane of the first write, as long as that is to come."""
        for left in reversed(range(SHORT_WAITS)):
            try:
                lane = room.pop() if room else await self.limiter.enter(self.turn)
                return await self._write(links, lane)
            except UnknownOutcomeError:  # before it is sent again, the rows are read
                self.attempt.note_unanswered()
                written.doubtful.update(links)
                raise
            except TransientError as error:
                if not left or error.wait_s > SHORT_WAIT_S:
                    raise
                if not isinstance(error, ThrottledError):  # the lane waits until that pause is over
                    await asyncio.sleep(error.wait_s)
        raise AssertionError("the last round returns or raises")

    async def _write(self, links: Links, lane: Lane) -> dict[RowKey, DataverseError]:
        async with lane.writing(len(links)):
            await self.attempt.before_send()
            self.sent.update(links)  # in place: the page marks these rows when it finds itself late
            return await self.dataverse.write_links(self.target, links)


class FirstLinkProvedError(TransientError):
    """The first link of a table is alive. All of its shards are linked now, and this one continues among them. `counts` are
    the rows that the run has linked in it so far.
    """

    def __init__(self, linked: int) -> None:
        super().__init__("The first link of the table was proved; its shards are linked now.", wait_s=0.0)
        self.counts = Counts(rows_read=linked, linked=linked)


def choose_canaries(links: Links) -> list[RowKey]:
    """Return the rows that are written one by one, in this order, until one proves that links are alive."""
    return scatter(links, CANARIES)


async def prove_links(
    writer: Writer, links: Links, customers: Mapping[RowKey, CustomerId], intend: Callable[[Links], Awaitable[None]]
) -> tuple[Written, bool]:
    """Write single rows until one proves that links are alive. Return what became of them, and whether one did.

    A row that is refused proves nothing. `intend` saves the intent of a row before it is written.
    """
    written, proven = Written(), False
    for row in choose_canaries(links):
        await intend({row: links[row]})
        one, proven = await _prove_first_link(writer, row, links, customers)
        written = written.with_more(one)
        if proven:
            break
    return written, proven


async def _prove_first_link(
    writer: Writer, row: RowKey, links: Links, customers: Mapping[RowKey, CustomerId]
) -> tuple[Written, bool]:
    """Write the first link of a table alone; return what became of it, and whether it was proved to lead to its profile.

    A lookup to an elastic row takes a wrong partition without an error, and then leads nowhere. Raises ConfigurationError for
    such a dead link, after the row was set back to what it held; no other row was written.
    """
    dataverse, target, link = writer.dataverse, writer.target, links[row]
    before = (await dataverse.links(target, [row])).get(row)
    alone = replace(writer, lanes=1)
    written = await alone.write({row: link}, customers)
    if row in written.refused or row in written.lost or (row in written.mislabeled and target.names_profile):
        return written, False  # the row is to blame: the next one is tried in another shard or run
    if before is None or not (why := await _why_dead(dataverse, target, row, link, customers[row])):
        return written, True
    await _set_back(writer, row, before)
    raise ConfigurationError(
        f"The first link of table '{target.table}' does not lead to its profile: {why}. The row was set back and no other row "
        "was written. Report this with the partition of a profile; docs/dev/live.md (P4) describes the check."
    )


async def _why_dead(dataverse: Dataverse, target: Target, row: RowKey, link: Link, customer: CustomerId) -> str:
    """Return why a link that was stored is dead, empty when it is alive or nothing speaks against it."""
    live = await dataverse.link(target, row)
    if live.label is not None:
        wrong = find_mislabeled({row: live}, {row: customer}, target)
        return f"its label is '{live.label[:80]}', not {customer}" if wrong else ""
    if target.profile_kind == TableKind.VIRTUAL or (link.partition and target.partition_column):
        return ""  # a virtual table gives labels by its provider's choice; a custom partition never has one, and was read back
    found = await dataverse.finds_profile(Link(link.profile))
    if found is None or fold_customer(found) != customer:
        return "it has no label, and its id alone finds no profile of this customer"
    return ""


async def _set_back(writer: Writer, row: RowKey, before: LiveLink) -> None:
    await writer.attempt.before_send()
    if before.link is not None:
        await writer.dataverse.write_links(writer.target, {row: before.link})
        return
    live = await writer.dataverse.link(writer.target, row)
    await writer.dataverse.clear_links(writer.target, {row: live.etag})


def is_stored(live: LiveLink, wanted: Link, target: Target) -> bool:
    """Return whether a lookup holds the wanted link. Without a companion column that can be read, the ID alone decides."""
    if live.link is None:
        return False
    return live.link == wanted if target.partition_column else live.link.profile == wanted.profile


def find_mislabeled(
    live: Mapping[RowKey, LiveLink], customers: Mapping[RowKey, CustomerId], target: Target
) -> set[RowKey]:
    """Return the rows whose label shows another customer. Not every link has a label, nor is it always a CustomerId."""
    if not target.has_labels:
        return set()
    labels = {row: one.label for row, one in live.items() if one.label is not None}
    shown = zip(labels, fold_customers(labels.values()), strict=True)
    return {row for row, label in shown if label is None or label.replace("-", "") != customers[row].replace("-", "")}
