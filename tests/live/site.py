"""Where the checks are asked: a client, our own tables there, and rows made for one check at a time."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import batched
from typing import Any
from uuid import UUID, uuid4, uuid5

import httpx

from linker.adapters.dataverse import Dataverse
from linker.core import odata
from linker.core.errors import DataverseError, TransientError, UnknownOutcomeError
from linker.core.model import Target
from linker.core.requirements.facts import DataverseTable
from tests.live.own import Own

TRIES = 20  # an import of a solution can lock customization for minutes (docs/reference/dataverse.md 8.4)
SILENCE_WAIT_S = 30.0
THERE_ALREADY = "0x80040237"
CREATED_AT_ONCE = 1_000  # rows of one CreateMultiple (docs/reference/dataverse.md 2.4)
BULK = "live proof, many rows"
SINGLE = "live proof, one row"
_NAMES = UUID("7c0b3f5e-4b0c-5d5a-8d53-b2a0a6a2a1b0")

type Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Site:
    """An environment with our own tables in it. `bulk` rows have the name BULK.

    `watch_minutes` is how long to look at a unification. `stranger` asks as an identity that is not a user there, if one
    was given. `refusals` are the Retry-After headers that came with a 429 so far, None for one that came without.
    """

    dataverse: Dataverse
    own: Own
    rows: DataverseTable
    profiles: DataverseTable
    navigation: str
    bulk: int
    pause: Pause = asyncio.sleep
    watch_minutes: int = 0
    stranger: Dataverse | None = None
    refusals: list[str | None] = field(default_factory=list)

    @property
    def link(self) -> str:
        """The property that holds a row's link."""
        return f"_{self.own.prefix}_link_value"

    @property
    def target(self) -> Target:
        """The table of rows as the linker's own writes want it."""
        return Target(self.own.row, self.rows.entity_set, self.rows.primary_id, self.navigation)

    async def new_rows(self, count: int) -> list[str]:
        """Make rows without a link, for one check; returns their ids."""
        ids = [str(uuid4()) for _ in range(count)]
        await self.create(self.rows, (self.row(SINGLE, key) for key in ids))
        return ids

    async def new_profiles(self, count: int) -> list[str]:
        """Make profiles, for one check; returns their ids."""
        ids = [str(uuid4()) for _ in range(count)]
        await self.create(self.profiles, ({self.profiles.primary_id: key, self.own.name: SINGLE} for key in ids))
        return ids

    def row(self, name: str, key: str) -> dict[str, str]:
        """Return a new row of a key."""
        return {self.rows.primary_id: key, self.own.name: name, self.own.customer: key.replace("-", "")}

    async def create(self, table: DataverseTable, rows: Iterable[Mapping[str, str]]) -> None:
        """Create rows with ids of their own, so many at once; safe to repeat."""
        named = [{"@odata.type": f"Microsoft.Dynamics.CRM.{table.logical_name}", **row} for row in rows]
        for some in batched(named, CREATED_AT_ONCE):
            await patiently(partial(self._create, table, some), self.pause)

    async def _create(self, table: DataverseTable, rows: Sequence[Mapping[str, str]]) -> None:
        path = f"{table.entity_set}/Microsoft.Dynamics.CRM.CreateMultiple"
        try:
            await send(self.dataverse, "POST", path, {"Targets": rows})
        except DataverseError as error:
            if error.code != THERE_ALREADY:  # the answer to an earlier try was lost, and it made all of them
                raise

    def bind(self, row: str, profile: str) -> dict[str, str]:
        """Return the update that links a row, in the linker's shape."""
        return {
            self.rows.primary_id: row,
            f"{self.navigation}@odata.bind": f"/{self.profiles.entity_set}({profile})",
        }

    async def write(self, rows: Iterable[Mapping[str, object]]) -> None:
        """Update rows by UpdateMultiple, as the linker does."""
        await self.dataverse.update_multiple(self.own.row, self.rows.entity_set, rows)

    async def read(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return rows by id with link, ETag and modifiedon."""
        key = self.rows.primary_id
        query = odata.query(select=f"{self.link},modifiedon", filter=odata.is_in(key, ids))
        found = await self.dataverse.read_all([self.rows.entity_set + query])
        return {row[key].lower(): row for rows in found for row in rows}

    async def links(self, ids: Iterable[str]) -> dict[str, str | None]:
        """Return the links of rows that exist."""
        return {key: row[self.link] for key, row in (await self.read(ids)).items()}


def bulk_key(number: int) -> str:
    """Return the key of a row of BULK: the same in every proof."""
    return str(uuid5(_NAMES, str(number)))


def new_tag() -> str:
    """Return a tag that no other proof has."""
    return secrets.token_hex(3)[:5]


async def send(
    dataverse: Dataverse, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Send one request with a JSON body, if any."""
    encoded, kind = (None, {}) if body is None else (json.dumps(body).encode(), {"Content-Type": "application/json"})
    sent = {**kind, **(headers or {})}
    return await dataverse.connection.send(dataverse.meter, method, path, body=encoded, headers=sent, returns_json=True)


async def outcome(work: Awaitable[object]) -> str:
    """Return 'accepted', or status and code with which Dataverse refused."""
    try:
        await work
    except DataverseError as error:
        return refusal(error)
    return "accepted"


def refusal(error: DataverseError) -> str:
    """Return status and code of a refusal."""
    return f"refused: {error.status} {error.code.lower() or 'without a code'}"


async def patiently[T](work: Callable[[], Awaitable[T]], pause: Pause) -> T:
    """Do what is safe to repeat, again after each passing fault; the last one is raised."""
    for _ in range(TRIES - 1):
        try:
            return await work()
        except UnknownOutcomeError:
            await pause(SILENCE_WAIT_S)
        except TransientError as error:
            await pause(error.wait_s)
    return await work()
