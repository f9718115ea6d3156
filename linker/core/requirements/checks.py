"""Requirements R1-R6 of automatic linking (docs/reference/customer-insights.md 1), as pure checks: facts in, findings out.

Unknown is never taken for good: a person may declare it (LINKER_DECLARED). docs/requirements.md explains each to people.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

from linker.core.addresses import is_same_environment
from linker.core.model import Finding, Requirement, Source, Verdict
from linker.core.requirements.facts import Asked, EnvironmentFacts, Fact, Origin, Recognised, SourceFacts, name_of

PAGE = "docs/requirements.md"
QUESTIONS: dict[Requirement, str] = {
    "R1": "Does the table come from the Dataverse environment that Customer Insights - Data is linked to?",
    "R2": "Was the table ingested with the Microsoft Dataverse connector or the Power Query Dataverse connector?",
    "R3": "Does the table still have its own name?",
    "R4": "Was the table unified by its own primary key?",
    "R5": "Is the environment set up for individual customers (B2C)?",
    "R6": "Does the output stay out of your own Azure Data Lake Storage?",
}
_DATAVERSE = "the Dataverse connector"
_CONNECTORS = {"attachcds": _DATAVERSE, "powerquery": "Power Query", "powerplatform": "Power Query"}
_FOREIGN_CONNECTORS = frozenset({"salesforce", "attachcdm", "attachsynapse"})
_ASK: dict[Asked, str] = {
    "not set up": "Set LINKER_INSIGHTS_URL and LINKER_INSIGHTS_INSTANCE_ID, or",
    "no answer": "Correct why Customer Insights did not answer, or",
    "asked": "Customer Insights does not report it;",
}


def check_environment(facts: EnvironmentFacts, declared: Collection[str] = ()) -> tuple[Finding, ...]:
    """Answer what concerns all tables: R5 and R6, and the part of R1 that the linked URL shows."""
    foreign = () if _is_linked_here(facts) else (_foreign_environment(facts),)
    return tuple(_apply_declared(finding, declared) for finding in (*foreign, _r5(facts), _r6(facts)))


def check_source(
    facts: SourceFacts, environment: EnvironmentFacts, declared: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Answer R1-R4 for one source."""
    asked = environment.insights
    findings = (_r1(facts, environment), _r2(facts, asked), _r3(facts), _r4(facts, asked))
    return tuple(_apply_declared(finding, declared) for finding in findings)


