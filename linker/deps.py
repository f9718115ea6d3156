"""Everything an activity may use, built once per process by `bootstrap` and handed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from linker.core.capabilities import Capabilities, is_current
from linker.core.times import iso
from linker.dataverse import Connection, Dataverse, Meter, metadata
from linker.dataverse.probing import LinkedColumn, probe_capabilities, read_tables
from linker.gate import Gate
from linker.insights import Insights
from linker.lock_store import RunLock
from linker.model import Target
from linker.pages import Plan
from linker.settings import Settings
from linker.state import (
    Audit,
    Blocks,
    CapabilityStore,
    DepartedPages,
    Documents,
    FirstLinks,
    Issues,
    Plans,
    Runs,
    Samples,
    Signals,
    StrayPages,
    WaitingProfiles,
    salt_of,
)


@dataclass(slots=True)
class Cache:
    """Values that never change once they were read: the salt, who writes, and what a run settled about a table."""

    salt: bytes = b""
    user: str = ""
    targets: dict[tuple[str, str], Target] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deps:
    """`clock` gives epoch seconds, `new_id` a fresh unique text."""

    settings: Settings
    connection: Connection
    insights: Insights | None
    lock: RunLock
    documents: Documents
    capability_store: CapabilityStore
    signals: Signals
    runs: Runs
    plans: Plans
    first_links: FirstLinks
    blocks: Blocks
    departed: DepartedPages
    strays: StrayPages
    waiting: WaitingProfiles
    issues: Issues
    samples: Samples
    audit: Audit
    clock: Callable[[], float]
    new_id: Callable[[], str]
    closing: tuple[Callable[[], Awaitable[None]], ...] = ()
    write_headers: Mapping[str, str] = field(default_factory=dict)  # of every write of rows: BYPASS, or none
    cache: Cache = field(default_factory=Cache)
    gate: Gate = field(default_factory=Gate)

    async def close(self) -> None:
        """Close what is open; nothing can be used afterwards."""
        for closing in self.closing:
            await closing()

    def dataverse(self) -> Dataverse:
        """Return a client that meters what one activity asks."""
        return Dataverse(self.connection, Meter(), self.write_headers)

    async def salt(self) -> bytes:
        """Return the salt of this environment's row hashes."""
        if not self.cache.salt:
            self.cache.salt = await salt_of(self.documents)
        return self.cache.salt

    async def user(self) -> str:
        """Return the id of the Dataverse user that the app writes as."""
        if not self.cache.user:
            self.cache.user = await self.dataverse().user()
        return self.cache.user

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
        known, tables = await self.capability_store.load(), await read_tables(self.dataverse())
        if known and not again and is_current(known, self.now(), (tables.profile_kind, tables.mapping_kind)):
            return known
        found = await self.probe_capabilities(linked)
        await self.capability_store.save(found)
        return found

    async def probe_capabilities(self, linked: Sequence[LinkedColumn] = ()) -> Capabilities:
        """Return what both tables can do now; save nothing."""
        dataverse = self.dataverse()
        return await probe_capabilities(dataverse, await metadata.mapping_columns(dataverse), self.now(), linked)

    def now(self) -> str:
        """Return the time as ISO 8601 in UTC, to the second."""
        return iso(self.clock())

    async def target(self, run: str, table: str) -> Target:
        """Return how a table is written in a run."""
        targets = self.cache.targets
        if (run, table) not in targets:
            for old in [key for key in targets if key[0] != run]:
                del targets[old]
            targets[run, table] = await self.runs.target(run, table)
        return targets[run, table]

    async def plan(self, table: str, version: str, *, anew: bool = False) -> Plan | None:
        """Return the table's plan if its version is still the current one; `anew` believes nothing that was read before."""
        plan = None if anew else self.cache.plans.get(table)
        if plan is None or plan.version != version:
            found = await self.plans.load(table)
            plan = found[0].plan if found else None
        if plan is None or plan.version != version:
            return None
        self.cache.plans[table] = plan
        return plan
