"""Reads what is known of an environment and its sources: mapping, metadata, sampled keys, Customer Insights."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from linker.adapters.customer_insights import Instance, NoAnswer
from linker.adapters.dataverse import Dataverse, metadata, users
from linker.adapters.dataverse.patient_reads import Unread, ask_optional
from linker.adapters.dataverse.response_models import Fields
from linker.adapters.dataverse.sampled_tables import LinkedColumn
from linker.core import odata
from linker.core.errors import ConfigurationError, DataverseError, StateError
from linker.core.keys import key_text, row_key
from linker.core.model import Source
from linker.core.names import CUSTOMER_COLUMN, LOOKUP_SCHEMA_NAME, MAPPING_SET, PROFILE_SET
from linker.core.odata import MappingColumns
from linker.core.permissions import privileges
from linker.core.permissions.privileges import Depth, Need, Right
from linker.core.requirements.facts import (
    DataSource,
    DataverseTable,
    EnvironmentFacts,
    Recognised,
    SourceFacts,
    Told,
    told,
    unseen,
)
from linker.core.requirements.table_eligibility import Judgement, Rules, judge
from linker.core.serialization import parse_time
from linker.deps import Deps
from linker.services.source_tables import Recognition, SourceTables, load_remembered, of_sources, remember
from linker.settings import Settings

SAMPLE = 50  # keys of a source that are looked up as evidence
READ_FOR_SAMPLE = 200  # mapping rows of a source that are read to choose them from
MAX_SOURCES = 200  # pairs of data source and table; more means that the names are not what they seem
SOURCES_AT_ONCE = 8
KEPT_ROW, KEPT_S = "insights", 7 * 86_400.0  # what Customer Insights said counts for so many seconds


@dataclass(frozen=True, slots=True)
class Insight:
    """What Customer Insights says. `fault` says why it did not answer although its settings are given: a note, no more."""

    instance: Instance = Instance()
    sources: tuple[DataSource, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class KeptInsight:
    """What Customer Insights said at `said_at` (ISO 8601)."""

    instance: Instance = Instance()
    sources: tuple[DataSource, ...] = ()
    said_at: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All facts, and what follows from them. `columns` is None when Dataverse has no mapping. `notes` say which optional
    questions have no answer, `recognised` what was recognised by keys.
    """

    environment: EnvironmentFacts
    sources: tuple[SourceFacts, ...]
    judgement: Judgement
    columns: MappingColumns | None
    notes: tuple[str, ...] = ()
    insight: Insight = Insight()
    recognised: Mapping[str, Recognition] = field(default_factory=dict)


async def gather(deps: Deps, dataverse: Dataverse, held: Mapping[str, Depth], wanted: tuple[str, ...] = ()) -> Evidence:
    """Return everything that decides which tables may be linked, and the judgement. `held` are the account's privileges,
    `wanted` logical names, none for all.

    Raises TransientError, DataverseError; ConfigurationError when the mapping's names are not what they seem.
    """
    columns, profiles, insight = await asyncio.gather(
        metadata.mapping_columns(dataverse), _has_rows(dataverse, PROFILE_SET, CUSTOMER_COLUMN), _insight(deps)
    )
    rules = _rules(deps.settings, wanted)
    sources: tuple[SourceFacts, ...] = ()
    tables = SourceTables(dataverse, deps.clock(), await load_remembered(deps))
    if columns is not None:
        columns, found = await _find_sources(dataverse, columns)
        tables.found = of_sources(tables.found, found)
        named = await _sources(dataverse, columns, found, insight, rules, tables)
        sources = await _as_far_as_read(dataverse, named, held)
    environment = _environment(deps, insight, profiles=profiles, mapping=bool(sources) or None if columns else False)
    left, unseen = await _find_left_behind(deps, dataverse, sources) if columns else ([], "")
    notes = tuple(filter(None, (insight.fault, *tables.notes, unseen)))
    return Evidence(
        environment, sources, judge(environment, sources, left, rules), columns, notes, insight, tables.found
    )


def _rules(settings: Settings, wanted: tuple[str, ...]) -> Rules:
    return Rules(
        declared=settings.declared,
        sources=settings.sources,
        warn_of_unknown=settings.unknown_facts == "warn",
        all_or_none=settings.requirements == "all",
        wanted=wanted,
    )


