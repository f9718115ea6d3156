"""Requirements R1-R6: each met, violated, unknown and declared (docs/reference/customer-insights.md section 1)."""

from dataclasses import replace

import pytest

from linker.core.model import Finding, Requirement, Source, Verdict
from linker.core.requirements.checks import check_environment, check_source, find_violated, unknown
from linker.core.requirements.facts import DataverseTable, EnvironmentFacts, Fact, Origin, SourceFacts

URL = "https://contoso.crm4.dynamics.com"


def says(value: str) -> Fact:
    return Fact(value, Origin.INSIGHTS)


CONTACT = DataverseTable("contact", "Contact", "contacts", "contactid")
GOOD_ENVIRONMENT = EnvironmentFacts(URL, linked_url=URL, is_b2b=False, managed_lake=True, profiles=True, mapping=True)
NOTHING_KNOWN = EnvironmentFacts(URL)
GOOD = SourceFacts(
    Source("crm", "contact"),
    CONTACT,
    connector=says("attachCds"),
    chosen_key=says("ContactId"),
    sampled=20,
    guids=20,
    found=18,
)
MET, VIOLATED, UNKNOWN = Verdict.MET, Verdict.VIOLATED, Verdict.UNKNOWN


def verdict(findings: tuple[Finding, ...], requirement: Requirement) -> Verdict:
    return next(finding.verdict for finding in findings if finding.requirement == requirement)


ENVIRONMENTS = [
    pytest.param("R5", GOOD_ENVIRONMENT, MET, id="R5 individuals"),
    pytest.param("R5", replace(GOOD_ENVIRONMENT, is_b2b=True), VIOLATED, id="R5 business accounts"),
    pytest.param("R5", NOTHING_KNOWN, UNKNOWN, id="R5 unknown"),
    pytest.param("R6", GOOD_ENVIRONMENT, MET, id="R6 managed lake"),
    pytest.param("R6", EnvironmentFacts(URL, profiles=True, mapping=True), MET, id="R6 profiles and mapping are there"),
    pytest.param("R6", EnvironmentFacts(URL, managed_lake=False), VIOLATED, id="R6 own lake and no profiles"),
    pytest.param(
        "R6", EnvironmentFacts(URL, managed_lake=False, profiles=True, mapping=True), MET, id="R6 evidence wins"
    ),
    pytest.param("R6", NOTHING_KNOWN, UNKNOWN, id="R6 unknown"),
]


@pytest.mark.parametrize(("requirement", "facts", "expected"), ENVIRONMENTS)
def test_environment(requirement: Requirement, facts: EnvironmentFacts, expected: Verdict) -> None:
    assert verdict(check_environment(facts), requirement) is expected


