"""What a preflight says of each environment, and that a run does what it says (docs/requirements.md)."""

import json
from dataclasses import dataclass

import pytest

from linker.core.model import Mode, Run, Status
from linker.core.permissions.preflight_report import Picture, Severity
from linker.core.permissions.write_permission import Refusal
from linker.core.runs.activity_values import RunRef, TableTask
from linker.core.serialization import to_json
from linker.deps import Deps
from linker.durable.activities.discover_tables import survey
from linker.durable.activities.prepare_table import prepare_table
from linker.services.preflight_checks import look
from tests.requirements.cases import CASES
from tests.requirements.made import running
from tests.requirements.situations import Expected


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one environment. `refused` says by table why a run could not prepare it."""

    expected: Expected
    picture: Picture
    run: Run
    refused: dict[str, str]
    rows_written: int
    entities_written: int  # in storage, by the preflight

    @property
    def told(self) -> str:
        """Everything that the preflight says."""
        return json.dumps(to_json(self.picture), ensure_ascii=False).replace('\\"', '"')


@pytest.fixture(scope="module", params=CASES)
async def seen(request: pytest.FixtureRequest) -> Seen:
    """Look at an environment, then begin a run in it, as far as it goes without writing to Dataverse."""
    made, expected = request.param
    with running(made) as (deps, sandbox, world):
        picture = await look(deps)
        entities = len(world.store.writes)
        run = await surveyed(deps)
        tables = [table.table for table in run.tables if table.status is Status.QUEUED and not run.status_detail]
        tasks = [TableTask("run", table, Mode.INCREMENTAL, dry_run=True) for table in tables]
        refused = {task.table: (await prepare_table(deps, task)).failed for task in tasks}
        counters = sandbox.environment.counters.tables.values()
        return Seen(expected, picture, run, refused, sum(c.rows_written for c in counters), entities)


async def surveyed(deps: Deps) -> Run:
    await deps.runs.create(Run("run", Mode.INCREMENTAL, Status.REFRESHING))
    await survey(deps, RunRef("run"))
    run = await deps.runs.load("run")
    assert run is not None
    return run


def test_preflight_shows_what_becomes_of_each_table(seen: Seen) -> None:
    assert {table.table: table.outcome for table in seen.picture.tables} == seen.expected.outcomes
    assert seen.picture.severity is seen.expected.severity


def test_preflight_says_why_in_words_for_an_admin(seen: Seen) -> None:
    assert [words for words in seen.expected.words if words not in seen.told] == []


def test_every_question_is_answered_with_evidence_and_what_is_not_met_with_advice(seen: Seen) -> None:
    findings = [*seen.picture.findings, *(finding for table in seen.picture.tables for finding in table.findings)]
    assert all(finding.question and finding.evidence and finding.docs for finding in findings)
    assert all(finding.advice for finding in findings if finding.verdict != "met")


def test_preflight_writes_nothing_anywhere(seen: Seen) -> None:
    assert (seen.rows_written, seen.entities_written) == (0, 0)


def test_a_run_answers_as_preflight_does(seen: Seen) -> None:
    assert seen.run.findings == seen.picture.findings
    assert seen.run.status_detail == seen.picture.detail
    assert [table.table for table in seen.run.tables] == [table.table for table in seen.picture.tables]


def test_a_run_links_what_preflight_says(seen: Seen) -> None:
    outcomes = {} if seen.picture.detail else seen.expected.outcomes
    assert {table for table, why in seen.refused.items() if not why} == {
        table for table, outcome in outcomes.items() if outcome == "ready"
    }
    details = {table.table: table.detail for table in seen.picture.tables}
    skipped = {table.table: table.detail for table in seen.run.tables if table.refusal == Refusal.UNFIT}
    assert skipped | {table: why for table, why in seen.refused.items() if why} == {
        table: details[table] for table, outcome in outcomes.items() if outcome == "refused"
    }
    assert all(table.status is Status.SKIPPED for table in seen.run.tables if table.table in skipped)


def test_there_are_enough_environments() -> None:
    assert len(CASES) >= 30
    assert {case.values[0][1].severity for case in CASES} == set(Severity)
