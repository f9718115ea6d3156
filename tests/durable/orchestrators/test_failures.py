"""What fails, and what continues beside it: a shard, a step of a table, a step of a run, each tried as often as it may pass."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from linker.core.model import Counts, Mode, RunRequest, Ticket
from linker.core.runs.activity_values import (
    Go,
    Prepared,
    ShardOutcome,
    Survey,
    Trouble,
)
from linker.core.runs.generation_values import UnlinkOutcome
from linker.core.throttling.pace import Pace, shards_in_flight
from linker.durable.orchestrators.activity_calls import MAX_TRIES
from linker.durable.orchestrators.generation import (
    FAULT_PATIENCE,
    LONGEST_WAIT_S,
)
from tests.durable.orchestrators.fake_activities import ROWS, Activities, context, run, shards_linked


def test_a_failed_shard_fails_its_table_and_no_other() -> None:
    def link_shard(task: Any) -> ShardOutcome:
        return ShardOutcome(failed="no") if (task["table"], task["number"]) == ("contact", 1) else ShardOutcome(ROWS)

    ctx = context(tables=("contact", "lead"), link_shard=link_shard)
    run(ctx)
    ends = {end["table"]: end for end in ctx.of("end_table")}
    assert ends["contact"]["totals"]["failed"] == "no"
    assert ends["lead"]["totals"]["failed"] == ""
    assert [task["table"] for task in ctx.of("link_shard")].count("lead") == 3


def test_what_fails_one_shard_starts_no_other_of_its_table() -> None:
    ctx = context(shards=100, link_shard=lambda _: ShardOutcome(failed="no"))
    run(ctx)
    assert sum(shards_linked(ctx).values()) <= shards_in_flight(Pace())


@pytest.mark.parametrize("shards", [2, 3])
def test_a_shard_that_waits_when_its_table_fails_is_left_out(shards: int) -> None:
    waits = ShardOutcome(later_s=60.0, later_reason="held", held=True)
    ctx = context(shards=shards, link_shard=lambda task: ShardOutcome(failed="no") if task["number"] else waits)
    run(ctx)
    (end,) = ctx.of("end_table")
    assert end["totals"]["failed"] == "no"
    assert ctx.of("end_run")[0]["status"] is None  # the run itself did not fail


@pytest.mark.parametrize(
    ("trouble", "tries"), [(Trouble("gone for good"), 1), (Trouble("passing", 2.0), FAULT_PATIENCE)]
)
def test_a_shard_whose_activity_could_not_begin_is_never_counted_as_done(trouble: Trouble, tries: int) -> None:
    ctx = context(shards=1, link_shard=lambda _: trouble)
    run(ctx)
    totals = ctx.of("end_table")[0]["totals"]
    assert trouble.trouble in totals["failed"]
    assert len(ctx.of("link_shard")) == tries


def test_a_shard_that_fails_for_a_while_is_tried_ever_later_and_shown_until_it_is_done() -> None:
    fails = [ShardOutcome(later_s=5.0, later_reason="busy")] * 7
    ctx = context(shards=2, link_shard=lambda task: fails.pop() if task["number"] and fails else ShardOutcome(ROWS))
    assert run(ctx)["status"] == "Successful"
    tries = [at for at, name, task in ctx.called if name == "link_shard" and task["number"]]
    waits = [round(later - earlier - 1) for earlier, later in pairwise(tries)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (pytest.approx(5, abs=3), pytest.approx(LONGEST_WAIT_S, abs=3))
    told = [(report["pagesDone"], report["trouble"], report["pausedS"]) for report in ctx.of("report")]
    assert (1, "busy", 0.0) in told
    assert told[-1] == (2, "", 0.0)
    assert all(trouble == "busy" for done, trouble, _ in told[3:-1] if done == 1)


def test_a_table_that_could_not_be_prepared_leaves_the_others_alone() -> None:
    def prepare(task: Any) -> Prepared:
        return Prepared("contact", failed="no column") if task["table"] == "contact" else Prepared("lead", "s1", 2)

    ctx = context(tables=("contact", "lead"), prepare_table=prepare)
    run(ctx)
    assert [end["failed"] for end in ctx.of("end_table")] == ["no column", ""]
    assert {task["table"] for task in ctx.of("link_shard")} == {"lead"}


def test_a_table_that_is_busy_is_prepared_again() -> None:
    answers = [Prepared("contact", failed="busy", retry_s=5.0), Prepared("contact", "s1", 1)]
    ctx = context(prepare_table=lambda _: answers.pop(0))
    run(ctx)
    assert ctx.of("end_table")[0]["failed"] == ""


def test_a_table_whose_definitions_are_locked_is_waited_for_as_long_as_an_import_takes() -> None:
    answers = [Prepared("contact", failed="locked", retry_s=15.0)] * 7 + [Prepared("contact", "s1", 1)]
    ctx = context(prepare_table=lambda _: answers.pop(0), renew=lambda _: Go(slice_s=50.0))
    run(ctx)
    asked = [at for at, name, _ in ctx.called if name == "prepare_table"]
    waits = [round(later - earlier, -1) for earlier, later in pairwise(asked)]
    assert waits == [20, 30, 60, 120, 240, 300, 300]
    assert ctx.of("end_table")[0]["failed"] == ""


def test_tables_that_stay_locked_share_the_time_to_wait() -> None:
    tables = tuple(f"t{number}" for number in range(30))
    ctx = context(tables=tables, prepare_table=lambda task: Prepared(task["table"], failed="locked", retry_s=15.0))
    run(ctx)
    assert [end["failed"] for end in ctx.of("end_table")] == ["locked"] * 30
    assert len(ctx.of("prepare_table")) < 2 * 30
    assert len(ctx.of("renew")) < 60


def test_a_step_that_fails_for_good_fails_the_run_with_its_own_words() -> None:
    ctx = context(survey=lambda _: Trouble("Dataverse has no mapping."))
    assert run(ctx)["status"] == "Failed (permanent)"
    assert ctx.of("end_run")[0]["detail"] == "Dataverse has no mapping."


@pytest.mark.parametrize("step", ["settle", "survey"])
def test_a_step_that_breaks_off_every_time_ends_the_run_as_retrying_and_hands_the_lock_on(step: str) -> None:
    ctx = context(**{step: lambda _: 1 / 0})
    assert run(ctx)["status"] == "Failed (retrying)"
    assert len(ctx.of(step)) == MAX_TRIES
    assert f"{step} broke off" in ctx.of("end_run")[0]["detail"]


@pytest.mark.parametrize("step", ["prepare_table", "scan_slice", "plan_shards", "link_shard", "unlink_table"])
@pytest.mark.parametrize("fails", [lambda _: 1 / 0, lambda _: Trouble("no")], ids=["breaks off", "for good"])
def test_a_step_of_one_table_that_fails_leaves_the_others_alone(step: str, fails: Callable[[Any], object]) -> None:
    def of_contact(task: Any) -> object:
        return fails(task) if task["table"] == "contact" else standard[step](task)

    standard = Activities(tables=("contact", "lead")).standard
    standard["link_shard"] = lambda _: ShardOutcome(ROWS, departed=1)
    ctx = context(tables=("contact", "lead"), **(standard | {step: of_contact}))
    run(ctx, Ticket("run1", RunRequest(Mode.VERIFY)))
    ends = {end["table"]: end["failed"] or end["totals"]["failed"] for end in ctx.of("end_table")}
    assert ends["contact"]
    assert ends["lead"] == ""


@pytest.mark.parametrize("fails", [lambda _: 1 / 0, lambda _: Trouble("no")], ids=["breaks off", "for good"])
def test_a_look_at_all_links_that_fails_leaves_the_table_to_be_linked(fails: Callable[[Any], object]) -> None:
    ctx = context(prepare_table=lambda task: Prepared(task["table"], "s1", 1, links_due=True), find_strays=fails)
    assert run(ctx)["status"] == "Successful"
    assert [(end["failed"], end["strays"]) for end in ctx.of("end_table")] == [("", 0)]
    assert sum(shards_linked(ctx).values()) == 3


def test_a_step_that_fails_for_a_while_is_repeated_ever_later_and_both_is_shown() -> None:
    answers: list[object] = [Trouble("busy", 2.0), Trouble("busy", 2.0), Survey(("contact",))]
    ctx = context(survey=lambda _: answers.pop(0))
    assert run(ctx)["status"] == "Successful"
    assert [beat["trouble"] for beat in ctx.of("renew")] == ["busy", "busy", "busy", "", None]
    asked = [at for at, name, _ in ctx.called if name == "survey"]
    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert waits == sorted(waits)
    assert waits[0] < waits[1]


def test_an_unlinking_pass_that_is_canceled_keeps_what_it_did() -> None:
    outcomes = [UnlinkOutcome(Counts(unlinked=2), after="p1", later_s=1.0)]
    ctx = context(
        link_shard=lambda _: ShardOutcome(ROWS, departed=1),
        unlink_table=lambda _: outcomes.pop(0),
        renew=lambda _: Go(cancel=not outcomes),
    )
    assert run(ctx)["status"] == "Canceled"
    (end,) = ctx.of("end_table")
    assert (end["canceled"], end["unlinking"]["unlinked"]) == (True, 2)
