"""A Dataverse, a storage and a clock, with the real linker between them. Tests act on the world and call one activity."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import httpx

from linker.adapters.customer_insights import Insights
from linker.adapters.dataverse import Connection
from linker.adapters.storage import Scan
from linker.adapters.storage.lock_store import RunLock
from linker.adapters.storage.table_guards import OwnWrites
from linker.adapters.write_limiter import Limiter
from linker.bootstrap import assemble
from linker.core.capabilities import Capabilities, Capability, TableKind, finding
from linker.core.linking.hash_blocks import Entry, HashBlock, hash_link
from linker.core.linking.mapping_scan import ScanChoice, TableState
from linker.core.linking.shards import Claim, Shard, hash_wish
from linker.core.model import Link, Mode, Run, Source, Status, TableRun, Target
from linker.core.ports import Properties
from linker.core.records import RowIssue
from linker.core.runs.activity_values import ShardOutcome, ShardsTask, ShardTask, SliceTask
from linker.core.runs.generation_values import UnlinkOutcome, UnlinkTask
from linker.core.throttling.pace import Pace
from linker.deps import Deps
from linker.durable.activities.link_shard import link_shard
from linker.durable.activities.scan_mapping import plan_shards, scan_slice
from linker.durable.activities.unlink_table import unlink_table
from linker.durable.staged import Opening, open_scan
from linker.settings import Settings
from tests.fakes.dataverse import FakeDataverse
from tests.fakes.environment import FakeTable, SourceRow
from tests.fakes.memory_tables import MemoryTables
from tests.fakes.requests import NAVIGATION, URL

START = 1_795_000_000.0  # epoch s
ATTEMPT_S, WRITE_S = 135.0, 130.0
FIRST_SHARD = Shard(0, 0).name
CRM = Source("crm", "contact")


class DiedError(BaseException):
    """The process ends here: nothing of ours catches it, so nothing is cleaned up."""


class ScanReplacedError(Exception):
    """A later run scans the table."""


class Clock:
    """Epoch seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        """Let time pass for code that waits."""
        self.now += seconds
        await asyncio.sleep(0)

    def pass_s(self, seconds: float) -> None:
        self.now += seconds


class Store(MemoryTables):
    """Table Storage in memory that reports each operation to a test before it happens: (operation, partition, row)."""

    def __init__(self) -> None:
        super().__init__()
        self.hooks: list[Callable[[str, str, str], Any]] = []
        self.after: list[Callable[[str, str, str], Any]] = []
        self.writes: list[tuple[str, str, str]] = []
        self.reads: list[tuple[str, str, bool]] = []  # table, row, whether a part of it was selected

    async def get(self, table: str, partition: str, row: str, *, select: Sequence[str] = ()) -> Any:
        self.reads.append((table, row, bool(select)))
        await self._tell("header" if select else "get", table, partition, row)
        return await super().get(table, partition, row, select=select)

    async def insert(self, table: str, partition: str, row: str, properties: Properties) -> str:
        await self._tell("insert", table, partition, row)
        return await super().insert(table, partition, row, properties)

    async def replace(
        self, table: str, partition: str, row: str, properties: Properties, *, etag: str | None = None
    ) -> str:
        await self._tell("replace", table, partition, row)
        saved = await super().replace(table, partition, row, properties, etag=etag)
        for hook in self.after:
            await hook("replace", partition, row)
        return saved

    async def merge(self, table: str, partition: str, row: str, properties: Properties, *, etag: str) -> str:
        await self._tell("merge", table, partition, row)
        return await super().merge(table, partition, row, properties, etag=etag)

    async def delete(self, table: str, partition: str, row: str, *, etag: str | None = None) -> None:
        await self._tell("delete", table, partition, row)
        await super().delete(table, partition, row, etag=etag)

    async def write_many(self, table: str, partition: str, rows: Sequence[tuple[str, Properties]]) -> None:
        await self._tell("write_many", table, partition, rows[0][0] if rows else "")
        await super().write_many(table, partition, rows)

    async def delete_many(self, table: str, partition: str, rows: Sequence[str]) -> None:
        await self._tell("delete_many", table, partition, rows[0] if rows else "")
        await super().delete_many(table, partition, rows)

    async def _tell(self, operation: str, table: str, partition: str, row: str) -> None:
        if operation not in ("get", "header"):
            self.writes.append((operation, table, row))
        for hook in self.hooks:
            result = hook(operation, partition, row)
            if result is not None:
                await result


