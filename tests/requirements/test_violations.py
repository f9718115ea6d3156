"""Each requirement violated alone and with every other: both are reported, none hides the other (docs/requirements.md)."""

from collections.abc import Collection
from itertools import combinations
from typing import get_args

import pytest

from linker.core.model import Requirement, Verdict
from linker.core.permissions.preflight_report import Severity
from linker.services.preflight_checks import look
from tests.requirements.made import CONTACTS, FOREIGN, Fed, Made, running
from tests.requirements.situations import OUTSIDE

REQUIREMENTS: tuple[str, ...] = get_args(Requirement.__value__)
ALONE = [(requirement,) for requirement in REQUIREMENTS]
PAIRS = list(combinations(REQUIREMENTS, 2))


def violating(broken: Collection[str]) -> Made:
    """Return an environment with one table that violates these requirements and meets the others."""
    name = "clients" if "R3" in broken else "contact"
    key = "new_externalid" if "R4" in broken else "contactid"
    return Made(
        fed=(Fed("crm", name, CONTACTS, key),),
        kinds={"crm": "salesforce" if "R2" in broken else "attachCds"},
        rows={"contact": FOREIGN if "R1" in broken else CONTACTS},
        instance={"isB2B": "R5" in broken} | (OUTSIDE if "R6" in broken else {}),
        profiles="R6" not in broken,
    )


@pytest.mark.parametrize("broken", [*ALONE, *PAIRS], ids=" and ".join)
async def test_what_is_violated_is_reported_and_nothing_else(broken: tuple[str, ...]) -> None:
    with running(violating(broken)) as (deps, _, __):
        picture = await look(deps)
    (table,) = picture.tables
    findings = (*picture.findings, *table.findings)
    assert {finding.requirement for finding in findings if finding.verdict is Verdict.VIOLATED} == set(broken)
    assert {finding.verdict for finding in findings} == {Verdict.VIOLATED, Verdict.MET}
    assert (table.table, table.outcome, picture.severity) == ("contact", "skipped", Severity.BLOCKED)
    assert [requirement for requirement in broken if f"{requirement}: " not in table.detail] == []
    assert picture.detail.startswith("Backstamping job skipped. Nothing was written. ")


async def test_what_violates_nothing_is_ready() -> None:
    with running(violating(())) as (deps, _, __):
        assert (await look(deps)).severity is Severity.READY
