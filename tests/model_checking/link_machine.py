"""A sandbox, the whole app over it in one process, and what can happen to either of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from linker.adapters.dataverse import Connection
from linker.adapters.storage.block_store import HASHES
from linker.core.linking.mapping_scan import TableState
from linker.core.model import Run
from linker.deps import Deps
from sandbox.customer_insights.unification import second_writer
from sandbox.customer_insights.unification.changes import Kind, RowChange, apply_changes
from sandbox.data.generator import digest, guid, make_person, mapping_row, profile_row
from sandbox.data.lookup_column import LOOKUP
from sandbox.database import Database, Stamp, bulk_update, scan
from sandbox.database.collation import guid_key
from sandbox.database.values import Row
from sandbox.identity.accounts import ADMIN, LINKER
from sandbox.runtime import Environment
from tests.fakes.app import FakeApp
from tests.fakes.insights import FakeInsights
from tests.fakes.sandboxed import URL, client
from tests.fakes.world import CRM, DiedError, StaticTokens, World

CONTACT, KEY = "contact", "contactid"
BITS = 2  # four shards, where as few rows would make one
READS = frozenset({"get", "header"})

type Mishap = Callable[[], Awaitable[None]]


class Effects:
    """Counts what the app asks and saves, and lets something happen before one of these."""

    def __init__(self) -> None:
        self.left = 0
        self.mishap: Mishap | None = None
        self.dead = False

    def plan(self, number: int, mishap: Mishap | None) -> None:
        """Let `mishap` happen before the effect of this number, counted from 0."""
        self.left, self.mishap = number, mishap

    async def request(self, _: object) -> None:
        """httpx calls this before each request."""
        await self._next()

    def operation(self, name: str, _: str, __: str) -> Awaitable[None] | None:
        """The store calls this before each operation."""
        return None if name in READS else self._next()

    async def _next(self) -> None:
        if self.dead:
            raise DiedError
        self.left -= 1
        if self.left < 0 and self.mishap is not None:
            mishap, self.mishap = self.mishap, None
            await mishap()


class Linking:
    """Contacts, profiles and a mapping in the sandbox; `app` links them. Contacts and customers are numbers."""

    def __init__(self) -> None:
        self._patch, self._loop = pytest.MonkeyPatch(), asyncio.Runner()
        self.world = World(unlink_max_share=1)
        self.database = Database(clock=self._now)
        self.environment = Environment(self.database, base_url=URL, clock=self._now)
        self.effects = Effects()
        self.world.store.hooks.append(self.effects.operation)
        self.world.deps = self._process()
        self.app = FakeApp(self.world, self._patch, self._loop)
        self.app.do(self.world.deps.states.save(CONTACT, TableState(BITS), None))

    def close(self) -> None:
        """End everything."""
        self._loop.close()
        self._patch.undo()
        self.database.close()

    # ---- runs ----

    def run(self, **request: Any) -> Run | None:
        """Return a run as it ended, None when its process died."""
        return self._unless_dead(lambda: self.app.run(**request))

    def recover(self) -> Run | None:
        """Let the time of the dead run pass and a new process take its work over. None when nothing was to be done."""
        settings = self.world.settings
        self.world.clock.pass_s(settings.attempt_seconds + settings.write_timeout_seconds)
        return self._unless_dead(self.app.watch)

    async def cancel(self) -> None:
        """Ask to stop whatever runs."""
        holder = (await self.world.deps.lock.peek()).holder
        if holder is not None:
            await self.world.deps.lock.cancel(holder.run)

    async def die(self) -> None:
        """End the process: nothing of it does anything any more."""
        self.effects.dead = True
        raise DiedError

    def _unless_dead(self, work: Callable[[], Run | None]) -> Run | None:
        try:
            return work()
        except DiedError:
            self.app.do(self._bury())
            return None

    async def _bury(self) -> None:
        """Let what is left of the dead process fail, and start another one."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*left, return_exceptions=True)
        self.effects.dead = False
        self.world.deps = self._process()

    def _process(self) -> Deps:
        linker = client(self.environment, LINKER)
        linker.event_hooks = {"request": [self.effects.request]}
        insights: Any = FakeInsights()
        return replace(self.world.host(), connection=Connection(URL, linker, StaticTokens()), insights=insights)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.world.clock(), UTC)

    # ---- the world ----

    def change(self, kind: Kind, table: str, row: Row) -> None:
        """Write one row as Customer Insights or an administrator would. No time passes: the second may be that of others."""
        apply_changes(self.database, [RowChange(kind, table, row)])

    def link(self, contact: str, profile: str | None) -> None:
        """Set a link as a person would."""
        stamp = Stamp(self._now(), guid_key(ADMIN.systemuser_id))
        bulk_update(self.database, CONTACT, [{KEY: contact, LOOKUP: profile}], stamp)

    def vendor_links(self) -> None:
        """Let the vendor's own task fill the column."""
        second_writer.fill_links(self.environment)

    def links(self) -> dict[str, str | None]:
        """Return the profile that each contact is linked to."""
        names = [KEY, LOOKUP] if self.has_column else [KEY]
        return {str(row[0]): row[1] if row[1:] else None for row in scan(self.database, CONTACT, names)}  # type: ignore[misc]

    @property
    def has_column(self) -> bool:
        """Whether the lookup column is there."""
        return LOOKUP in self.database.schema.tables[CONTACT].columns

    def written(self) -> int:
        """Return how many rows were written through the Web API so far."""
        return sum(counted.rows_written for counted in self.environment.counters.tables.values())

    def remembered(self) -> Mapping[Any, Any]:
        """Return blocks and the table's state, which a run leaves to the next one."""
        found = self.world.store.entities.items()
        return {key: entity for key, entity in found if key[0] == HASHES or key[2].startswith("table-")}


def contact_id(number: int) -> str:
    """Return the id of a contact; ids are spread over the shards."""
    return guid(1, CONTACT, number)


def customer_id(number: int) -> str:
    """Return a CustomerId."""
    return digest(1, "customer", number)


def profile(number: int, generation: int) -> Row:
    """Return a customer's profile; a profile that comes back may have an id of another generation."""
    return profile_row(guid(generation, "profile", number), make_person(customer_id(number)))


def mapped(contact: int, customer: int) -> Row:
    """Return the row of the mapping that names a customer for a contact; some are spelled as others do."""
    spelled = ("{}", "{}", "{{{}}}")[contact % 3].format(contact_id(contact))
    return mapping_row(CRM.data_source, CONTACT, spelled, customer_id(customer), "msdynci_entityname")