class StaticTokens:
    """Tokens token0, token1 ...; a new one after each refusal."""

    def __init__(self) -> None:
        self.refused = 0

    async def token(self) -> str:
        return f"token{self.refused}"

    def forget(self) -> None:
        self.refused += 1


def contact_id(number: int) -> str:
    """Return the id of contact `number`; ids ascend with their numbers, spread by their first digits."""
    return f"{number:08x}-0000-4000-8000-{number:012x}"


def key_of(number: int) -> bytes:
    """Return the row key of contact `number`."""
    return bytes.fromhex(contact_id(number).replace("-", ""))


class World:
    """Contacts in one environment, and the linker that links them."""

    def __init__(self, **settings: Any) -> None:
        self.clock, self.store, self.dataverse = Clock(), Store(), FakeDataverse()
        self.contacts: FakeTable = self.dataverse.table("contact")
        self.settings = Settings(dataverse_url=URL, storage="UseDevelopmentStorage=true", settle_minutes=0, **settings)
        self.tokens = StaticTokens()
        self.insights: Insights | None = None
        self.ids, self.write_ids, self.processes = count(), count(), count()
        self.deps = self.host()

    def host(self) -> Deps:
        """Return a process of its own over the same storage: what it remembers is its own."""

        def new_id() -> str:
            return f"id{next(self.ids)}"

        tables = OwnWrites(self.store, lambda: f"write{next(self.write_ids)}")
        client = httpx.AsyncClient(transport=httpx.MockTransport(self.dataverse))
        limiter = Limiter(self.clock, self.settings.width, f"process{next(self.processes)}", self.clock.sleep)
        lock = RunLock(tables, "env", self.clock, self.settings.lease_seconds, new_id, stopwatch=self.clock)
        connection = Connection(URL, client, self.tokens, self.settings.write_timeout_seconds, limiter=limiter)
        made = assemble(self.settings, tables, "env", connection, lock, self.clock, new_id)
        return replace(made, insights=self.insights)

    # ---- the world ----

    async def can(self, *capabilities: Capability, kind: TableKind = TableKind.ELASTIC) -> None:
        """Let the profile and the mapping table be of a kind, and these capabilities be proved."""
        at = self.deps.now()
        found = tuple(finding(one, one in capabilities, "for a test", at) for one in Capability)
        await self.deps.capability_store.save(Capabilities(kind, kind, found, at))

    def contact(self, number: int, customer: str | None = None, *, profile: bool = True) -> str:
        """Add a contact that the mapping names for a customer; return its id."""
        key = contact_id(number)
        self.contacts.rows[key] = SourceRow()
        if customer is not None:
            self.dataverse.map(key, customer)
            if profile and customer not in self.dataverse.profiles.values():
                self.dataverse.profile(customer)
        return key

    def people(self, number: int) -> None:
        """Add contacts 1 to `number`, each a customer of its own."""
        for n in range(1, number + 1):
            self.contact(n, f"c{n}")

    def links(self) -> dict[str, str | None]:
        """Return the customer of each contact's link."""
        return {key: self.dataverse.customer_of(key) for key in self.contacts.rows}

    def wanted(self) -> dict[str, str]:
        """Return what the mapping says."""
        return {row["msdynci_alternatevalue"]: row["msdynci_customerid"] for row in self.dataverse.mapping}

    def is_right(self) -> bool:
        """Whether every link is what the mapping says."""
        return {key: customer for key, customer in self.links().items() if customer} == self.wanted()

    # ---- the linker ----

    async def prepare(self, run: str = "run1", *, bits: int = 0, created: bool = False) -> None:
        """Leave the state that prepare_table leaves, once per run; `bits` are those of a table that is not known yet."""
        if await self.deps.runs.load(run) is not None:
            return
        table = TableRun("contact", "crm", Status.REFRESHING)
        await self.deps.runs.create(Run(run, Mode.INCREMENTAL, Status.REFRESHING, tables=(table,)))
        target = Target(
            "contact",
            "contacts",
            "contactid",
            NAVIGATION,
            self.contacts.bulk,
            created,
            (CRM,),
            has_in=True,
            has_labels=True,
        )
        await self.deps.runs.save_target(run, target)
        if await self.deps.states.load("contact") is None:
            await self.deps.states.save("contact", TableState(bits, linked=True, proven=True), None)

    async def scan(
        self, run: str = "run1", *, since: float | None = None, revisit: Sequence[str] = (), deps: Deps | None = None
    ) -> Scan:
        """Read and stage the mapping of the contacts; return the scan, ready to be linked."""
        host = deps or self.deps
        target, found = await host.target(run, "contact"), await host.states.load("contact")
        state = found[0] if found else TableState()
        opening = Opening(run, target, ScanChoice(since, "for a test"), state, 0.0, 0.0, revisit)
        scan = await open_scan(host, host.dataverse(), opening)
        for stream in range(scan.streams):
            while not (outcome := await scan_slice(host, SliceTask(run, "contact", scan.id, stream))).done:
                if outcome.failed:
                    raise ScanReplacedError(outcome.failed)
        await plan_shards(host, ShardsTask(run, "contact", scan.id))
        found_scan = await host.staging.scan("contact")
        assert found_scan is not None
        return found_scan

    async def link(
        self, run: str = "run1", *, deps: Deps | None = None, scan: Scan | None = None, **values: Any
    ) -> ShardOutcome:
        """Prepare, scan and link one shard of the contacts."""
        await self.prepare(run)
        scan = scan or await self.scan(run, deps=deps)
        pace = Pace(values.pop("width", 4), values.pop("batch", 1_000), hint=64, at_s=self.clock())
        task = {"number": 0, "mode": Mode.INCREMENTAL, "epoch": "", "pace": pace} | values
        return await link_shard(deps or self.deps, ShardTask(run=run, table="contact", scan=scan.id, **task))

    async def unlink(self, run: str = "run1", *, departed: int, rows: int = 1_000, **values: Any) -> UnlinkOutcome:
        """Run one call of the unlinking pass."""
        task = {"marks": None} | values
        return await unlink_table(self.deps, UnlinkTask(run, "contact", departed, rows, **task))

    async def block(self, shard: str = FIRST_SHARD) -> HashBlock:
        """Return the stored block of a shard."""
        return (await self.deps.blocks.load("contact", shard)).block

    def block_entity(self) -> tuple[str, str, str]:
        """Return the storage key of the first shard's block."""
        found = [key for key in self.store.entities if key[0] == "linkerhashes" and key[2] == FIRST_SHARD]
        return next(key for key in found if "departed" not in key[1])

    async def issues(self, run: str = "run1") -> dict[str, RowIssue]:
        """Return the row issues of a run by row."""
        return {issue.row: issue async for _, issue in self.deps.issues.of_run(run)}


async def entry_of(world: World, number: int, customer: str) -> Entry:
    """Return the confirmed entry of a contact that is linked to a customer."""
    salt, key = await world.deps.salt(), key_of(number)
    profile = next(profile for profile, found in world.dataverse.profiles.items() if found == customer)
    return Entry(hash_wish(key, Claim(customer), salt, names_profile=False), hash_link(key, Link(profile), salt))