SOURCES = [
    pytest.param("R1", GOOD, GOOD_ENVIRONMENT, MET, id="R1 keys exist here"),
    pytest.param("R1", replace(GOOD, found=0), GOOD_ENVIRONMENT, VIOLATED, id="R1 no key exists here"),
    pytest.param("R1", replace(GOOD, guids=0, found=0), GOOD_ENVIRONMENT, UNKNOWN, id="R1 nothing to look up"),
    pytest.param(
        "R1", GOOD, replace(GOOD_ENVIRONMENT, linked_url="https://other.crm4.dynamics.com"), VIOLATED, id="R1 other URL"
    ),
    pytest.param("R1", GOOD, NOTHING_KNOWN, MET, id="R1 by evidence alone"),
    pytest.param("R1", replace(GOOD, found=0, unread=True), GOOD_ENVIRONMENT, UNKNOWN, id="R1 rows may not be read"),
    pytest.param("R2", GOOD, GOOD_ENVIRONMENT, MET, id="R2 Dataverse connector"),
    pytest.param(
        "R2", replace(GOOD, connector=says("powerQuery")), GOOD_ENVIRONMENT, MET, id="R2 Power Query with our keys"
    ),
    pytest.param("R2", replace(GOOD, connector=says("powerPlatform")), GOOD_ENVIRONMENT, MET, id="R2 Power Platform"),
    pytest.param(
        "R2",
        replace(GOOD, connector=says("powerQuery"), found=0),
        GOOD_ENVIRONMENT,
        VIOLATED,
        id="R2 Power Query from elsewhere",
    ),
    pytest.param(
        "R2",
        replace(GOOD, connector=says("powerQuery"), found=0, guids=0),
        GOOD_ENVIRONMENT,
        UNKNOWN,
        id="R2 Power Query, nothing to look up",
    ),
    pytest.param(
        "R2", replace(GOOD, connector=says("salesforce")), GOOD_ENVIRONMENT, VIOLATED, id="R2 another connector"
    ),
    pytest.param(
        "R2",
        replace(GOOD, connector=says("powerQuery"), found=0, unread=True),
        GOOD_ENVIRONMENT,
        UNKNOWN,
        id="R2 Power Query, rows may not be read",
    ),
    pytest.param("R2", replace(GOOD, connector=None), NOTHING_KNOWN, UNKNOWN, id="R2 unknown"),
    pytest.param("R3", GOOD, GOOD_ENVIRONMENT, MET, id="R3 its own name"),
    pytest.param(
        "R3", replace(GOOD, source=Source("crm", "Contacts")), GOOD_ENVIRONMENT, MET, id="R3 set name, any case"
    ),
    pytest.param("R3", replace(GOOD, source=Source("crm", "clients")), GOOD_ENVIRONMENT, VIOLATED, id="R3 renamed"),
    pytest.param("R3", replace(GOOD, table=None), GOOD_ENVIRONMENT, UNKNOWN, id="R3 no such table"),
    pytest.param("R4", GOOD, GOOD_ENVIRONMENT, MET, id="R4 the primary key, in any case"),
    pytest.param(
        "R4", replace(GOOD, chosen_key=says("emailaddress1")), GOOD_ENVIRONMENT, VIOLATED, id="R4 another key"
    ),
    pytest.param("R4", replace(GOOD, chosen_key=None), NOTHING_KNOWN, MET, id="R4 by evidence"),
    pytest.param(
        "R4", replace(GOOD, chosen_key=None, guids=0, found=0), NOTHING_KNOWN, VIOLATED, id="R4 keys are no guids"
    ),
    pytest.param("R4", replace(GOOD, chosen_key=None, found=0), NOTHING_KNOWN, UNKNOWN, id="R4 unknown"),
    pytest.param("R4", replace(GOOD, table=None), GOOD_ENVIRONMENT, UNKNOWN, id="R4 no such table"),
]


@pytest.mark.parametrize(("requirement", "facts", "environment", "expected"), SOURCES)
def test_source(requirement: Requirement, facts: SourceFacts, environment: EnvironmentFacts, expected: Verdict) -> None:
    assert verdict(check_source(facts, environment), requirement) is expected


def test_a_good_source_in_a_good_environment_violates_nothing() -> None:
    findings = (*check_environment(GOOD_ENVIRONMENT), *check_source(GOOD, GOOD_ENVIRONMENT))
    assert find_violated(findings) == unknown(findings) == ()
    assert {finding.requirement for finding in findings} == {"R1", "R2", "R3", "R4", "R5", "R6"}


def test_the_environment_says_when_it_is_another_one() -> None:
    findings = check_environment(replace(GOOD_ENVIRONMENT, linked_url="https://other.crm4.dynamics.com"))
    assert verdict(findings, "R1") is VIOLATED
    assert "LINKER_DATAVERSE_URL" in findings[0].advice


@pytest.mark.parametrize("requirement", ["R5", "R6"])
def test_what_is_unknown_may_be_declared(requirement: Requirement) -> None:
    assert verdict(check_environment(NOTHING_KNOWN, [requirement]), requirement) is MET


def test_what_is_violated_cannot_be_declared_away() -> None:
    facts = replace(
        GOOD, chosen_key=says("emailaddress1"), connector=says("salesforce"), source=Source("crm", "clients"), found=0
    )
    findings = check_source(facts, GOOD_ENVIRONMENT, ("R1", "R2", "R3", "R4"))
    assert {finding.verdict for finding in findings} == {VIOLATED}


@pytest.mark.parametrize(("requirement", "facts", "environment", "expected"), SOURCES)
def test_every_violation_says_what_to_do(
    requirement: Requirement, facts: SourceFacts, environment: EnvironmentFacts, expected: Verdict
) -> None:
    del requirement, expected
    assert all(finding.evidence for finding in check_source(facts, environment))
    assert all(finding.advice for finding in find_violated(check_source(facts, environment)))
