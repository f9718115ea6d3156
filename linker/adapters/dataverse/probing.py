"""Asks Dataverse what the profile and the mapping table can do. Reads only, with at most MAX_REQUESTS requests.

A refusal or a wrong answer means that a capability is not available. No answer at all leaves it open. Neither is an error.
"""

from __future__ import annotations

import asyncio
import string
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NotRequired, TypedDict

from linker.adapters.dataverse import metadata, response_models
from linker.adapters.dataverse.client import MAPPING_SET, PROFILE_KEY, PROFILE_SET, Dataverse
from linker.adapters.dataverse.http import PAGE_SIZE
from linker.adapters.dataverse.response_models import Fields, Page
from linker.core import odata
from linker.core.capabilities import (
    Capabilities,
    Capability,
    Finding,
    TableKind,
    complete_findings,
    finding,
    table_kind,
)
from linker.core.errors import DataverseError, LinkerError, TransientError
from linker.core.model import MAPPING_TABLE, PROFILE_TABLE
from linker.core.odata import MappingColumns
from linker.core.times import iso

CUSTOMER: Final = "msdynci_customerid"
MAPPING_KEY: Final = f"{MAPPING_TABLE}id"
MAPPING_LOOKUP: Final = "msdynci_lookupfield_customer"
ELASTIC_PAGE: Final = 500  # rows of a response where the server does not give more on request
COUNT_CAP: Final = 5_000
MAX_REQUESTS: Final = 23
SAMPLED: Final = 12  # rows that one question is about
COMPARED: Final = 40  # lookups of mapping rows that are compared with profiles
FEW: Final = 100  # rows asked for when a whole response was refused
AT_ONCE: Final = 6
MAX_PLACES: Final = 2  # source tables whose links are looked at
LABEL: Final = "@OData.Community.Display.V1.FormattedValue"
WITH_LABELS: Final = 'odata.include-annotations="OData.Community.Display.V1.FormattedValue"'


@dataclass(frozen=True, slots=True)
class LinkedColumn:
    """A lookup column to the profile on a source table: entity set and logical name of the column."""

    entity_set: str
    column: str