async def _sources(
    dataverse: Dataverse,
    columns: MappingColumns,
    found: Iterable[Source],
    insight: Insight,
    rules: Rules,
    tables: SourceTables,
) -> tuple[SourceFacts, ...]:
    room = asyncio.Semaphore(SOURCES_AT_ONCE)

    async def facts(source: Source) -> SourceFacts:
        async with room:
            return await _source(dataverse, columns, source, told(source, insight.sources, rules.sources), tables)

    return tuple(await asyncio.gather(*map(facts, found)))


def _environment(deps: Deps, insight: Insight, *, profiles: bool | None, mapping: bool | None) -> EnvironmentFacts:
    return EnvironmentFacts(
        dataverse_url=deps.settings.dataverse_url,
        insights="not set up" if deps.insights is None else "no answer" if insight.fault else "asked",
        linked_url=insight.instance.linked_url,
        is_b2b=insight.instance.is_b2b,
        managed_lake=insight.instance.managed_lake,
        profiles=profiles,
        mapping=mapping,
    )


async def _find_sources(dataverse: Dataverse, columns: MappingColumns) -> tuple[MappingColumns, list[Source]]:
    """Return the sources, and the mapping's columns as this environment compares them: by ranges where names have wildcards,
    or by `eq` alone where it refuses ranges of text.
    """
    try:
        return columns, await find_sources(dataverse, columns)
    except DataverseError as error:
        if error.status not in (400, 501):
            raise
    plain = columns.without_ranges()
    found = await find_sources(dataverse, plain)
    for source in (source for source in found if odata.may_be_pattern(source.data_source + source.table)):
        await _expect_exact(dataverse, plain, source)
    return plain, found


async def _expect_exact(dataverse: Dataverse, columns: MappingColumns, source: Source) -> None:
    """Raise ConfigurationError when `eq` takes "_" for any character: a source would hide others, and their links would go."""
    pattern = replace(source, data_source="_" + source.data_source[1:])
    options = odata.query(select=columns.key, filter=columns.of_source(pattern), top=1)
    if pattern != source and await dataverse.first(MAPPING_SET + options, Fields):
        raise ConfigurationError(
            f"The name of data source '{source.data_source}' or table '{source.table}' has characters that this environment "
            "takes for wildcards, and it refuses ranges of text. Nothing was written. Rename the data source without "
            "_, %, and [."
        )


async def find_sources(dataverse: Dataverse, columns: MappingColumns) -> list[Source]:
    """Return the pairs of data source and table in the mapping, found by skipping from one to the next."""
    found: list[Source] = []
    while (source := await dataverse.next_source(columns, found)) is not None:
        if len(found) == MAX_SOURCES:
            raise ConfigurationError(
                f"The mapping names more than {MAX_SOURCES} pairs of data source and table, such as {found[:3]}. Nothing was "
                "written. Look whether msdynci_datasourcename and the table name hold names in every row."
            )
        found.append(source)
    return sorted(found)


def not_in_mapping(evidence: Evidence) -> tuple[Source, ...]:
    """Return the sources that Customer Insights names and the mapping does not: they took no part in unification."""
    named = [facts.source for facts in evidence.sources]
    described = [Source(source.name, table) for source in evidence.insight.sources for table in source.tables]
    return unseen(described, named)


async def _insight(deps: Deps) -> Insight:
    """Return what Customer Insights says, and what it said last where it does not answer now."""
    if deps.insights is None:
        return Insight()
    answers = await asyncio.gather(deps.insights.instance(), deps.insights.data_sources())
    faults = dict.fromkeys(answer.reason for answer in answers if isinstance(answer, NoAnswer))
    kept = await _load_kept(deps) if faults else None
    known = kept or KeptInsight()
    instance, sources = answers
    return Insight(
        known.instance if isinstance(instance, NoAnswer) else instance,
        known.sources if isinstance(sources, NoAnswer) else sources,
        " ".join(("Customer Insights did not answer as it should.", *faults, _instead(kept))) if faults else "",
    )


def _instead(kept: KeptInsight | None) -> str:
    if kept is None:
        return "Until it answers, its facts count as unknown."
    return f"What it said on {kept.said_at} is used instead."


