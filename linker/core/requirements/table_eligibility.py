"""Which tables a run may link, and why not the others: facts in, tables with their findings out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from linker.core.model import Finding, Requirement, Status, TableRun, Target, Verdict
from linker.core.names import MAPPING_TABLE, SKIPPED_MESSAGE
from linker.core.requirements.checks import (
    PAGE,
    check_environment,
    check_source,
    find_violated,
    from_dataverse,
    no_table,
    unknown,
)
from linker.core.requirements.facts import (
    DataverseTable,
    DeclaredSource,
    EnvironmentFacts,
    SourceFacts,
    name_of,
    same,
    unseen,
)

LEFT = "The table takes part in unification no more."


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings and the request say. `wanted` are logical names of tables, empty for all."""

    declared: tuple[Requirement, ...] = ()
    sources: tuple[DeclaredSource, ...] = ()
    warn_of_unknown: bool = False
    all_or_none: bool = False
    wanted: tuple[str, ...] = ()

    def wants(self, table: str) -> bool:
        """Whether a table was asked for."""
        return not self.wanted or table in self.wanted


@dataclass(frozen=True, slots=True)
class JudgedTable:
    """One link target, or one source that looks like one. `sources` feed it; none: it takes part no more."""

    run: TableRun
    table: DataverseTable
    sources: tuple[SourceFacts, ...] = ()

    def target(self, name_column: str) -> Target:
        """Return the table as it is written; its lookup is not looked at yet. `name_column` is that of the mapping."""
        return Target(
            table=self.table.logical_name,
            entity_set=self.table.entity_set,
            key=self.table.primary_id,
            navigation="",
            sources=tuple(facts.source for facts in self.sources),
            name_column=name_column,
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which tables may be linked. `status` is set when the run ends here, and `detail` says why."""

    findings: tuple[Finding, ...]
    tables: tuple[JudgedTable, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    status: Status | None = None
    detail: str = ""

    @property
    def linked(self) -> tuple[JudgedTable, ...]:
        """The tables that a run would link."""
        return tuple(table for table in self.tables if table.run.status is Status.QUEUED)


def judge(
    environment: EnvironmentFacts, sources: Sequence[SourceFacts], left: Iterable[DataverseTable], rules: Rules
) -> Judgement:
    """Answer R1-R6 and say what follows. `left` are tables that were linked before and take part no more: their links meet
    the guard of unlinking instead of silence.
    """
    general = check_environment(environment, rules.declared)
    judged = [
        _table(name, table, facts, environment, general, rules)
        for (table, name), facts in _targets(sources).items()
        if rules.wants(table.logical_name)
    ]
    judged += [
        JudgedTable(TableRun(table.logical_name, "", Status.QUEUED, LEFT), table)
        for table in left
        if rules.wants(table.logical_name)
    ]
    tables = tuple(sorted(judged, key=lambda one: one.run.table))
    status, detail = _verdict(general, tables, environment, rules)
    warnings = _warnings(general, tables, sources, rules, goes_on=status is None)
    return Judgement(general, tables, warnings, _notes(sources, rules), status, detail)


def _targets(sources: Sequence[SourceFacts]) -> dict[tuple[DataverseTable, str], list[SourceFacts]]:
    """Return the sources of each target, by its table and the name to show it by.

    A source that only looks like a table, or none of whose rows are found in it, stands apart where another source is that
    table: it is not linked, and does not keep the other from being linked.
    """
    own = {facts.table for facts in sources if facts.table is not None and not _apart(facts)}
    targets: dict[tuple[DataverseTable, str], list[SourceFacts]] = defaultdict(list)
    for facts in sources:
        if facts.table is not None:
            apart = facts.table in own and _apart(facts)
            name = f"{facts.source.table} ({facts.source.data_source})" if apart else facts.table.logical_name
            targets[facts.table, name].append(facts)
    return dict(targets)


def _apart(facts: SourceFacts) -> bool:
    return facts.renamed or (facts.sampled > 0 and not facts.found and not facts.unread)


def _table(
    name: str,
    table: DataverseTable,
    sources: Sequence[SourceFacts],
    environment: EnvironmentFacts,
    general: tuple[Finding, ...],
    rules: Rules,
) -> JudgedTable:
    answers = [check_source(facts, environment, rules.declared) for facts in sources]
    findings = tuple(dict.fromkeys(finding for answer in answers for finding in answer))
    telling = [finding for finding in findings if not _waits(finding, sources)]
    detail = _reason((*general, *telling), rules)
    status = Status.SKIPPED if detail else Status.QUEUED
    data_sources = ", ".join(dict.fromkeys(facts.source.data_source for facts in sources))
    pairs = tuple(facts.source for facts in sources)
    passing = bool(detail) and environment.insights == "no answer" and not find_violated((*general, *telling))
    run = TableRun(name, data_sources, status, detail, findings=findings, sources=pairs, passing=passing)
    return JudgedTable(run, table, tuple(sources))


def _waits(finding: Finding, sources: Iterable[SourceFacts]) -> bool:
    """Whether an answer has to wait until keys may be looked up: a missing privilege refuses the table, and is named there."""
    by_keys = finding.requirement in ("R1", "R2", "R4") and finding.verdict is Verdict.UNKNOWN
    return by_keys and any(facts.unread for facts in sources)


def _reason(findings: Sequence[Finding], rules: Rules) -> str:
    """Return why these findings keep a table from being linked, empty when they do not."""
    broken, open_ = find_violated(findings), unknown(findings)
    if broken:
        return " ".join(dict.fromkeys(_told(finding) for finding in broken))
    if not open_ or rules.warn_of_unknown:
        return ""
    told = dict.fromkeys(f"{finding.requirement} is not known: {finding.evidence}" for finding in open_)
    return f"{' '.join(told)} {_how_to_declare(open_, rules)}"


def _told(finding: Finding) -> str:
    return f"{finding.requirement}: {finding.evidence} {finding.advice} (See {finding.docs}.)"


def _how_to_declare(open_: Iterable[Finding], rules: Rules) -> str:
    names = ",".join(sorted({*rules.declared, *(finding.requirement for finding in open_)}))
    return f"What you know to be met you may declare: LINKER_DECLARED={names}. (See {PAGE}#unknown.)"


def _verdict(
    general: Sequence[Finding], tables: Sequence[JudgedTable], environment: EnvironmentFacts, rules: Rules
) -> tuple[Status | None, str]:
    broken = find_violated(general)
    if broken:
        return _explain_skip(" ".join(_told(finding) for finding in broken))
    if environment.mapping is False:
        return _explain_skip(
            f"Dataverse has no mapping to read (table {MAPPING_TABLE}). Run unification once. (See {PAGE}#r6.)"
        )
    if environment.mapping is None and not tables:
        return _explain_skip(f"The mapping (table {MAPPING_TABLE}) is empty. Run unification once. (See {PAGE}#r6.)")
    if not tables:
        asked = f"No table that was asked for ({', '.join(rules.wanted)})" if rules.wanted else "No Dataverse table"
        return _explain_skip(
            f"{asked} takes part in unification. Add the table in Data > Unify, and run unification. (See {PAGE}#r1.)"
        )
    skipped = [table.run for table in tables if table.run.status is Status.SKIPPED]
    if len(skipped) == len(tables):
        return _explain_skip(_group_reasons(skipped))
    if skipped and rules.all_or_none:
        return _explain_skip(
            f"LINKER_REQUIREMENTS is 'all', and not all tables may be linked. {_group_reasons(skipped)}"
        )
    return None, ""


def _explain_skip(reason: str) -> tuple[Status, str]:
    return Status.SKIPPED, f"{SKIPPED_MESSAGE}. Nothing was written. {reason}"


def _group_reasons(skipped: Iterable[TableRun]) -> str:
    """Return the reasons of skipped tables; those that share one are named together."""
    names: dict[str, list[str]] = defaultdict(list)
    for table in skipped:
        names[table.detail].append(table.table)
    return " ".join(f"{', '.join(tables)}: {detail}" for detail, tables in names.items())


def _warnings(
    general: Sequence[Finding],
    tables: Sequence[JudgedTable],
    sources: Sequence[SourceFacts],
    rules: Rules,
    *,
    goes_on: bool,
) -> tuple[str, ...]:
    """Return what an administrator should look at. Why a run ends here is in its detail already."""
    apart = [table.run for table in tables if table.run.status is Status.SKIPPED] if goes_on else []
    skipped = [f"Table '{run.table}' was skipped. {run.detail}" for run in apart]
    queued = [table for table in tables if table.run.status is Status.QUEUED] if goes_on else []
    doubtful = [
        *(
            _although(f"Table '{table.run.table}' is linked", one)
            for table in queued
            for one in unknown(table.run.findings)
            if not _waits(one, table.sources)
        ),
        *(_although("Tables are linked", one) for one in unknown(general) if queued),
    ]
    there = [facts.source for facts in sources]
    misspelled = [
        f"LINKER_SOURCES names table {name_of(source)}, of which the mapping has no row. "
        "Correct its spelling, or take it out."
        for source in unseen((declared.source for declared in rules.sources), there)
    ]
    return (*skipped, *doubtful, *_find_unrecognised(sources, rules), *misspelled, *_not_asked(tables, rules))


def _although(what: str, finding: Finding) -> str:
    return f"{what} although {finding.requirement} is not known: {finding.evidence} {finding.advice}"


def _find_unrecognised(sources: Iterable[SourceFacts], rules: Rules) -> list[str]:
    return [
        f"{name_of(facts.source)} comes through the Dataverse connector, but no table of this environment has its name or its "
        "keys: it was renamed, or its rows are gone or elsewhere. It is not linked. Give it its name back and run unification. "
        f"Or {no_table(facts.source)} (See {PAGE}#r3.)"
        for facts in sources
        if _is_lost(facts, rules)
    ]


def _not_asked(tables: Iterable[JudgedTable], rules: Rules) -> list[str]:
    there = {table.table.logical_name for table in tables}
    return [
        f"Table '{name}' was asked for, but takes no part in unification."
        for name in rules.wanted
        if there and name not in there
    ]


def _notes(sources: Iterable[SourceFacts], rules: Rules) -> tuple[str, ...]:
    return tuple(
        f"{name_of(facts.source)} takes part in unification and isn't a Dataverse table, so it isn't linked: "
        f"{'LINKER_SOURCES says so' if _is_declared_away(facts, rules) else 'no table has its name or its keys'}."
        for facts in sources
        if facts.table is None and not _is_lost(facts, rules)
    )


def _is_lost(facts: SourceFacts, rules: Rules) -> bool:
    """Whether a source comes out of Dataverse and is none of its tables by name or keys: that is more than no target."""
    return facts.table is None and from_dataverse(facts.connector) and not _is_declared_away(facts, rules)


def _is_declared_away(facts: SourceFacts, rules: Rules) -> bool:
    return any(not declared.target and same(declared.source, facts.source) for declared in rules.sources)