class _Kind(TypedDict):
    LogicalName: str
    TableType: NotRequired[str | None]
    DataProviderId: NotRequired[str | None]
    ChangeTrackingEnabled: NotRequired[bool | None]


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What metadata says of the profile and the mapping table."""

    profile_kind: TableKind
    mapping_kind: TableKind
    tracks_changes: bool | None = None  # of the mapping; None when metadata does not say


@dataclass(frozen=True, slots=True)
class _Table:
    """A table, the columns that metadata names (empty: unknown) and the rows of one response."""

    entity_set: str
    key: str
    text: str  # the text column that is compared
    columns: frozenset[str] = frozenset()
    unread: frozenset[str] = frozenset()  # of these, the ones that could not be selected
    rows: Sequence[Fields] = ()
    more: bool = False  # whether a next link came
    faults: tuple[str, ...] = ()  # why requests for more rows or columns were refused
    is_short: bool = False  # whether only a request for a few rows was answered

    @property
    def fault(self) -> str:
        """Why a column or a row was not read."""
        return self.faults[-1] if self.faults else ""

    def sample(self, number: int = SAMPLED) -> list[Fields]:
        """Return some rows from all over the response whose text can be compared, with different texts."""
        usable = {str(row[self.text]).casefold(): row for row in self.rows if _is_plain(row.get(self.text))}
        rows = list(usable.values())
        return rows[:: max(1, len(rows) // number)][:number]


async def read_tables(dataverse: Dataverse) -> TableFacts:
    """Return the kinds of both tables. The data providers are a second question, which may fail.

    Raises TransientError and DataverseError when the first request fails.
    """
    names = " or ".join(f"LogicalName eq {odata.literal(name)}" for name in (PROFILE_TABLE, MAPPING_TABLE))
    found, providers = await asyncio.gather(
        _definitions(dataverse, names, "LogicalName,TableType,ChangeTrackingEnabled"), _providers(dataverse, names)
    )
    kinds = [
        table_kind(found.get(name, {}).get("TableType"), providers.get(name, {}).get("DataProviderId"))
        for name in (PROFILE_TABLE, MAPPING_TABLE)
    ]
    return TableFacts(kinds[0], kinds[1], found.get(MAPPING_TABLE, {}).get("ChangeTrackingEnabled"))


async def _providers(dataverse: Dataverse, names: str) -> dict[str, Mapping[str, Any]]:
    try:
        return await _definitions(dataverse, names, "LogicalName,DataProviderId")
    except LinkerError:
        return {}


async def _definitions(dataverse: Dataverse, names: str, select: str) -> dict[str, Mapping[str, Any]]:
    path = "EntityDefinitions" + odata.query(select=select, filter=names)
    return {row["LogicalName"]: dict(row) for row in await dataverse.first(path, _Kind)}


async def probe_capabilities(
    dataverse: Dataverse, columns: MappingColumns | None, now: str, linked: Sequence[LinkedColumn] = ()
) -> Capabilities:
    """Return what both tables can do, as of `now` (ISO 8601). `linked` are lookup columns that may hold links already.

    Raises TransientError and DataverseError only when the kinds of the tables cannot be read.
    """
    tables = await read_tables(dataverse)
    kinds = (tables.profile_kind, tables.mapping_kind)
    if columns is None:
        return Capabilities(*kinds, complete_findings((), now, "Dataverse has no mapping table."), now)
    mapping, profiles = await asyncio.gather(_mapping(dataverse, columns), _profiles(dataverse))
    probe = _Probe(dataverse, columns, now, mapping, profiles, tables.tracks_changes, tuple(linked))
    return Capabilities(*kinds, complete_findings(await probe.findings(), now, "There was no way to ask."), now)


async def _mapping(dataverse: Dataverse, columns: MappingColumns) -> _Table:
    names = await _column_names(dataverse, MAPPING_TABLE)
    table = _Table(MAPPING_SET, MAPPING_KEY, columns.key, names)
    lookup = frozenset({f"_{MAPPING_LOOKUP}_value"} if MAPPING_LOOKUP in names else ())
    more = lookup | (names & {"modifiedon", f"{MAPPING_LOOKUP}pid"})
    return await _page(dataverse, table, (MAPPING_KEY, columns.key, CUSTOMER), more, names & {"modifiedon"})


async def _profiles(dataverse: Dataverse) -> _Table:
    names = await _column_names(dataverse, PROFILE_TABLE)
    table = _Table(PROFILE_SET, PROFILE_KEY, CUSTOMER, names)
    return await _page(dataverse, table, (PROFILE_KEY, CUSTOMER), names & {"modifiedon", "partitionid"})


async def _column_names(dataverse: Dataverse, table: str) -> frozenset[str]:
    try:
        return frozenset(row["LogicalName"] for row in await metadata.attributes(dataverse, table, "LogicalName"))
    except LinkerError:
        return frozenset()


async def _page(dataverse: Dataverse, table: _Table, base: Sequence[str], *more: frozenset[str]) -> _Table:
    """Return the table with the rows of its first response. A refused request is repeated for fewer columns and rows.

    Each of `more` is a set of columns to ask for besides `base`, the largest first.
    """
    every, none = more[0], frozenset[str]()
    faults: list[str] = []
    for wanted, top in (*((one, 0) for one in dict.fromkeys(more)), (every, FEW), (none, FEW)):
        path = table.entity_set + odata.query(select=",".join((*base, *sorted(wanted))), top=top or "")
        prefer = WITH_LABELS if top else f"{PAGE_SIZE},{WITH_LABELS}"  # $top is ignored beside a page size
        try:
            page = response_models.check_model(Page, await dataverse.get(path, prefer=prefer))
        except LinkerError as error:
            faults.append(_short(error))
            continue
        rows = page["value"]
        is_more = bool(page.get("@odata.nextLink")) or len(rows) == top
        return replace(table, unread=every - wanted, rows=rows, more=is_more, faults=tuple(faults), is_short=bool(top))
    return replace(table, faults=tuple(faults), is_short=True)


class WrongAnswerError(Exception):
    """An answer proves that the server does not do what was asked."""


class NothingToAskError(Exception):
    """There is no row with which the question could be asked."""


type _Question = Callable[[], Awaitable[str]]


@dataclass(slots=True)
class _Probe:
    """The questions. Each returns its evidence, or raises WrongAnswerError, NothingToAskError, or what the request raises."""

    dataverse: Dataverse
    columns: MappingColumns
    now: str
    mapping: _Table
    profiles: _Table
    tracks_changes: bool | None
    linked: tuple[LinkedColumn, ...]
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def findings(self) -> list[Finding]:
        """Return a finding for each capability that was asked for."""
        questions: dict[Capability, _Question] = {
            Capability.IN_FILTER: self._in_filter,
            Capability.TEXT_RANGES: self._text_ranges,
            Capability.COUNT: self._count,
            Capability.LARGE_PAGES: self._large_pages,
            Capability.FOLDS_CASE: self._folds_case,
            Capability.PARTITION_COLUMN: self._partition_column,
            Capability.MODIFIED_FILTER: self._modified_filter,
            Capability.CHANGE_TRACKING: self._change_tracking,
            Capability.MAPPING_NAMES_PROFILE: self._mapping_names_profile,
            Capability.SORTING: self._sorting,
            Capability.LABELS: self._labels,
            Capability.PID_COLUMN: self._pid_column,
        }
        return list(await asyncio.gather(*(self._ask(*question) for question in questions.items())))

    async def _ask(self, capability: Capability, question: _Question) -> Finding:
        async with self.room:
            available, evidence = await _answer(question)
        return finding(capability, available, evidence, self.now)

    # ---- text ----

    async def _in_filter(self) -> str:
        wanted = _some(self.profiles.sample(), "profiles")[::2]  # the others must not come back
        texts = [str(row[CUSTOMER]) for row in wanted]
        found = await self._rows(self.profiles, odata.is_in(CUSTOMER, texts))
        _expect_all(self.profiles, wanted, found, "In")
        if not {str(row.get(CUSTOMER)).casefold() for row in found} <= {text.casefold() for text in texts}:
            raise WrongAnswerError("In returned profiles that it should have left out.")
        return f"In with {len(texts)} CustomerIds returned their profiles."

    async def _text_ranges(self) -> str:
        table, column = self.mapping, self.mapping.text
        sampled = sorted(_some(table.sample(), "mapping rows", least=2), key=lambda row: str(row[column]))
        cut = odata.literal(str(sampled[len(sampled) // 2][column]))
        among = _any_of(column, (str(row[column]) for row in sampled))
        wanted = _keys(table, sampled)
        sides = (f"({column} lt {cut} or {column} eq null)", f"{column} ge {cut}")
        found = [_keys(table, await self._rows(table, f"({among}) and {side}")) for side in sides]
        below, above = ([key for key in keys if key in wanted] for keys in found)
        if sorted(below + above) != sorted(wanted):
            raise WrongAnswerError(
                f"lt and ge on {column} returned {len(below)} and {len(above)} of {len(wanted)} rows."
            )
        return f"lt and ge on {column} returned {len(wanted)} rows, each once."

    async def _folds_case(self) -> str:
        for table, name in ((self.profiles, "profile"), (self.mapping, "mapping row")):
            row = next((row for row in table.sample() if _swap_case(row[table.text]) != row[table.text]), None)
            if row is None:
                raise NothingToAskError(f"There is no {name} with a letter in its {table.text}.")
            found = await self._rows(table, f"{table.text} eq {odata.literal(_swap_case(row[table.text]))}")
            if row[table.key] not in _keys(table, found):
                raise WrongAnswerError(f"A {name} was not found by its {table.text} in other letter case.")
        return "A profile and a mapping row were found by their text in other letter case."

    # ---- pages and counts ----

    async def _count(self) -> str:
        _some(self.mapping.sample(), "mapping rows")
        answer = await self.dataverse.connection.send(self.dataverse.meter, "GET", f"{MAPPING_SET}/$count")
        count, seen = response_models.check_model(int, answer.text.lstrip("\ufeff")), len(self.mapping.rows)
        if count == COUNT_CAP:
            raise WrongAnswerError(f"$count answered {count:,}, which may be its limit.")
        if count <= seen and self.mapping.more:
            raise WrongAnswerError(f"$count answered {count:,}, but more than {seen:,} rows were read.")
        if count != seen and not self.mapping.more:
            raise WrongAnswerError(f"$count answered {count:,}, but {seen:,} rows were read.")
        return f"$count answered {count:,}."

    async def _large_pages(self) -> str:
        for table in (self.mapping, self.profiles):
            rows = len(table.rows)
            if rows > ELASTIC_PAGE:
                return f"A response of {table.entity_set} held {rows:,} rows."
            if table.is_short:
                raise WrongAnswerError(f"{table.entity_set} refused a request for 5,000 rows: {table.faults[0]}")
            if table.more:
                raise WrongAnswerError(f"A response of {table.entity_set} held {rows:,} rows; 5,000 were asked for.")
        raise NothingToAskError("Both tables fit into one response.")

    # ---- columns ----

    async def _partition_column(self) -> str:
        _expect_column(self.profiles, "partitionid")
        if not self.profiles.rows:
            raise NothingToAskError("There is no profile.")
        told = sum(1 for row in self.profiles.rows if row.get("partitionid"))
        return f"partitionid was selected; {told:,} of {len(self.profiles.rows):,} profiles name one."

    async def _linked_rows(self, *, pid: bool) -> tuple[str, list[Fields]]:
        """Return the lookup column and some rows that have a value in it: of a source table, else of the mapping."""
        for place in self.linked[:MAX_PLACES]:
            value = f"_{place.column}_value"
            filled = odata.query(select=value, filter=f"{value} ne null", top=SAMPLED)
            try:
                rows = await self._labeled(place.entity_set + filled)
            except DataverseError:  # the column is gone
                continue
            if rows and pid:
                options = odata.query(select=f"{value},{place.column}pid", filter=f"{value} ne null", top=SAMPLED)
                rows = await self._labeled(place.entity_set + options)
            if rows:
                return place.column, rows
        of_mapping = [row for row in self.mapping.rows if row.get(f"_{MAPPING_LOOKUP}_value")]
        return MAPPING_LOOKUP, _some(of_mapping[:SAMPLED], "links to a profile")

    async def _labeled(self, path: str) -> list[Fields]:
        return list(response_models.check_model(Page, await self.dataverse.get(path, prefer=WITH_LABELS))["value"])

    async def _pid_column(self) -> str:
        column, rows = await self._linked_rows(pid=True)
        if f"{column}pid" not in rows[0]:
            raise WrongAnswerError(f"The rows have no column {column}pid.")
        return f"{column}pid was selected; {sum(1 for row in rows if row[f'{column}pid'])} of {len(rows)} rows have a value."

    async def _labels(self) -> str:
        column, rows = await self._linked_rows(pid=False)
        labels = {str(row[f"_{column}_value"]).lower(): row.get(f"_{column}_value{LABEL}") for row in rows}
        found = await self._rows(self.profiles, " or ".join(f"{PROFILE_KEY} eq {key}" for key in labels))
        living = {str(row[PROFILE_KEY]).lower(): str(row.get(CUSTOMER)) for row in found}
        if not living:
            raise NothingToAskError("None of the sampled links leads to a profile.")
        wrong = [key for key, customer in living.items() if labels.get(key) != customer]
        if wrong:
            raise WrongAnswerError(f"{len(wrong)} of {len(living)} links have no label, or not their CustomerId.")
        return f"The label of {len(living)} links is their CustomerId."

    # ---- changes ----

    async def _modified_filter(self) -> str:
        table = self.mapping
        _expect_column(table, "modifiedon")
        stamped = [row for row in table.sample() if row.get("modifiedon")]
        newest = max(int(_time(row)) for row in _some(stamped, "mapping rows with modifiedon"))
        for since in (newest, newest + 1):
            if older := await self._older_rows(stamped, since):
                return f"modifiedon ge returned the newer ones of {len(stamped)} rows and left out {older}."
        raise WrongAnswerError("modifiedon ge left out no row.")

    async def _older_rows(self, sampled: Sequence[Fields], since: int) -> int:
        """Return how many sampled rows the filter left out. Rows may be written meanwhile, so their own stamps decide."""
        table, stamp = self.mapping, iso(since)
        among = _any_of(table.text, (str(row[table.text]) for row in sampled))
        rows = await self._rows(table, f"({among}) and modifiedon ge {stamp}", "modifiedon")
        _expect_all(table, [row for row in sampled if _time(row) >= since], rows, "modifiedon ge")
        if any(_time(row) < since for row in rows):
            raise WrongAnswerError("modifiedon ge returned an older row.")
        return len(set(_keys(table, sampled)) - set(_keys(table, rows)))

    async def _change_tracking(self) -> str:
        if self.tracks_changes is False:
            raise WrongAnswerError("ChangeTrackingEnabled of the mapping table is false.")
        path = MAPPING_SET + odata.query(select=self.columns.key)
        headers = {"Prefer": "odata.track-changes,odata.maxpagesize=50"}
        answer = await self.dataverse.connection.send(self.dataverse.meter, "GET", path, headers=headers)
        if "track-changes" in answer.headers.get("Preference-Applied", "") or "@odata.deltaLink" in answer.text:
            return "The answer to odata.track-changes says that changes are tracked."
        raise WrongAnswerError("odata.track-changes was ignored.")

    async def _sorting(self) -> str:
        for table in (self.mapping, self.profiles):
            _expect_column(table, "modifiedon")
            options = odata.query(select="modifiedon", orderby="modifiedon desc", top=SAMPLED)
            rows = await self.dataverse.first(table.entity_set + options, response_models.Stamped)
            stamps = [response_models.time_in(stamp) for row in rows if (stamp := row.get("modifiedon"))]
            seen = [_time(row) for row in table.rows if row.get("modifiedon")]
            if not stamps:
                raise NothingToAskError(f"{table.entity_set} has no row with modifiedon.")
            if stamps != sorted(stamps, reverse=True) or stamps[0] < max(seen, default=0.0):
                raise WrongAnswerError(
                    f"$orderby=modifiedon desc on {table.entity_set} did not return the newest row first."
                )
        return "$orderby=modifiedon desc returned the newest row first on both tables."

    async def _mapping_names_profile(self) -> str:
        lookup = f"_{MAPPING_LOOKUP}_value"
        _expect_column(self.mapping, MAPPING_LOOKUP)
        filled = [row for row in _some(self.mapping.rows, "mapping rows") if row.get(lookup) and row.get(CUSTOMER)]
        if not filled:
            raise WrongAnswerError(f"The lookup is empty on all {len(self.mapping.rows):,} sampled mapping rows.")
        compared = filled[:: max(1, len(filled) // COMPARED)][:COMPARED]
        found = await self._rows(
            self.profiles,
            " or ".join(f"{PROFILE_KEY} eq {key}" for key in dict.fromkeys(row[lookup] for row in compared)),
        )
        customers = {str(row[PROFILE_KEY]).lower(): str(row.get(CUSTOMER)).strip().lower() for row in found}
        wrong = [
            row for row in compared if customers.get(str(row[lookup]).lower()) != str(row[CUSTOMER]).strip().lower()
        ]
        if wrong:
            raise WrongAnswerError(
                f"The lookup of {len(wrong)} of {len(compared)} mapping rows names another or no profile."
            )
        return (
            f"The lookup is filled on {len(filled):,} of {len(self.mapping.rows):,} sampled mapping rows; "
            f"{len(compared)} of them were compared and name the profile of their CustomerId."
        )

    async def _rows(self, table: _Table, expression: str, *more: str) -> list[Fields]:
        """Return the rows of a filter, from their first response."""
        options = odata.query(select=",".join((table.key, table.text, *more)), filter=expression)
        return await self.dataverse.first(table.entity_set + options, Fields)


async def _answer(question: _Question) -> tuple[bool | None, str]:
    try:
        return True, await question()
    except WrongAnswerError as error:
        return False, str(error)
    except NothingToAskError as error:
        return None, str(error)
    except TransientError as error:
        return None, f"No answer: {_short(error)}"
    except LinkerError as error:
        return False, f"Refused: {_short(error)}"


def _short(error: LinkerError) -> str:
    if isinstance(error, DataverseError):
        return f"{error.status} {error.code}: {error.text}"[:300]
    return str(error)[:300]


def _some(rows: Sequence[Fields], what: str, least: int = 1) -> list[Fields]:
    if len(rows) < least:
        raise NothingToAskError(f"There are {len(rows)} {what}, too few to ask with.")
    return list(rows)


def _expect_column(table: _Table, column: str) -> None:
    if not table.columns:
        raise NothingToAskError(f"The columns of {table.entity_set} could not be read. {table.fault}".rstrip())
    if column not in table.columns:
        raise WrongAnswerError(f"{table.entity_set} has no column {column}.")
    if {column, f"_{column}_value"} & table.unread:
        raise WrongAnswerError(f"Column {column} of {table.entity_set} could not be selected: {table.fault}")


def _expect_all(table: _Table, wanted: Iterable[Fields], found: Sequence[Fields], what: str) -> None:
    missing = set(_keys(table, wanted)) - set(_keys(table, found))
    if missing:
        raise WrongAnswerError(f"{what} did not return {len(missing)} rows that it should have found.")


def _keys(table: _Table, rows: Iterable[Fields]) -> list[str]:
    return [str(row.get(table.key)).lower() for row in rows]


def _any_of(column: str, texts: Iterable[str]) -> str:
    return " or ".join(f"{column} eq {odata.literal(text)}" for text in texts)


_OTHER_CASE: Final = str.maketrans(
    string.ascii_letters, string.ascii_uppercase + string.ascii_lowercase
)  # others change length


def _swap_case(text: object) -> str:
    return str(text).translate(_OTHER_CASE)


def _time(row: Fields) -> float:
    return response_models.time_in(str(row["modifiedon"]))


def _is_plain(text: object) -> bool:
    """Whether a text finds itself by eq: it can be sent, and no character of it is a wildcard that changes that."""
    return isinstance(text, str) and bool(text) and response_models.is_sendable(text) and "[" not in text
