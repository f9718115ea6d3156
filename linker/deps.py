"""Everything an activity may use, built once per process by `bootstrap` and handed in, and what a process keeps in memory.

Each look that people and programs take at Dataverse costs requests of the budget that Dataverse gives the app's user, which the
runs need. So one process makes one look of a kind at a time, every caller gets its answer for some seconds, and all looks
together stay below a tenth of the 6,000 requests in five minutes that a user has (docs: service protection API limits).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from linker.adapters.customer_insights import Insights
from linker.adapters.dataverse import Connection, Dataverse, Meter, SharedReads, metadata
from linker.adapters.dataverse.patient_reads import Unread, ask_optional, patient
from linker.adapters.dataverse.probing import probe_capabilities, read_tables
from linker.adapters.dataverse.sampled_tables import LinkedColumn
from linker.adapters.storage import Stores, salt_of
from linker.adapters.write_limiter import Limiter
from linker.core.capabilities import Capabilities, is_current, with_earlier
from linker.core.errors import BusyError, LinkerError, TransientError
from linker.core.linking.hash_blocks import name_salt
from linker.core.model import Link, Target
from linker.core.names import CUSTOMER_COLUMN, PROFILE_TABLE
from linker.core.permissions.privileges import Privilege
from linker.core.throttling.pace import Load
from linker.settings import Settings

PREFLIGHT_COST, INSIGHTS_COST, ROW_COST = 64, 20, 5  # requests of one look, about
KEPT_S: Final = 20.0  # a preflight serves every caller for so long
ROW_KEPT_S: Final = 3.0  # what is read of one row, which people look at while a run works
REFUSED_S: Final = 5.0  # a refusal too
MAX_COST: Final = 600.0  # of all looks in WINDOW_S
WINDOW_S: Final = 300.0
MAX_KEPT: Final = 100  # answers


@dataclass(slots=True)
class _Look:
    """One kind of look: its last answer or refusal, and until when it serves (epoch s)."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    until: float = 0.0
    answer: Any = None
    error: LinkerError | None = None


