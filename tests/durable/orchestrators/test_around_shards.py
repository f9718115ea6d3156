"""Before and after the shards: settling, the survey, the unlinking pass, and links held against profiles."""

from __future__ import annotations

from typing import Any

import pytest

from linker.core.model import Counts, RunRequest, Status, Ticket, UnlinkAllowance
from linker.core.runs.activity_values import (
    Prepared,
    Settled,
    ShardOutcome,
    Survey,
    Trouble,
)
from linker.core.runs.generation_values import Strays, UnlinkOutcome
from linker.core.runs.signals import Marks
from linker.core.serialization import to_json
from tests.durable.orchestrators.fake_activities import ROWS, context, run

# ---- around the shards ----


def test_settling_waits_as_long_as_it_is_asked_to() -> None:
    answers = [Settled(wait_s=40.0), Settled(wait_s=40.0), Settled(marks=Marks(1.0, 2.0))]
    ctx = context(settle=lambda _: answers.pop(0))
    run(ctx)
    assert [round(task["waitedS"]) for task in ctx.of("settle")] == [0, 41, 82]
    assert ctx.of("end_run")[0]["marks"] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("request_", "waits"),
    [
        (RunRequest(), False),
        (RunRequest(jobs=("job",)), True),
        (RunRequest(job_start=1.0), True),
        (RunRequest(nameless_job=True), True),
    ],
    ids=["no unification", "a job", "a start", "a job without a name"],
)
def test_settling_waits_for_what_a_unification_changes(request_: RunRequest, waits: bool) -> None:
    ctx = context()
    run(ctx, Ticket("run", request_))
    assert [task["forJob"] for task in ctx.of("settle")] == [waits]


def test_a_survey_that_ends_the_run_links_nothing() -> None:
    ctx = context(survey=lambda _: Survey((), Status.SKIPPED))
    assert run(ctx)["status"] == "Skipped"
    assert not ctx.of("prepare_table")


def test_departed_rows_are_unlinked_after_the_last_shard_and_the_pass_continues_where_it_was() -> None:
    answers = [
        UnlinkOutcome(Counts(unlinked=2), "p1", later_s=3.0),
        UnlinkOutcome(Counts(deferred=1), "p2"),
        UnlinkOutcome(Counts(unlinked=3)),
    ]
    ctx = context(link_shard=lambda _: ShardOutcome(ROWS, departed=2), unlink_table=lambda _: answers.pop(0))
    run(ctx)
    assert [task["after"] for task in ctx.of("unlink_table")] == ["", "p1", "p2"]
    assert [(task["departed"], task["rows"]) for task in ctx.of("unlink_table")] == [(6, 36)] * 3
    assert ctx.of("end_table")[0]["unlinking"] == to_json(Counts(unlinked=5, deferred=1))


def test_links_that_were_kept_although_clearing_was_accepted_count_as_lost_for_the_table() -> None:
    answers = [UnlinkOutcome(Counts(rejected=1), "p1", lost=1), UnlinkOutcome(Counts(rejected=2), lost=2)]
    ctx = context(link_shard=lambda _: ShardOutcome(ROWS, departed=1, lost=4), unlink_table=lambda _: answers.pop(0))
    run(ctx)
    assert ctx.of("end_table")[0]["totals"]["lost"] == 3 * 4 + 3


def test_an_unlinking_pass_that_gets_nowhere_fails_its_table() -> None:
    ctx = context(
        link_shard=lambda _: ShardOutcome(ROWS, departed=2),
        unlink_table=lambda _: UnlinkOutcome(Counts(), "", later_s=1.0),
    )
    run(ctx)
    assert "unlinked" in ctx.of("end_table")[0]["failed"]


def test_an_unlinking_pass_that_dataverse_refuses_fails_its_table_and_no_other() -> None:
    def unlink(task: Any) -> object:
        return UnlinkOutcome(failed="403 refused") if task["table"] == "contact" else UnlinkOutcome(Counts(unlinked=6))

    ctx = context(tables=("contact", "lead"), link_shard=lambda _: ShardOutcome(ROWS, departed=2), unlink_table=unlink)
    run(ctx)
    ends = {end["table"]: end for end in ctx.of("end_table")}
    assert "403" in ends["contact"]["failed"]
    assert ends["lead"]["unlinking"]["unlinked"] == 6


def test_links_are_held_against_profiles_where_it_is_due_and_before_any_shard_is_linked() -> None:
    def prepare(task: Any) -> Prepared:
        return Prepared(task["table"], "s1", 1, links_due=task["table"] == "lead")

    found = Strays(rows=3, orphans=2, cleared=1)
    ctx = context(tables=("contact", "lead"), prepare_table=prepare, find_strays=lambda _: found)
    run(ctx)
    ends = {end["table"]: (end["strays"], end["orphans"], end["orphansCleared"]) for end in ctx.of("end_table")}
    assert ends == {"contact": (0, 0, 0), "lead": (3, 2, 1)}
    assert [task["table"] for task in ctx.of("find_strays")] == ["lead"]
    assert ctx.names().index("find_strays") < ctx.names().index("link_shard")


def test_an_operator_learns_that_orphaned_links_could_not_be_looked_for() -> None:
    ctx = context(
        prepare_table=lambda task: Prepared(task["table"], "s1", 1, links_due=True), find_strays=lambda _: Trouble("no")
    )
    run(ctx, Ticket("run1", RunRequest(unlink_allowed=(UnlinkAllowance("contact", 5, orphans=True),))))
    (end,) = ctx.of("end_table")
    assert "Orphaned links could not be found: no" in end["orphansKept"]


def test_an_allowance_is_for_removed_rows_or_for_orphaned_links() -> None:
    allowed = (UnlinkAllowance("contact", 7), UnlinkAllowance("contact", 5, orphans=True), UnlinkAllowance("lead", 9))
    ctx = context(
        prepare_table=lambda task: Prepared(task["table"], "s1", 1, links_due=task["clearsOrphans"]),
        link_shard=lambda _: ShardOutcome(ROWS, departed=1),
    )
    run(ctx, Ticket("run1", RunRequest(unlink_allowed=allowed)))
    assert [[one["mostRows"] for one in task["allowed"]] for task in ctx.of("find_strays")] == [[5]]
    assert [[one["mostRows"] for one in task["allowed"]] for task in ctx.of("unlink_table")] == [[7]]
    (task,) = ctx.of("prepare_table")
    assert (task["allowed"], task["clearsOrphans"]) == (True, True)
