"""The first rows of the profile and the mapping table, which the questions of `probing` are asked about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from linker.adapters.dataverse import metadata, response_models
from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.http import PAGE_SIZE
from linker.adapters.dataverse.response_models import Fields
from linker.core import odata
from linker.core.errors import DataverseError, LinkerError
from linker.core.names import CUSTOMER_COLUMN, MAPPING_SET, MAPPING_TABLE, PROFILE_KEY, PROFILE_SET, PROFILE_TABLE
from linker.core.odata import WITH_LABELS, MappingColumns

SAMPLED: Final = 12  # rows that one question is about
FEW: Final = 100  # rows asked for when a whole response was refused


class WrongAnswerError(Exception):
    """An answer proves that the server does not do what was asked."""


class NothingToAskError(Exception):
    """No row was found with which the question could be asked."""


@dataclass(frozen=True, slots=True)
class LinkedColumn:
    """A lookup column to the profile on a source table: entity set and logical name of the column."""

    entity_set: str
    column: str


@dataclass(frozen=True, slots=True)
class SampledTable:
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

    def keys(self, rows: Iterable[Fields]) -> list[str]:
        """Return the primary keys of rows of this table, in lower case."""
        return [str(row.get(self.key)).lower() for row in rows]

    def expect_column(self, column: str) -> None:
        """Raise WrongAnswerError without this column, and NothingToAskError when the columns are not known."""
        if not self.columns:
            raise NothingToAskError(f"The columns of {self.entity_set} could not be read. {self.fault}".rstrip())
        if column not in self.columns:
            raise WrongAnswerError(f"{self.entity_set} has no column {column}.")
        if {column, f"_{column}_value"} & self.unread:
            raise WrongAnswerError(f"Column {column} of {self.entity_set} could not be selected: {self.fault}")

    def expect_all(self, wanted: Iterable[Fields], found: Sequence[Fields], what: str) -> None:
        """Raise WrongAnswerError when rows that were wanted are not among those that were found."""
        missing = set(self.keys(wanted)) - set(self.keys(found))
        if missing:
            raise WrongAnswerError(f"{what} did not return {len(missing)} rows that it should have found.")


async def sample_mapping(dataverse: Dataverse, columns: MappingColumns) -> SampledTable:
    """Return the mapping table with the rows of one response."""
    names = await _column_names(dataverse, MAPPING_TABLE)
    table = SampledTable(MAPPING_SET, MappingColumns.id, columns.key, names)
    lookup = frozenset({f"_{MappingColumns.lookup}_value"} if MappingColumns.lookup in names else ())
    more = lookup | (names & {"modifiedon", f"{MappingColumns.lookup}pid"})
    return await _page(
        dataverse, table, (MappingColumns.id, columns.key, CUSTOMER_COLUMN), more, names & {"modifiedon"}
    )


async def sample_profiles(dataverse: Dataverse) -> SampledTable:
    """Return the profile table with the rows of one response."""
    names = await _column_names(dataverse, PROFILE_TABLE)
    table = SampledTable(PROFILE_SET, PROFILE_KEY, CUSTOMER_COLUMN, names)
    return await _page(dataverse, table, (PROFILE_KEY, CUSTOMER_COLUMN), names & {"modifiedon", "partitionid"})


async def _column_names(dataverse: Dataverse, table: str) -> frozenset[str]:
    try:
        return frozenset(row["LogicalName"] for row in await metadata.attributes(dataverse, table, "LogicalName"))
    except LinkerError:
        return frozenset()


async def _page(dataverse: Dataverse, table: SampledTable, base: Sequence[str], *more: frozenset[str]) -> SampledTable:
    """Return the table with the rows of its first response. A refused request is repeated for fewer columns and rows.

    Each of `more` is a set of columns to ask for besides `base`, the largest first.
    """
    every, none = more[0], frozenset[str]()
    faults: list[str] = []
    for wanted, top in (*((one, 0) for one in dict.fromkeys(more)), (every, FEW), (none, FEW)):
        path = table.entity_set + odata.query(select=",".join((*base, *sorted(wanted))), top=top or "")
        prefer = WITH_LABELS if top else f"{PAGE_SIZE},{WITH_LABELS}"  # $top is ignored beside a page size
        try:
            page = response_models.page_in(await dataverse.get(path, prefer=prefer))
        except LinkerError as error:
            faults.append(short(error))
            continue
        rows = page["value"]
        is_more = bool(page.get("@odata.nextLink")) or len(rows) == top
        return replace(table, unread=every - wanted, rows=rows, more=is_more, faults=tuple(faults), is_short=bool(top))
    return replace(table, faults=tuple(faults), is_short=True)


def at_least(rows: Sequence[Fields], what: str, least: int = 1) -> list[Fields]:
    """Return the rows. Raises NothingToAskError when they are too few."""
    if len(rows) < least:
        raise NothingToAskError(f"There are {len(rows)} {what}, too few to ask with.")
    return list(rows)


def short(error: LinkerError) -> str:
    """Return why a request failed, in 300 characters at most."""
    if isinstance(error, DataverseError):
        return f"{error.status} {error.code}: {error.text}"[:300]
    return str(error)[:300]


def _is_plain(text: object) -> bool:
    """Whether a text finds itself by eq: it can be sent, and no character of it is a wildcard that changes that."""
    return isinstance(text, str) and bool(text) and response_models.is_sendable(text) and "[" not in text
