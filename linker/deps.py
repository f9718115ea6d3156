"""Everything an activity may use, built once per process by `bootstrap` and handed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from linker.dataverse import Connection, Dataverse, Meter
from linker.gate import Gate
from linker.insights import Insights
from linker.lock_store import RunLock
from linker.model import Target
from linker.pages import Plan
from linker.settings import Settings
from linker.state import (
    Audit,
    Blocks,
    DepartedPages,
    Documents,
    FirstLinks,
    Issues,
    Plans,
    Runs,
    Samples,
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
