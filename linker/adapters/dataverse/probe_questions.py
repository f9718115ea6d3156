"""The questions that show what the profile and the mapping table can do: each compares an answer with sampled rows."""

from __future__ import annotations

import string
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from linker.adapters.dataverse import response_models
from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.response_models import Fields
from linker.adapters.dataverse.sampled_tables import (
    SAMPLED,
    LinkedColumn,
    NothingToAskError,
    SampledTable,
    WrongAnswerError,
    at_least,
)
from linker.core import odata
from linker.core.capabilities import Capability
from linker.core.errors import DataverseError
from linker.core.names import CUSTOMER_COLUMN, MAPPING_SET, PROFILE_KEY
from linker.core.odata import LABEL, WITH_LABELS, MappingColumns
from linker.core.serialization import iso

ELASTIC_PAGE: Final = 500  # rows of a response where the server does not give more on request
COUNT_CAP: Final = 5_000
COMPARED: Final = 40  # lookups of mapping rows that are compared with profiles
MAX_PLACES: Final = 2  # source tables whose links are looked at

type Question = Callable[[], Awaitable[str]]


@dataclass(slots=True)
class Questions:
    """The questions. Each returns its evidence, or raises WrongAnswerError, NothingToAskError, or what the request raises."""

    dataverse: Dataverse
    columns: MappingColumns
    mapping: SampledTable
    profiles: SampledTable
    tracks_changes: bool | None
    linked: tuple[LinkedColumn, ...]

    def by_capability(self) -> Mapping[Capability, Question]:
        """Return the question that shows each capability."""
        return {
            Capability.IN_FILTER: self._in_filter,
            Capability.TEXT_RANGES: self._text_ranges,
            Capability.COUNT: self._count,
            Capability.LARGE_PAGES: self._large_pages,
            Capability.FOLDS_CASE: self._folds_case,
            Capability.PARTITION_COLUMN: self._partition_column,
            Capability.MODIFIED_FILTER: self._filter_by_modified,
            Capability.CHANGE_TRACKING: self._change_tracking,
            Capability.MAPPING_NAMES_PROFILE: self._mapping_names_profile,
            Capability.SORTING: self._sorting,
            Capability.LABELS: self._labels,
            Capability.PID_COLUMN: self._pid_column,
        }

    # ---- text ----

    async def _in_filter(self) -> str:
        """Ask both tables: they can be of different kinds."""
        asked = [
            await self._find_by_in(self.profiles, "profiles"),
            await self._find_by_in(self.mapping, "mapping rows"),
        ]
        return f"In with {asked[0]} texts returned their profiles, with {asked[1]} texts their mapping rows."

    async def _find_by_in(self, table: SampledTable, name: str) -> int:
        wanted = at_least(table.sample(), name)[::2]  # the others must not come back
        texts = [str(row[table.text]) for row in wanted]
        found = await self._rows(table, odata.is_in(table.text, texts))
        table.expect_all(wanted, found, "In")
        if not {str(row.get(table.text)).casefold() for row in found} <= {text.casefold() for text in texts}:
            raise WrongAnswerError(f"In returned {name} that it should have left out.")
        return len(texts)

    async def _text_ranges(self) -> str:
        table, column = self.mapping, self.mapping.text
        sampled = sorted(at_least(table.sample(), "mapping rows", least=2), key=lambda row: str(row[column]))
        cut = odata.literal(str(sampled[len(sampled) // 2][column]))
        among = _any_of(column, (str(row[column]) for row in sampled))
        wanted = table.keys(sampled)
        sides = (f"({column} lt {cut} or {column} eq null)", f"{column} ge {cut}")
        found = [table.keys(await self._rows(table, f"({among}) and {side}")) for side in sides]
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
                raise NothingToAskError(f"No {name} has a letter in its {table.text}.")
            found = await self._rows(table, f"{table.text} eq {odata.literal(_swap_case(row[table.text]))}")
            if row[table.key] not in table.keys(found):
                raise WrongAnswerError(f"A {name} was not found by its {table.text} in other letter case.")
        return "A profile and a mapping row were found by their text in other letter case."

    # ---- pages and counts ----

    async def _count(self) -> str:
        at_least(self.mapping.sample(), "mapping rows")
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
        self.profiles.expect_column("partitionid")
        if not self.profiles.rows:
            raise NothingToAskError("No profile was found.")
        told = sum(1 for row in self.profiles.rows if row.get("partitionid"))
        return f"partitionid was selected; {told:,} of {len(self.profiles.rows):,} profiles name one."

    async def _rows_with_link(self, *, pid: bool) -> tuple[str, list[Fields]]:
        """Return the lookup column and some rows that have a value in it: of a source table, else of the mapping."""
        for place in self.linked[:MAX_PLACES]:
            value = f"_{place.column}_value"
            filled = odata.query(select=value, filter=f"{value} ne null", top=SAMPLED)
            try:
                rows = await self._read_labeled(place.entity_set + filled)
            except DataverseError:  # the column is gone
                continue
            if rows and pid:
                options = odata.query(select=f"{value},{place.column}pid", filter=f"{value} ne null", top=SAMPLED)
                rows = await self._read_labeled(place.entity_set + options)
            if rows:
                return place.column, rows
        of_mapping = [row for row in self.mapping.rows if row.get(f"_{MappingColumns.lookup}_value")]
        return MappingColumns.lookup, at_least(of_mapping[:SAMPLED], "links to a profile")

    async def _read_labeled(self, path: str) -> list[Fields]:
        return list(response_models.page_in(await self.dataverse.get(path, prefer=WITH_LABELS))["value"])

    async def _pid_column(self) -> str:
        column, rows = await self._rows_with_link(pid=True)
        if f"{column}pid" not in rows[0]:
            raise WrongAnswerError(f"The rows have no column {column}pid.")
        return f"{column}pid was selected; {sum(1 for row in rows if row[f'{column}pid'])} of {len(rows)} rows have a value."

    async def _labels(self) -> str:
        column, rows = await self._rows_with_link(pid=False)
        labels = {str(row[f"_{column}_value"]).lower(): row.get(f"_{column}_value{LABEL}") for row in rows}
        found = await self._rows(self.profiles, " or ".join(f"{PROFILE_KEY} eq {key}" for key in labels))
        living = {str(row[PROFILE_KEY]).lower(): str(row.get(CUSTOMER_COLUMN)) for row in found}
        if not living:
            raise NothingToAskError("None of the sampled links leads to a profile.")
        wrong = [key for key, customer in living.items() if labels.get(key) != customer]
        if wrong:
            raise WrongAnswerError(f"{len(wrong)} of {len(living)} links have no label, or not their CustomerId.")
        return f"The label of {len(living)} links is their CustomerId."

    # ---- changes ----

    async def _filter_by_modified(self) -> str:
        table = self.mapping
        table.expect_column("modifiedon")
        stamped = [row for row in table.sample() if row.get("modifiedon")]
        newest = max(int(time_modified(row)) for row in at_least(stamped, "mapping rows with modifiedon"))
        for since in (newest, newest + 1):
            if older := await self._older_rows(stamped, since):
                return f"modifiedon ge returned the newer ones of {len(stamped)} rows and left out {older}."
        raise WrongAnswerError("modifiedon ge left out no row.")

    async def _older_rows(self, sampled: Sequence[Fields], since: int) -> int:
        """Return how many sampled rows the filter left out. Rows may be written meanwhile, so their own stamps decide."""
        table, stamp = self.mapping, iso(since)
        among = _any_of(table.text, (str(row[table.text]) for row in sampled))
        rows = await self._rows(table, f"({among}) and modifiedon ge {stamp}", "modifiedon")
        table.expect_all([row for row in sampled if time_modified(row) >= since], rows, "modifiedon ge")
        if any(time_modified(row) < since for row in rows):
            raise WrongAnswerError("modifiedon ge returned an older row.")
        return len(set(table.keys(sampled)) - set(table.keys(rows)))

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
            table.expect_column("modifiedon")
            options = odata.query(select="modifiedon", orderby="modifiedon desc", top=SAMPLED)
            rows = await self.dataverse.first(table.entity_set + options, response_models.Stamped)
            stamps = [response_models.time_in(stamp) for row in rows if (stamp := row.get("modifiedon"))]
            seen = [time_modified(row) for row in table.rows if row.get("modifiedon")]
            if not stamps:
                raise NothingToAskError(f"{table.entity_set} has no row with modifiedon.")
            if stamps != sorted(stamps, reverse=True) or stamps[0] < max(seen, default=0.0):
                raise WrongAnswerError(
                    f"$orderby=modifiedon desc on {table.entity_set} did not return the newest row first."
                )
        return "$orderby=modifiedon desc returned the newest row first on both tables."

    async def _mapping_names_profile(self) -> str:
        lookup = f"_{MappingColumns.lookup}_value"
        self.mapping.expect_column(MappingColumns.lookup)
        filled = [
            row for row in at_least(self.mapping.rows, "mapping rows") if row.get(lookup) and row.get(CUSTOMER_COLUMN)
        ]
        if not filled:
            raise WrongAnswerError(f"The lookup is empty on all {len(self.mapping.rows):,} sampled mapping rows.")
        compared = filled[:: max(1, len(filled) // COMPARED)][:COMPARED]
        found = await self._rows(
            self.profiles,
            " or ".join(f"{PROFILE_KEY} eq {key}" for key in dict.fromkeys(row[lookup] for row in compared)),
        )
        customers = {str(row[PROFILE_KEY]).lower(): str(row.get(CUSTOMER_COLUMN)).strip().lower() for row in found}
        wrong = [
            row
            for row in compared
            if customers.get(str(row[lookup]).lower()) != str(row[CUSTOMER_COLUMN]).strip().lower()
        ]
        if wrong:
            raise WrongAnswerError(
                f"The lookup of {len(wrong)} of {len(compared)} mapping rows names another or no profile."
            )
        return (
            f"The lookup is filled on {len(filled):,} of {len(self.mapping.rows):,} sampled mapping rows; "
            f"{len(compared)} of them were compared and name the profile of their CustomerId."
        )

    async def _rows(self, table: SampledTable, expression: str, *more: str) -> list[Fields]:
        """Return the rows of a filter, from their first response."""
        options = odata.query(select=",".join((table.key, table.text, *more)), filter=expression)
        return await self.dataverse.first(table.entity_set + options, Fields)


def _any_of(column: str, texts: Iterable[str]) -> str:
    return " or ".join(f"{column} eq {odata.literal(text)}" for text in texts)


_OTHER_CASE: Final = str.maketrans(
    string.ascii_letters, string.ascii_uppercase + string.ascii_lowercase
)  # others change length


def _swap_case(text: object) -> str:
    return str(text).translate(_OTHER_CASE)


def time_modified(row: Fields) -> float:
    return response_models.time_in(str(row["modifiedon"]))
