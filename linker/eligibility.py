"""Requirements R1-R6 of automatic linking (customer-insights.md section 1), as pure checks: facts in, findings out.

A fact that nobody can tell is None. Unknown is never taken for good: a person may declare it (LINKER_DECLARED).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from linker.model import Finding, Source, Verdict

_CONNECTORS = {"attachcds": "Dataverse connector", "powerquery": "Power Query", "powerplatform": "Power Query"}


@dataclass(frozen=True, slots=True)
class EnvironmentFacts:
    """What is known of the environment. `linked_url` and the flags come from the Customer Insights API, None without it."""

    dataverse_url: str
    linked_url: str | None = None
    is_b2b: bool | None = None
    managed_lake: bool | None = None
    profiles_in_dataverse: bool | None = None


@dataclass(frozen=True, slots=True)
class DataverseTable:
    """The Dataverse table that a name of the mapping belongs to, or may belong to."""

    logical_name: str
    schema_name: str
    entity_set: str
    primary_id: str
    table_type: str = "Standard"
    can_create_columns: bool = True

    def is_called(self, name: str) -> bool:
        """Whether `name` is one of the table's own names, in any case."""
        return name.casefold() in {n.casefold() for n in (self.logical_name, self.schema_name, self.entity_set)}


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What is known of one source that feeds a table."""

    source: Source
    table: DataverseTable | None = None  # found by name, or by its keys
    connector: str | None = None  # kind of the data source
    chosen_key: str | None = None  # primary key chosen in unification
    sampled: int = 0  # keys of the mapping that were looked up
    guids: int = 0  # of those, how many are guid texts
    found: int = 0  # of those, how many exist in the linked environment


def check_environment(facts: EnvironmentFacts, declared: Collection[str] = ()) -> tuple[Finding, ...]:
    """Answer what concerns all tables: R5 and R6, and the part of R1 that the linked URL tells."""
    findings = [_r5(facts), _r6(facts)]
    if facts.linked_url is not None and not same_host(facts.linked_url, facts.dataverse_url):
        findings.insert(0, _foreign_environment(facts))
    return tuple(_declared(finding, declared) for finding in findings)


def check_source(
    facts: SourceFacts, environment: EnvironmentFacts, declared: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Answer R1-R4 for one source."""
    findings = (_r1(facts, environment), _r2(facts), _r3(facts), _r4(facts))
    return tuple(_declared(finding, declared) for finding in findings)


