"""Which tables took part in unification, which may be linked, and why not the others (design decisions 5 and 24)."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from linker import eligibility, odata
from linker.activities.values import RunRef, Survey
from linker.dataverse import Dataverse, metadata
from linker.dataverse.client import MAPPING_SET, PROFILE_SET
from linker.deps import Deps
from linker.eligibility import DataverseTable, EnvironmentFacts, SourceFacts
from linker.errors import DataverseError
from linker.insights import DataSource, Instance
from linker.model import SKIPPED_MESSAGE, Finding, KeyRange, Run, Source, Status, TableRun, Target, Verdict
from linker.odata import MappingColumns
from linker.pages import row_key

DRY_RUN_NOTE = "Dry run: nothing was written. It does not look for links that vanished since they were confirmed."
SAMPLE = 20  # keys of a source that are looked up as evidence
SAMPLED_FROM = (None, "4", "8", "c")  # lower ends of the ranges sampled until a key is found
MOST_SOURCES = 200  # pairs of data source and table; more means that the names are not what they seem


async def survey(deps: Deps, ref: RunRef) -> Survey:
    """Find the sources, answer R1-R6, and save both with the run. Writes nothing to Dataverse."""
    run = ref.run
    dataverse = deps.dataverse()
    asked = await deps.runs.load(run)
    account = await metadata.service_account(dataverse)
    columns = await metadata.mapping_columns(dataverse)
    environment, described = await _environment(deps, dataverse)
    general = eligibility.check_environment(environment, deps.settings.declared)
    sources = await find_sources(dataverse, columns)
    facts = _without_lookalikes(
        await asyncio.gather(*(_facts(dataverse, columns, source, described) for source in sources))
    )
    wanted = asked.requested_tables if asked else ()
    tables, notes = _judge(deps, facts, environment, general, wanted)
    for table, of_table in _by_table(facts).items():
        await _save_target(deps, run, table, of_table, columns)
    tables += await _left_behind(deps, run, dataverse, columns, {t.table for t in tables}, wanted)
    status, detail = _verdict(deps, tables, general, wanted)
    warnings = _warnings(tables)

    def change(old: Run) -> Run:
        return replace(
            old,
            service_account=account.name,
            tables=tables,
            findings=general,
            notes=(*notes, DRY_RUN_NOTE) if old.dry_run else notes,
            warnings=tuple(dict.fromkeys((*old.warnings, *warnings))),  # a survey may be repeated
            status_detail=detail,
        )

    await deps.runs.advance(run, change)
    names = tuple(table.table for table in tables if table.status is Status.QUEUED)
    schema, settings = await metadata.profile_schema(dataverse), deps.settings
    return Survey(names, status, await _full_reason(deps), schema, settings.width, settings.touch_profiles)


async def _full_reason(deps: Deps) -> str:
    """Why the run has to be full, as far as Customer Insights tells; without it nothing is known and nothing follows."""
    if deps.insights is None or await deps.insights.last_unification() is not None:
        return ""
    return "Customer Insights knows of no successful merge"


async def find_sources(dataverse: Dataverse, columns: MappingColumns) -> list[Source]:
    """Return the pairs of data source and table in the mapping, found by skipping from one to the next."""
    found: list[Source] = []
    while len(found) < MOST_SOURCES and (source := await dataverse.next_source(columns, found)) is not None:
        found.append(source)
    return sorted(found)


async def _environment(deps: Deps, dataverse: Dataverse) -> tuple[EnvironmentFacts, tuple[DataSource, ...] | None]:
    profiles = (await dataverse.get(PROFILE_SET + odata.query(select="msdynci_customerid", top=1)))["value"]
    instance, described = Instance(None, None, None), None
    if deps.insights is not None:
        instance, described = await asyncio.gather(deps.insights.instance(), deps.insights.data_sources())
    facts = EnvironmentFacts(
        dataverse_url=deps.settings.dataverse_url,
        linked_url=instance.linked_url,
        is_b2b=instance.is_b2b,
        managed_lake=instance.managed_lake,
        profiles_in_dataverse=bool(profiles) or None,
    )
    return facts, described


async def _facts(
    dataverse: Dataverse, columns: MappingColumns, source: Source, described: tuple[DataSource, ...] | None
) -> SourceFacts:
    named = await metadata.find_tables(dataverse, source.table) if _is_name(source.table) else []
    for (
        lower
    ) in SAMPLED_FROM:  # rows may have been deleted since unification, so one sample that finds none proves nothing
        texts = await _sample(dataverse, columns, source, lower)
        guids = [text for text in texts if row_key(text)]
        table, found = await _owner(dataverse, named, guids)
        if found or not guids:
            break
    origin = next((d for d in described or () if d.name.casefold() == source.data_source.casefold()), None)
    keys = {name.casefold(): key for name, key in (origin.keys if origin else {}).items()}
    kind, chosen = (origin.kind if origin else None), keys.get(source.table.casefold())
    return SourceFacts(source, table, kind, chosen, len(texts), len(guids), found)


async def _sample(dataverse: Dataverse, columns: MappingColumns, source: Source, lower: str | None) -> list[str]:
    options = odata.query(select=columns.key, filter=columns.in_range(source, KeyRange(lower)), top=SAMPLE)
    return [row[columns.key] or "" for row in (await dataverse.get(MAPPING_SET + options))["value"]]


async def _owner(
    dataverse: Dataverse, named: Sequence[DataverseTable], guids: Sequence[str]
) -> tuple[DataverseTable | None, int]:
    """Return the table that the keys belong to, and how many of them it has: by name, else by its rows (renamed)."""
    if named:
        return named[0], await metadata.existing_keys(dataverse, named[0], guids) if guids else 0
    if not guids:
        return None, 0
    for table in [*await _common_tables(dataverse), *await metadata.custom_tables(dataverse)]:
        with contextlib.suppress(DataverseError):  # not ours to read: then it is not a table that we could link either
            if table.entity_set and (found := await metadata.existing_keys(dataverse, table, guids)):
                return table, found
    return None, 0


async def _common_tables(dataverse: Dataverse) -> list[DataverseTable]:
    return [table for name in ("contact", "lead", "account") for table in await metadata.find_tables(dataverse, name)]


def _without_lookalikes(facts: Sequence[SourceFacts]) -> list[SourceFacts]:
    """Return the facts with the table taken from sources that only hold its keys while another source bears its name.

    A web shop keyed by contact ids is no renamed contact table; where nothing bears the name, it may be one.
    """
    named = {fact.table for fact in facts if fact.table is not None and fact.table.is_called(fact.source.table)}
    return [
        replace(fact, table=None)
        if fact.table in named and fact.table is not None and not fact.table.is_called(fact.source.table)
        else fact
        for fact in facts
    ]


def _is_name(text: str) -> bool:
    return text.replace("_", "").isalnum() and text.isascii()


def _by_table(facts: Iterable[SourceFacts]) -> dict[DataverseTable, list[SourceFacts]]:
    grouped: dict[DataverseTable, list[SourceFacts]] = defaultdict(list)
    for fact in facts:
        if fact.table is not None:
            grouped[fact.table].append(fact)
    return dict(grouped)


def _judge(
    deps: Deps,
    facts: Sequence[SourceFacts],
    environment: EnvironmentFacts,
    general: tuple[Finding, ...],
    wanted: Sequence[str],
) -> tuple[tuple[TableRun, ...], tuple[str, ...]]:
    """Return a table run for each link target, and a note for each source that is none."""
    tables = []
    for table, of_table in _by_table(facts).items():
        if wanted and table.logical_name not in wanted:
            continue
        per_source = [eligibility.check_source(fact, environment, deps.settings.declared) for fact in of_table]
        findings = tuple(dict.fromkeys(finding for answers in per_source for finding in answers))
        status, detail = _table_status(deps, (*general, *findings))
        sources = tuple(fact.source for fact in of_table)
        names = ", ".join(dict.fromkeys(source.data_source for source in sources))
        tables.append(TableRun(table.logical_name, names, status, detail, findings=findings, sources=sources))
    notes = tuple(
        f"'{fact.source.table}' of data source '{fact.source.data_source}' takes part in unification and is no Dataverse "
        "table, so it is no link target."
        for fact in facts
        if fact.table is None
    )
    return tuple(sorted(tables, key=lambda table: table.table)), notes


async def _left_behind(
    deps: Deps, run: str, dataverse: Dataverse, columns: MappingColumns, found: set[str], wanted: Sequence[str]
) -> tuple[TableRun, ...]:
    """Return the tables that were linked before and take part no more: their links meet the guard instead of silence."""
    gone = [name for name in await deps.plans.tables() if name not in found and (not wanted or name in wanted)]
    tables = []
    for name in gone:
        for table in await metadata.find_tables(dataverse, name):
            await _save_target(deps, run, table, (), columns)
            tables.append(TableRun(name, "", Status.QUEUED, "The table takes part in unification no more."))
    return tuple(tables)


def _table_status(deps: Deps, findings: Sequence[Finding]) -> tuple[Status, str]:
    broken = eligibility.violated(findings)
    unknown = eligibility.unknown(findings)
    if not broken and (not unknown or deps.settings.unknown_facts == "warn"):
        return Status.QUEUED, ""
    reasons = dict.fromkeys(f"{f.requirement}: {f.evidence} {f.advice}".strip() for f in broken or unknown)
    return Status.SKIPPED, " ".join(reasons)


def _verdict(
    deps: Deps, tables: Sequence[TableRun], general: Sequence[Finding], wanted: Sequence[str]
) -> tuple[Status | None, str]:
    """Return how the run ends here, if it does, and what its status says."""
    broken = eligibility.violated(general)
    if broken:
        reasons = " ".join(f"{f.requirement}: {f.evidence} {f.advice}" for f in broken)
        return Status.SKIPPED, f"{SKIPPED_MESSAGE}. {reasons}"
    if not tables:
        asked = "None of the tables asked for" if wanted else "No Dataverse table"
        return Status.SKIPPED, f"{SKIPPED_MESSAGE}. {asked} takes part in unification; nothing was written."
    skipped = [table for table in tables if table.status is Status.SKIPPED]
    if len(skipped) == len(tables) or (skipped and deps.settings.requirements == "all"):
        return Status.SKIPPED, f"{SKIPPED_MESSAGE}. " + " ".join(f"{t.table}: {t.detail}" for t in skipped)
    return None, ""


def _warnings(tables: Sequence[TableRun]) -> tuple[str, ...]:
    skipped = [f"Table '{t.table}' was skipped. {t.detail}" for t in tables if t.status is Status.SKIPPED]
    unknown = [
        f"Table '{table.table}' is linked although {finding.requirement} is not known: {finding.evidence}"
        for table in tables
        if table.status is Status.QUEUED
        for finding in table.findings
        if finding.verdict is Verdict.UNKNOWN
    ]
    return (*skipped, *unknown)


async def _save_target(
    deps: Deps, run: str, table: DataverseTable, facts: Sequence[SourceFacts], columns: MappingColumns
) -> None:
    target = Target(
        table=table.logical_name,
        entity_set=table.entity_set,
        key=table.primary_id,
        navigation="",
        sources=tuple(fact.source for fact in facts),
        name_column=columns.table,
    )
    await deps.runs.save_target(run, target)