async def _load_kept(deps: Deps) -> KeptInsight | None:
    """Return what Customer Insights said last, None when that is too long ago."""
    try:
        found = await deps.documents.load(KeptInsight, KEPT_ROW)
    except StateError:  # another version of the app saved it
        return None
    if found is None or deps.clock() - parse_time(found[0].said_at) > KEPT_S:
        return None
    return found[0]


async def find_linked_columns(deps: Deps, seen: Evidence) -> tuple[LinkedColumn, ...]:
    """Return the lookup columns of tables that were linked before, whose rows show what a link looks like."""
    linked = set(await deps.states.tables())
    tables = [judged.table for judged in seen.judgement.tables if judged.table.logical_name in linked]
    return tuple(LinkedColumn(table.entity_set, LOOKUP_SCHEMA_NAME) for table in dict.fromkeys(tables))


async def keep(deps: Deps, seen: Evidence) -> None:
    """Remember what optional questions came to, for the runs that follow. A preflight keeps nothing."""
    if deps.insights is not None and not seen.insight.fault:
        await deps.documents.save(KEPT_ROW, KeptInsight(seen.insight.instance, seen.insight.sources, deps.now()))
    await remember(deps, seen.recognised)


async def _has_rows(dataverse: Dataverse, entity_set: str, column: str) -> bool | None:
    """Return whether a table has rows: False when the table does not exist, None when it is empty."""
    try:
        rows = await dataverse.first(entity_set + odata.query(select=column, top=1), Fields)
    except DataverseError as error:
        if error.status != 404:
            raise
        return False
    return bool(rows) or None


async def _source(
    dataverse: Dataverse, columns: MappingColumns, source: Source, said: Told, tables: SourceTables
) -> SourceFacts:
    """Return what is known of one source. Its keys are sampled: rows may have been deleted since."""
    candidates = await tables.candidates(source, said) if said.target else []
    texts = dict.fromkeys(await _sample(dataverse, columns, source) if said.target else ())
    guids = [key_text(key) for key in dict.fromkeys(map(row_key, texts)) if key is not None]
    owner, found = await tables.owner(source, candidates, guids) if said.target else (None, 0)
    recognised, table = owner or next(iter(candidates), (Recognised.NAME, None))
    told_of = (said.origins, said.connector, said.chosen_key)
    facts = SourceFacts(source, table, recognised, *told_of, sampled=len(texts), guids=len(guids))
    return replace(facts, found=found or 0, unread=found is None)


async def _sample(dataverse: Dataverse, columns: MappingColumns, source: Source) -> list[str]:
    options = odata.query(select=columns.key, filter=columns.of_source(source), top=READ_FOR_SAMPLE)
    rows = await dataverse.first(MAPPING_SET + options, Fields)
    return [str(row.get(columns.key) or "") for row in rows[:: max(1, len(rows) // SAMPLE)]][:SAMPLE]


async def _as_far_as_read(
    dataverse: Dataverse, sources: tuple[SourceFacts, ...], held: Mapping[str, Depth]
) -> tuple[SourceFacts, ...]:
    """Mark the sources whose rows are read in part only: keys that were not found may be there anyway."""
    needs = [Need(facts.table.logical_name, Right.READ, "") for facts in sources if facts.elsewhere and facts.table]
    lacking = {gap.table for gap in privileges.missing(needs, await users.of_tables(dataverse, needs), held)}
    return tuple(
        replace(facts, unread=True)
        if facts.elsewhere and facts.table and facts.table.logical_name in lacking
        else facts
        for facts in sources
    )


async def _find_left_behind(
    deps: Deps, dataverse: Dataverse, facts: Iterable[SourceFacts]
) -> tuple[list[DataverseTable], str]:
    """Return the tables that were linked before and take part no more, and why they are not known, if they are not."""
    there = {fact.table.logical_name for fact in facts if fact.table is not None}
    gone = [name for name in await deps.states.tables() if name not in there]

    async def find(alone: Dataverse) -> list[DataverseTable]:
        return [table for name in gone for table in await metadata.find_tables(alone, name)]

    found = await ask_optional(dataverse, find) if gone else []
    if isinstance(found, Unread):
        return [], f"Whether the tables {', '.join(gone)} left unification is not known. {found.reason}"
    return found, ""