def violated(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that forbid linking."""
    return tuple(finding for finding in findings if finding.verdict is Verdict.VIOLATED)


def unknown(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings that nobody could answer."""
    return tuple(finding for finding in findings if finding.verdict is Verdict.UNKNOWN)


def same_host(one: str, other: str) -> bool:
    """Whether two URLs name the same environment; '<org>.api.crm' is the same as '<org>.crm' (dataverse.md 14)."""
    return _host(one) == _host(other)


def _host(url: str) -> str:
    parts = urlsplit(url if "//" in url else f"//{url}")
    host = (parts.hostname or "").lower().replace(".api.crm", ".crm", 1)
    default = {"http": 80, "https": 443}.get(parts.scheme)
    return host if parts.port in (None, default) else f"{host}:{parts.port}"


def _foreign_environment(facts: EnvironmentFacts) -> Finding:
    return Finding(
        "R1",
        Verdict.VIOLATED,
        f"Customer Insights is linked to {facts.linked_url}, this app writes to {facts.dataverse_url}.",
        "Set LINKER_DATAVERSE_URL to the environment that Customer Insights - Data is linked to.",
    )


def _r1(facts: SourceFacts, environment: EnvironmentFacts) -> Finding:
    url_agrees = environment.linked_url is None or same_host(environment.linked_url, environment.dataverse_url)
    if not url_agrees:
        return _foreign_environment(environment)
    if facts.found:
        return Finding("R1", Verdict.MET, f"{facts.found} of {facts.sampled} sampled keys exist in this environment.")
    if facts.guids:
        return Finding(
            "R1",
            Verdict.VIOLATED,
            f"None of {facts.guids} sampled keys exists in {environment.dataverse_url}.",
            "Rows of other environments cannot be linked. Ingest the table from the linked environment.",
        )
    return Finding(
        "R1",
        Verdict.UNKNOWN,
        "No key of the mapping could be looked up.",
        "Declare it if you know it: LINKER_DECLARED=R1.",
    )


def _r2(facts: SourceFacts) -> Finding:
    kind = _CONNECTORS.get((facts.connector or "").lower())
    if facts.connector is None:
        return Finding(
            "R2",
            Verdict.UNKNOWN,
            f"The connector of data source '{facts.source.data_source}' is not known without the Customer Insights settings.",
            "Set LINKER_INSIGHTS_URL and LINKER_INSIGHTS_INSTANCE_ID, or declare it: LINKER_DECLARED=R2.",
        )
    if kind is None:
        return Finding(
            "R2",
            Verdict.VIOLATED,
            f"Data source '{facts.source.data_source}' uses the connector '{facts.connector}'.",
            "Ingest the table with the Microsoft Dataverse connector (recommended) or Power Query Dataverse.",
        )
    if kind == "Power Query" and not facts.found:
        return Finding(
            "R2",
            Verdict.VIOLATED if facts.guids else Verdict.UNKNOWN,
            "Power Query, but no sampled key exists in Dataverse, so its origin is not Dataverse.",
            "Ingest the table from Dataverse, or declare it if you know it: LINKER_DECLARED=R2.",
        )
    return Finding("R2", Verdict.MET, f"Data source '{facts.source.data_source}' uses {kind} ({facts.connector}).")


def _r3(facts: SourceFacts) -> Finding:
    table = facts.table
    if table is None:
        return Finding("R3", Verdict.UNKNOWN, f"No Dataverse table is called '{facts.source.table}'.")
    if table.is_called(facts.source.table):
        return Finding("R3", Verdict.MET, f"'{facts.source.table}' is the name of table '{table.logical_name}'.")
    return Finding(
        "R3",
        Verdict.VIOLATED,
        f"'{facts.source.table}' looks renamed: its keys are those of Dataverse table '{table.logical_name}'.",
        f"Name the table '{table.logical_name}' again in Customer Insights, run unification, and the next run links it.",
    )


def _r4(facts: SourceFacts) -> Finding:
    table = facts.table
    if table is None:
        return Finding("R4", Verdict.UNKNOWN, "Without a Dataverse table there is no key to compare with.")
    if facts.chosen_key is not None and facts.chosen_key.casefold() != table.primary_id.casefold():
        return Finding(
            "R4",
            Verdict.VIOLATED,
            f"Table '{table.logical_name}' was unified by '{facts.chosen_key}', its primary key is '{table.primary_id}'.",
            f"Choose {table.primary_id} as primary key in Data > Unify > Customer data and run unification.",
        )
    if facts.sampled and not facts.guids:
        return Finding(
            "R4",
            Verdict.VIOLATED,
            f"The mapping's keys of '{facts.source.table}' are no guids, so the table was not unified by '{table.primary_id}'.",
            f"Choose {table.primary_id} as primary key in Data > Unify > Customer data and run unification.",
        )
    if facts.chosen_key is None and not facts.found:
        return Finding(
            "R4", Verdict.UNKNOWN, "The key chosen in unification is not known.", "Declare it: LINKER_DECLARED=R4."
        )
    how = "was chosen in unification" if facts.chosen_key else "fits: sampled keys exist in the table"
    return Finding("R4", Verdict.MET, f"Primary key '{table.primary_id}' {how}.")


def _r5(facts: EnvironmentFacts) -> Finding:
    if facts.is_b2b is None:
        return Finding(
            "R5",
            Verdict.UNKNOWN,
            "Whether the environment is for individual customers is not known without the Customer Insights settings.",
            "Set LINKER_INSIGHTS_URL and LINKER_INSIGHTS_INSTANCE_ID, or declare it: LINKER_DECLARED=R5.",
        )
    if facts.is_b2b:
        return Finding(
            "R5",
            Verdict.VIOLATED,
            "The environment is set up for business accounts (B2B).",
            "Automatic linking works for individual customers (B2C) only; there is nothing to change here.",
        )
    return Finding("R5", Verdict.MET, "The environment is set up for individual customers (B2C).")


def _r6(facts: EnvironmentFacts) -> Finding:
    """One flag of the API is true for managed and own lakes alike, so alone it says nothing (customer-insights.md 3)."""
    if facts.managed_lake:
        return Finding("R6", Verdict.MET, "The output goes to the managed data lake.")
    if facts.profiles_in_dataverse:
        return Finding("R6", Verdict.MET, "Profiles and mapping are in Dataverse.")
    if facts.managed_lake is False:
        return Finding(
            "R6",
            Verdict.VIOLATED,
            "The output goes to the customer's own Azure Data Lake Storage, and Dataverse holds no profiles.",
            "Set the output of Customer Insights - Data to Dataverse.",
        )
    return Finding(
        "R6",
        Verdict.UNKNOWN,
        "Neither the instance nor Dataverse tells where the output goes.",
        "Declare it if you know it: LINKER_DECLARED=R6.",
    )


def _declared(finding: Finding, declared: Collection[str]) -> Finding:
    if finding.verdict is Verdict.UNKNOWN and finding.requirement in declared:
        return Finding(finding.requirement, Verdict.MET, f"Declared in LINKER_DECLARED. {finding.evidence}")
    return finding
