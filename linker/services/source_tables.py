"""Which table a source of the mapping is: the one of its name, else the one that has its keys.

Looking into other tables is optional: what fails, hangs, or is refused there is a note. It is bounded in requests and time, and
what it came to is remembered for a day, because an environment may have a thousand custom tables.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched

from linker.adapters.dataverse import Dataverse, metadata
from linker.adapters.dataverse.patient_reads import Unread, ask_optional
from linker.core import odata
from linker.core.errors import DataverseError, StateError
from linker.core.model import WIRE, Source
from linker.core.permissions import privileges
from linker.core.requirements.facts import DataverseTable, Recognised, Told, name_of
from linker.deps import Deps

# Dataverse refuses a user's 53rd request at once (docs/reference/dataverse.md 1.2), and eight sources are looked at.
TABLES_AT_ONCE = 4
MAX_OTHERS = 100  # other tables that are looked into for one source
OTHER_S = 10.0  # a look into one of them
OTHERS_S = 60.0  # all looks of a run
COMMON_TABLES = ("contact", "lead", "account")
REMEMBERED_ROW, REMEMBERED_S = "renamed-sources", 86_400.0

type Candidate = tuple[Recognised, DataverseTable]


@dataclass(frozen=True, slots=True)
class Recognition:
    """The table whose keys a source had at a time (epoch s), "" for none, and what could not be looked into, in a sentence."""

    __pydantic_config__ = WIRE
    at: float
    table: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was recognised by keys, by source."""

    __pydantic_config__ = WIRE
    sources: Mapping[str, Recognition] = field(default_factory=dict)


@dataclass(slots=True)
class SourceTables:
    """Finds the tables of the sources of one run. `found` is what was recognised by keys, now or within the last day."""

    dataverse: Dataverse
    now: float
    found: dict[str, Recognition]
    until: float = field(default_factory=lambda: time.monotonic() + OTHERS_S)
    _others: asyncio.Task[list[DataverseTable] | Unread] | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be looked into."""
        return tuple(dict.fromkeys(one.note for one in self.found.values() if one.note))

    async def candidates(self, source: Source, said: Told) -> list[Candidate]:
        """Return the table of a source's name, else those of the key column that was chosen for it."""
        tables = await metadata.find_tables(self.dataverse, source.table) if odata.is_name(source.table) else []
        if tables:
            return [(Recognised.NAME, tables[0])]
        by_key = await metadata.tables_of_key(self.dataverse, said.chosen_key.value) if said.chosen_key else []
        return [(Recognised.KEY_COLUMN, table) for table in by_key]

    async def owner(
        self, source: Source, candidates: Sequence[Candidate], keys: Sequence[str]
    ) -> tuple[Candidate | None, int | None]:
        """Return the table that has rows of these keys, and how many of them; None when that of the name may not be read."""
        for candidate in candidates if keys else ():
            if (found := await self._existing(candidate, keys)) != 0:
                return candidate, found
        if not keys or any(recognised is Recognised.NAME for recognised, _ in candidates):
            return None, 0
        return await self._other_owner(source, keys)

    async def _existing(self, candidate: Candidate, keys: Sequence[str]) -> int | None:
        recognised, table = candidate
        if recognised is not Recognised.NAME:
            found = await self._look_into(table, keys)
            return 0 if isinstance(found, Unread) else found
        try:
            return await metadata.existing_keys(self.dataverse, table, keys) if table.entity_set else 0
        except DataverseError as error:
            if privileges.find_refused(error) is None:
                raise
            return None  # a missing privilege is reported with the privileges of this table

    async def _other_owner(self, source: Source, keys: Sequence[str]) -> tuple[Candidate | None, int]:
        """Return the first other table that has rows of these keys. What was found in the last day is looked at first."""
        name = _key_of(source)
        known = self.found.get(name)
        if known is not None and not known.table:
            return None, 0
        for table in await metadata.find_tables(self.dataverse, known.table) if known else []:
            found = await self._look_into(table, keys)
            if found and not isinstance(found, Unread):
                return (Recognised.KEYS, table), found
        owner, count, note = await self._search(source, keys)
        self.found[name] = Recognition(self.now, owner.logical_name if owner else "", note)
        return ((Recognised.KEYS, owner) if owner else None), count

    async def _search(self, source: Source, keys: Sequence[str]) -> tuple[DataverseTable | None, int, str]:
        others = await self._other_tables()
        if isinstance(others, Unread):
            return (
                None,
                0,
                f"Whose keys {name_of(source)} has is not known: the tables could not be listed. {others.reason}",
            )
        unread: dict[str, str] = {}
        for some in batched(others[:MAX_OTHERS], TABLES_AT_ONCE):
            if time.monotonic() > self.until:
                unread |= {table.logical_name: f"No time was left after {OTHERS_S:g} s." for table in some}
                break
            counts = await asyncio.gather(*(self._look_into(table, keys) for table in some))
            for table, found in zip(some, counts, strict=True):
                if isinstance(found, Unread):
                    unread[table.logical_name] = found.reason
                elif found:
                    return table, found, ""
        return None, 0, _note(source, unread, len(others))

    async def _look_into(self, table: DataverseTable, keys: Sequence[str]) -> int | Unread:
        if not table.entity_set:
            return 0
        found = await ask_optional(self.dataverse, lambda alone: metadata.existing_keys(alone, table, keys), OTHER_S)
        if isinstance(found, Unread) and found.refusal is not None:
            return 0  # a table that is not ours to read is none that we could link
        return found

    async def _other_tables(self) -> list[DataverseTable] | Unread:
        """Return the tables whose keys a source may have although its name fits none, asked for once. Only rows of standard
        tables can be linked.
        """
        if self._others is None:
            self._others = asyncio.ensure_future(ask_optional(self.dataverse, _tables_of_customers))
        return await self._others