def find_violated(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that forbid linking."""
    return tuple(finding for finding in findings if finding.verdict is Verdict.VIOLATED)


def unknown(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings without an answer."""
    return tuple(finding for finding in findings if finding.verdict is Verdict.UNKNOWN)


def from_dataverse(connector: Fact | None) -> bool:
    """Whether a source comes through the Dataverse connector, which Power Query may not."""
    return connector is not None and _CONNECTORS.get(connector.value.lower()) == _DATAVERSE


def no_table(source: Source) -> str:
    """Return how to declare that a source isn't a Dataverse table, whatever it looks like."""
    declared = {"dataSource": source.data_source, "table": source.table, "target": False}
    return f"declare that it isn't a Dataverse table: LINKER_SOURCES=[{json.dumps(declared, ensure_ascii=False)}]."


def _is_linked_here(facts: EnvironmentFacts) -> bool:
    return facts.linked_url is None or is_same_environment(facts.linked_url, facts.dataverse_url)


def _as_met(requirement: Requirement, evidence: str) -> Finding:
    return _finding(requirement, Verdict.MET, evidence, "")


def _as_violated(requirement: Requirement, evidence: str, advice: str) -> Finding:
    return _finding(requirement, Verdict.VIOLATED, evidence, advice)


def _unknown(requirement: Requirement, evidence: str, advice: str = "") -> Finding:
    advice = f"{advice} declare it if you know it to be met: LINKER_DECLARED={requirement}.".lstrip()
    return _finding(requirement, Verdict.UNKNOWN, evidence, advice[0].upper() + advice[1:])


def _finding(requirement: Requirement, verdict: Verdict, evidence: str, advice: str) -> Finding:
    docs = f"{PAGE}#{requirement.lower()}"
    return Finding(requirement, verdict, evidence, advice, QUESTIONS[requirement], docs)


def _apply_declared(finding: Finding, declared: Collection[str]) -> Finding:
    if finding.verdict is Verdict.UNKNOWN and finding.requirement in declared:
        return _as_met(finding.requirement, f"Declared in LINKER_DECLARED. {finding.evidence}")
    return finding


# ---- R1: the linked environment ----


def _foreign_environment(facts: EnvironmentFacts) -> Finding:
    return _as_violated(
        "R1",
        f"Customer Insights is linked to {facts.linked_url}, but this app writes to {facts.dataverse_url}.",
        "Set LINKER_DATAVERSE_URL to the environment that Customer Insights - Data is linked to.",
    )


def _r1(facts: SourceFacts, environment: EnvironmentFacts) -> Finding:
    if not _is_linked_here(environment):
        return _foreign_environment(environment)
    if facts.found:
        return _as_met("R1", f"{facts.found} of {facts.sampled} sampled keys exist in this environment.")
    if facts.elsewhere and facts.table is not None:
        return _as_violated(
            "R1",
            f"None of the {facts.guids} sampled keys of '{facts.source.table}' from data source "
            f"'{facts.source.data_source}' exists in table '{facts.table.logical_name}' of {environment.dataverse_url}.",
            "Rows of other environments cannot be linked: ingest the table from the linked environment. If its rows were "
            "deleted since, refresh the data source and run unification.",
        )
    why = "its keys are not GUIDs" if facts.sampled else "the mapping names none"
    why = "not all rows of its table may be read" if facts.unread else why
    return _unknown("R1", f"No key of '{facts.source.table}' could be looked up: {why}.")


# ---- R2: the connector ----


def _r2(facts: SourceFacts, asked: Asked) -> Finding:
    source, connector = facts.source.data_source, facts.connector
    if connector is None:
        none = asked == "asked" and Origin.INSIGHTS not in facts.origins
        why = ": Customer Insights knows none of that name." if none else "."
        return _unknown("R2", f"The connector of data source '{source}' is unknown{why}", _ASK[asked])
    kind = _CONNECTORS.get(connector.value.lower())
    said = f"('{connector.value}', says {connector.origin})"
    if kind == "Power Query" and not facts.found:
        return _power_query_from_elsewhere(facts, said)
    if kind is not None:
        return _as_met("R2", f"Data source '{source}' uses {kind} {said}.")
    if connector.value.lower() in _FOREIGN_CONNECTORS:
        return _as_violated(
            "R2",
            f"Data source '{source}' uses another connector {said}.",
            "Ingest the table with the Microsoft Dataverse connector (recommended) or the Power Query Dataverse connector. "
            f"Or {no_table(facts.source)}",
        )
    return _unknown("R2", f"What kind of connector data source '{source}' uses is not documented {said}.")


def _power_query_from_elsewhere(facts: SourceFacts, said: str) -> Finding:
    evidence = (
        f"Data source '{facts.source.data_source}' uses Power Query {said}, but no sampled key exists in Dataverse"
    )
    if facts.unread:
        return _unknown(
            "R2", f"Data source '{facts.source.data_source}' uses Power Query {said}, and no key could be looked up."
        )
    if not facts.guids:
        return _unknown("R2", f"{evidence}, so nothing shows that it reads from Dataverse.")
    return _as_violated("R2", f"{evidence}, so it reads from elsewhere.", "Ingest the table from Dataverse.")


# ---- R3: the name ----


def _r3(facts: SourceFacts) -> Finding:
    name, table = facts.source.table, facts.table
    if table is None:
        return _unknown("R3", f"No Dataverse table is called '{name}'.")
    if table.is_called(name):
        return _as_met("R3", f"'{name}' is the name of table '{table.logical_name}'.")
    likeness = (
        f"its key column '{table.primary_id}' is the primary key of"
        if facts.recognised is Recognised.KEY_COLUMN
        else "its keys are those of"
    )
    return _as_violated(
        "R3",
        f"'{name}' looks renamed: {likeness} Dataverse table '{table.logical_name}'.",
        f"Name it '{table.logical_name}' again in Customer Insights and run unification. Or {no_table(facts.source)}",
    )


# ---- R4: the primary key ----


def _r4(facts: SourceFacts, asked: Asked) -> Finding:
    table, chosen = facts.table, facts.chosen_key
    if table is None:
        return _unknown("R4", "Without a Dataverse table, no primary key can be compared.")
    advice = f"Choose {table.primary_id} as primary key in Data > Unify > Customer data, and run unification."
    if chosen is not None and chosen.value.casefold() != table.primary_id.casefold():
        return _as_violated(
            "R4",
            f"{name_of(facts.source)} was unified by '{chosen.value}' (says {chosen.origin}), but the primary key of table "
            f"'{table.logical_name}' is '{table.primary_id}'.",
            advice,
        )
    if facts.sampled and not facts.guids:
        return _as_violated(
            "R4",
            f"The keys of {name_of(facts.source)} in the mapping are not GUIDs, so it was not unified by '{table.primary_id}'.",
            f"{advice} Or {no_table(facts.source)}",
        )
    if chosen is not None:
        return _as_met("R4", f"It was unified by its primary key '{table.primary_id}' (says {chosen.origin}).")
    if facts.found:
        return _as_met("R4", f"Sampled keys are values of its primary key '{table.primary_id}'.")
    return _unknown("R4", f"The key by which {name_of(facts.source)} was unified is unknown.", _ASK[asked])


# ---- R5: individual customers ----


def _r5(facts: EnvironmentFacts) -> Finding:
    if facts.is_b2b is None:
        return _unknown(
            "R5", "It is unknown whether the environment is for individual customers.", _ASK[facts.insights]
        )
    if facts.is_b2b:
        return _as_violated(
            "R5",
            "The environment is set up for business accounts (B2B).",
            "Automatic linking supports individual customers (B2C) only; there is nothing to change here.",
        )
    return _as_met("R5", "The environment is set up for individual customers (B2C), says the Customer Insights API.")


# ---- R6: where the output goes ----


def _r6(facts: EnvironmentFacts) -> Finding:
    """One flag of the API is true for managed and own lakes alike, so alone it says nothing
    (docs/reference/customer-insights.md 3).
    """
    if facts.profiles and facts.mapping:
        return _as_met("R6", "Profiles and mapping are in Dataverse.")
    if facts.managed_lake:
        return _as_met("R6", "The output goes to the managed data lake, says the Customer Insights API.")
    missing = " and ".join(
        name for name, there in (("profiles", facts.profiles), ("mapping", facts.mapping)) if not there
    )
    if facts.managed_lake is False:
        return _as_violated(
            "R6",
            f"The Customer Insights API knows of no output to Dataverse, and Dataverse has no {missing}.",
            "Set the output of Customer Insights - Data to Dataverse instead of your own Azure Data Lake Storage.",
        )
    return _unknown(
        "R6",
        f"Dataverse has no {missing}, and where the output goes is unknown.",
        "Run unification once, or",
    )
