"""What is known of an environment and of the sources that feed it, and by whom (docs/reference/customer-insights.md 1 to 3).

An unknown fact is None. Whether a source came from the mapping, the Customer Insights API or a setting, it has these
types.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from linker.core.model import WIRE, Source

type Connector = Literal[
    "salesforce",
    "dynamics365",
    "powerQuery",
    "attachCdm",
    "attachSynapse",
    "attachCds",
    "powerPlatform",
    "datahub",
    "firstParty",
]


type Asked = Literal["not set up", "asked", "no answer"]
"""How far Customer Insights is known: its settings are not given, it answered, or it did not."""


class Origin(StrEnum):
    """Who says it."""

    MAPPING = "the mapping"
    INSIGHTS = "the Customer Insights API"
    SETTINGS = "LINKER_SOURCES"


class Recognised(StrEnum):
    """How a table was recognised as the one behind a source."""

    NAME = "its name"
    KEYS = "its keys"
    KEY_COLUMN = "its key column"


@dataclass(frozen=True, slots=True)
class Fact:
    """A word, and who says it."""

    __pydantic_config__ = WIRE
    value: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class EnvironmentFacts:
    """What is known of the environment. `linked_url` and the flags come from the Customer Insights API, None without it.

    `profiles` and `mapping` say whether Dataverse holds rows of them: True, False when it has no such table, None when the
    table is empty.
    """

    dataverse_url: str
    insights: Asked = "not set up"
    linked_url: str | None = None
    is_b2b: bool | None = None
    managed_lake: bool | None = None
    profiles: bool | None = None
    mapping: bool | None = None


@dataclass(frozen=True, slots=True)
class DataverseTable:
    """The Dataverse table that a name of the mapping belongs to, or may belong to."""

    __pydantic_config__ = WIRE
    logical_name: str
    schema_name: str
    entity_set: str
    primary_id: str
    table_type: str = "Standard"
    can_create_columns: bool = True
    can_be_related: bool = True  # may have lookups to other tables
    can_be_primary: bool = True  # other tables may have lookups to it

    def is_called(self, name: str) -> bool:
        """Whether `name` is one of the table's own names, in any case."""
        return name.casefold() in {n.casefold() for n in (self.logical_name, self.schema_name, self.entity_set)}


@dataclass(frozen=True, slots=True)
class DeclaredSource:
    """One source as LINKER_SOURCES declares it. `target` False: it isn't a Dataverse table, whatever its keys look like."""

    __pydantic_config__ = WIRE | {"extra": "forbid"}
    data_source: str
    table: str
    kind: Connector | None = None
    key: str | None = None
    target: bool = True

    @property
    def source(self) -> Source:
        """The pair that it speaks of."""
        return Source(self.data_source, self.table)


@dataclass(frozen=True, slots=True)
class DataSource:
    """One data source of Customer Insights: the kind of its connector, and the primary key chosen for each of its tables."""

    name: str
    kind: str
    tables: tuple[str, ...]
    keys: dict[str, str]


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of one source besides the mapping."""

    origins: tuple[Origin, ...] = (Origin.MAPPING,)
    connector: Fact | None = None
    chosen_key: Fact | None = None
    target: bool = True


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of one source that takes part in unification.

    `sampled` keys of the mapping were looked at; `guids` of them are guid texts; `found` of those exist in `table`, unless its
    rows may not be read, or not all of them (`unread`).
    """

    __pydantic_config__ = WIRE
    source: Source
    table: DataverseTable | None = None
    recognised: Recognised = Recognised.NAME
    origins: tuple[Origin, ...] = (Origin.MAPPING,)
    connector: Fact | None = None  # kind of the data source
    chosen_key: Fact | None = None  # primary key chosen in unification
    sampled: int = 0
    guids: int = 0
    found: int = 0
    unread: bool = False

    @property
    def elsewhere(self) -> bool:
        """Whether its keys were looked up and none was found."""
        return self.guids > 0 and not self.found and not self.unread

    @property
    def renamed(self) -> bool:
        """Whether a table was recognised by something else than its name."""
        return self.table is not None and not self.table.is_called(self.source.table)


def told(source: Source, described: Sequence[DataSource], declared: Iterable[DeclaredSource]) -> Told:
    """Return what Customer Insights and LINKER_SOURCES say of a source. Where both speak, Customer Insights is right."""
    api = next((d for d in described if d.name.casefold() == source.data_source.casefold()), None)
    keys = {name.casefold(): key for name, key in api.keys.items()} if api else {}
    setting = next((d for d in declared if same(d.source, source)), None)
    return Told(
        origins=(Origin.MAPPING, *([Origin.INSIGHTS] if api else []), *([Origin.SETTINGS] if setting else [])),
        connector=_fact(api.kind if api else None, setting.kind if setting else None),
        chosen_key=_fact(keys.get(source.table.casefold()), setting.key if setting else None),
        target=setting is None or setting.target,
    )


def unseen(sources: Iterable[Source], named: Sequence[Source]) -> tuple[Source, ...]:
    """Return those of `sources` that `named` does not hold."""
    return tuple(source for source in sources if not any(same(source, other) for other in named))


def same(one: Source, other: Source) -> bool:
    """Whether two pairs name the same source; Dataverse compares text regardless of case (docs/reference/dataverse.md 6.2)."""
    return (one.data_source.casefold(), one.table.casefold()) == (other.data_source.casefold(), other.table.casefold())


def name_of(source: Source) -> str:
    """Return a source as a sentence names it."""
    return f"'{source.table}' of data source '{source.data_source}'"


def _fact(api: str | None, setting: str | None) -> Fact | None:
    if api:
        return Fact(api, Origin.INSIGHTS)
    return Fact(setting, Origin.SETTINGS) if setting else None