class Looks:
    """The looks of one process."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}
        self._left, self._at = MAX_COST, 0.0
        self._decisions = 0

    async def once[T](
        self, kind: str, cost: int, now: float, work: Callable[[], Awaitable[T]], *, kept_s: float = KEPT_S
    ) -> T:
        """Return what `work` returns, or what it returned to another caller some seconds ago.

        `cost` is about how many requests it sends, `now` epoch seconds, `kept_s` how long the answer serves. Raises BusyError
        when the budget is used up, and what `work` raises.
        """
        self._keep_few(now)  # first, since a look that the budget refuses is remembered as well
        look = self._looks.setdefault(kind, _Look())
        async with look.turn:
            if now >= look.until:
                self._spend(cost, now)
                await self._renew(look, now, work, kept_s)
        if look.error is not None:
            raise look.error
        answer: T = look.answer
        return answer

    def forget(self) -> None:
        """Look again next time: something was decided. A look that is under way may have come before, and serves its caller."""
        self._decisions += 1
        for look in self._looks.values():
            look.until = 0.0

    async def _renew(self, look: _Look, now: float, work: Callable[[], Awaitable[Any]], kept_s: float) -> None:
        look.answer, look.error, decisions = None, None, self._decisions
        try:
            look.answer = await work()
        except LinkerError as error:
            look.error = error
        serves_s = kept_s if look.error is None else REFUSED_S
        look.until = now + serves_s if decisions == self._decisions else 0.0

    def _spend(self, cost: int, now: float) -> None:
        passed_s = max(now - self._at, 0.0)
        self._left, self._at = min(MAX_COST, self._left + passed_s * MAX_COST / WINDOW_S), now
        if self._left < cost:
            wait_s = (cost - self._left) * WINDOW_S / MAX_COST
            raise BusyError(
                "Too many looks at Dataverse were asked for. Nothing was read. Ask again later.", wait_s=wait_s
            )
        self._left -= cost

    def _keep_few(self, now: float) -> None:
        if len(self._looks) > MAX_KEPT:
            self._looks = {kind: look for kind, look in self._looks.items() if look.until > now or look.turn.locked()}


# ---- everything an activity may use ----


@dataclass(slots=True)
class Cache:
    """Values that never change once they were read: the salt, who writes, and what a run settled about a table."""

    salt: bytes = b""
    user: str = ""
    privileges: dict[tuple[str, str], Privilege] = field(default_factory=dict)  # by table and right
    new_profiles: dict[tuple[str, float], dict[str, Link]] = field(default_factory=dict)  # by run and since when
    has_labels: bool | None = None
    targets: dict[tuple[str, str], Target] = field(default_factory=dict)
    held_shards: dict[tuple[str, str], tuple[tuple[str, float], float]] = field(
        default_factory=dict
    )  # owner, since when
    progressed: str = ""  # the run whose progress the lock knows


@dataclass(frozen=True, slots=True)
class Deps(Stores):
    """The state of the app, Dataverse, Customer Insights, and what this process remembers of them."""

    settings: Settings
    connection: Connection
    insights: Insights | None
    closing: tuple[Callable[[], Awaitable[None]], ...] = ()
    write_headers: Mapping[str, str] = field(default_factory=dict)  # of every write of rows: BYPASS, or none
    cache: Cache = field(default_factory=Cache)
    looks: Looks = field(default_factory=Looks)

    async def close(self) -> None:
        """Close what is open; nothing can be used afterwards."""
        for closing in self.closing:
            await closing()

    def dataverse(self) -> Dataverse:
        """Return a client that meters what one activity asks."""
        return Dataverse(self.connection, Meter(), self.write_headers)

    def patient_dataverse(self, *, renews: bool = False) -> Dataverse:
        """Return a client for a step that asks many small questions: its reads wait out the pauses that Dataverse asks for,
        and those that are asked for at the same time share a request. `renews` see Patience.
        """
        return SharedReads(patient(self.connection, renews=renews), Meter(), self.write_headers)

    @property
    def limiter(self) -> Limiter:
        """The limiter of this process."""
        return self.connection.limiter

    def load(self, dataverse: Dataverse, *, throttled: bool) -> Load:
        """Return what an activity reports of its requests; `throttled` says that it ended because of a pause."""
        return Load(self.limiter.report(), throttled=throttled or dataverse.meter.throttled > 0)

    async def salt(self, *, again: bool = False) -> bytes:
        """Return the salt of this environment's row hashes; `again` reads it from storage in any case."""
        if again or not self.cache.salt:
            self.cache.salt = await salt_of(self.documents, self.cache.salt)
        return self.cache.salt

    async def salt_named(self, name: str) -> bytes:
        """Return the salt of this name: hashes that are compared have to be made with the same one.

        Raises TransientError when storage holds another salt now. The next run begins with that one.
        """
        salt = await self.salt()
        if name and name_salt(salt) != name:
            salt = await self.salt(again=True)
        if name and name_salt(salt) != name:
            raise TransientError("The secret of the row hashes changed during the run. Nothing was written.")
        return salt

    async def user(self, dataverse: Dataverse | None = None) -> str:
        """Return the id of the Dataverse user that the app writes as."""
        if not self.cache.user:
            self.cache.user = await (dataverse or self.patient_dataverse()).user()
        return self.cache.user

    async def has_labels(self) -> bool:
        """Return whether the label of a link to a profile is its CustomerId: the profile table's primary name."""
        if self.cache.has_labels is None:
            found = await ask_optional(
                self.patient_dataverse(), lambda alone: metadata.primary_name(alone, PROFILE_TABLE)
            )
            if isinstance(found, Unread):  # links are then checked by their profile
                return False
            self.cache.has_labels = found == CUSTOMER_COLUMN
        return self.cache.has_labels

    async def capabilities(self) -> Capabilities:
        """Return what the profile and the mapping table can do, as it was found out last. Asks Dataverse only when nothing
        is known, or what is known is too old.

        Raises TransientError and DataverseError when the kinds of the tables cannot be read.
        """
        known = await self.capability_store.load()
        return known if known and is_current(known, self.now()) else await self.check_capabilities()

    async def check_capabilities(self, linked: Sequence[LinkedColumn] = (), *, again: bool = False) -> Capabilities:
        """Read the kinds of both tables, and probe and save everything if they changed, or if it is time. A run begins
        with this. `again` probes in any case; `linked` are lookup columns that may hold links.
        """
        known = await self.capability_store.load()
        profile_kind, mapping_kind, _ = await read_tables(self.patient_dataverse())
        if known and not again and is_current(known, self.now(), (profile_kind, mapping_kind)):
            return known
        found = with_earlier(await self.probe_capabilities(linked), known)
        await self.capability_store.save(found)
        return found

    async def probe_capabilities(self, linked: Sequence[LinkedColumn] = ()) -> Capabilities:
        """Return what both tables can do now; save nothing."""
        dataverse = self.patient_dataverse()
        return await probe_capabilities(dataverse, await metadata.mapping_columns(dataverse), self.now(), linked)

    async def target(self, run: str, table: str) -> Target:
        """Return how a table is written in a run."""
        targets = self.cache.targets
        if (run, table) not in targets:
            for old in [key for key in targets if key[0] != run]:
                del targets[old]
            targets[run, table] = await self.runs.target(run, table)
        return targets[run, table]