async def load_remembered(deps: Deps) -> dict[str, Recognition]:
    """Return what the runs of the last day recognised by keys."""
    try:
        found = await deps.documents.load(Remembered, REMEMBERED_ROW)
    except StateError:  # another version of the app saved it
        return {}
    now = deps.clock()
    known = found[0].sources.items() if found else ()
    return {name: one for name, one in known if 0 <= now - one.at < REMEMBERED_S}


async def remember(deps: Deps, found: Mapping[str, Recognition]) -> None:
    """Save what a run recognised by keys."""
    if found and found != await load_remembered(deps):
        await deps.documents.save(REMEMBERED_ROW, Remembered(found))


async def _tables_of_customers(dataverse: Dataverse) -> list[DataverseTable]:
    common = [table for name in COMMON_TABLES for table in await metadata.find_tables(dataverse, name)]
    return [table for table in common + await metadata.custom_tables(dataverse) if table.table_type == "Standard"]


def _note(source: Source, unread: Mapping[str, str], others: int) -> str:
    """Return what was not looked into for a source, empty when everything was."""
    declare = "If it is a Dataverse table, name the table in LINKER_SOURCES."
    if unread:
        table, reason = next(iter(unread.items()))
        more = f" and {len(unread) - 1:,} more" if len(unread) > 1 else ""
        return (
            f"Whose keys {name_of(source)} has is not known: table '{table}'{more} did not answer. {reason} {declare}"
        )
    if others > MAX_OTHERS:
        return f"Only {MAX_OTHERS} of {others:,} tables were looked into for the keys of {name_of(source)}. {declare}"
    return ""


def _key_of(source: Source) -> str:
    return f"{source.data_source}|{source.table}".casefold()


def of_sources(found: Mapping[str, Recognition], sources: Iterable[Source]) -> dict[str, Recognition]:
    """Return what is known of these sources alone."""
    names = {_key_of(source) for source in sources}
    return {name: one for name, one in found.items() if name in names}
