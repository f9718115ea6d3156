"""A run with fake activities: its order, every shard once, the window, throttles, the first link, a dry run."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from linker.core.model import Counts, RunRequest
from linker.core.runs.activity_values import (
    Go,
    ShardOutcome,
    Shards,
)
from linker.core.serialization import to_json
from linker.core.throttling.pace import MAX_SHARDS, Load, Pace, shards_in_flight
from linker.durable.orchestrators.generation import (
    GENERATION_SHARDS,
    NEWS_S,
    REPORTS,
)
from tests.durable.orchestrators.fake_activities import ROWS, TICKET, context, run, shards_linked, throttles


def test_a_run_goes_its_way_in_order() -> None:
    ctx = context(shards=1)
    assert run(ctx)["status"] == "Successful"
    assert [name for name in ctx.names() if name != "report"] == [
        "begin_run", "settle", "survey", "prepare_table", "renew", "scan_slice", "plan_shards", "link_shard", "end_table",
        "end_run",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "shards", [1, GENERATION_SHARDS - 1, GENERATION_SHARDS, GENERATION_SHARDS + 1, 2 * GENERATION_SHARDS + 7]
)
def test_generations_cover_every_shard_of_every_table_once(shards: int) -> None:
    ctx = context(shards=shards, tables=("contact", "lead"))
    run(ctx)
    assert shards_linked(ctx) == {(table, number): 1 for table in ("contact", "lead") for number in range(shards)}
    assert len(ctx.child_ids) == len(set(ctx.child_ids)) == 1 + -(-2 * shards // GENERATION_SHARDS)
    ends = {end["table"]: end["totals"] for end in ctx.of("end_table")}
    assert {table: end["counts"]["linked"] for table, end in ends.items()} == {
        "contact": 10 * shards,
        "lead": 10 * shards,
    }


def paced(width: int) -> Load:
    return Load(Pace(width, hint=width, at_s=1.0))


@pytest.mark.parametrize(
    ("width", "flying"),
    [
        pytest.param(1, 3, id="two shards read while one writes"),
        pytest.param(48, MAX_SHARDS, id="no more than the platform runs"),
    ],
)
def test_each_shard_in_flight_may_use_the_whole_width(width: int, flying: int) -> None:
    ctx = context(shards=200, link_shard=lambda _: ShardOutcome(ROWS, load=paced(width)))
    run(ctx)
    assert {task["lanes"] for task in ctx.of("link_shard")[50:]} == {width}
    assert ctx.most_flying == max(flying, shards_in_flight(Pace()))


def test_of_many_shards_those_that_are_done_within_a_moment_share_one_report() -> None:
    """No shard starts while a report is under way: one report for each shard left one shard in flight."""
    ctx = context(shards=2 * REPORTS - 1)
    ctx.seconds = lambda *_: NEWS_S / 10
    run(ctx)
    begins = [at for at, name, _ in ctx.called if name == "report"]
    *gaps, _ = [later - earlier for earlier, later in pairwise(begins)]
    assert min(gaps, default=NEWS_S) >= NEWS_S
    assert ctx.of("report")[-1]["pagesDone"] == 2 * REPORTS - 1
    assert ctx.most_flying == shards_in_flight(Pace())


def test_of_few_shards_each_is_reported_at_once() -> None:
    """The next shard may take minutes."""
    ctx = context(shards=REPORTS - 1)
    ctx.seconds = lambda *_: NEWS_S / 1_000
    run(ctx)
    assert {report["pagesDone"] for report in ctx.of("report")} >= set(range(1, REPORTS))


def test_the_pace_that_a_shard_reports_goes_to_the_next_shards() -> None:
    found = Pace(3, 700, hint=3, at_s=1.0)
    ctx = context(shards=10, link_shard=lambda _: ShardOutcome(ROWS, load=Load(found)))
    run(ctx)
    paces = [task["pace"] for task in ctx.of("link_shard")]
    assert (paces[0], paces[-1]) == (to_json(Pace()), to_json(found))


def test_a_throttle_pauses_every_shard_for_as_long_as_dataverse_asked() -> None:
    ctx = context(shards=40, link_shard=throttles(at_shard=10, wait_s=90.0))
    run(ctx)
    starts = [at for at, name, _ in ctx.called if name == "link_shard"]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert max(gaps) >= 90.0
    assert shards_linked(ctx)[("contact", 10)] == 2
    assert sum(shards_linked(ctx).values()) == 41
    assert any(task["pausedS"] for task in ctx.of("report"))


def test_a_throttle_that_all_shards_in_flight_feel_is_one_pause() -> None:
    felt: set[int] = set()

    def link_shard(task: Any) -> ShardOutcome:
        if task["number"] < 4 and task["number"] not in felt:
            felt.add(task["number"])
            return ShardOutcome(later_s=30.0, later_reason="pause", load=Load(throttled=True))
        return ShardOutcome(ROWS)

    ctx = context(shards=8, link_shard=link_shard)
    run(ctx)
    assert ctx.now_s < 60


def test_no_shard_starts_again_and_again_within_a_later_pause() -> None:
    """A shard that was under way all through the earlier pause lands first: what it felt is not over."""
    pauses = ((20.0, 80.0), (85.0, 145.0))

    def left_s() -> float:
        return max((end - ctx.now_s for began, end in pauses if began <= ctx.now_s < end), default=0.0)

    def link_shard(_: Any) -> ShardOutcome:
        if wait_s := left_s():
            return ShardOutcome(later_s=wait_s, later_reason="pause", load=Load(paced(8).pace, throttled=True))
        return ShardOutcome(ROWS, load=paced(8))

    def seconds(name: str, task: dict[str, Any]) -> float:
        if name != "link_shard":
            return 0.1
        if left_s():
            return 0.5 + task["number"] / 50
        return 6.0 + task["number"] % 7 / 10 if task["number"] else 85.0

    ctx = context(shards=40, link_shard=link_shard)
    ctx.seconds = seconds
    run(ctx)
    assert ctx.of("end_table")[0]["totals"]["pages"] == 40
    begins = [at for at, name, _ in ctx.called if name == "link_shard"]
    for began, end in pauses:
        assert sum(began <= at < end for at in begins) <= shards_in_flight(paced(8).pace)


def test_a_pause_renews_the_lock_in_slices() -> None:
    ctx = context(shards=1, link_shard=throttles(at_shard=0, wait_s=90.0), report=lambda _: Go(slice_s=20.0))
    run(ctx)
    assert [task for _, name, task in ctx.called if name == "timer"] == [
        20.0,
        20.0,
        20.0,
        20.0,
        6.0,
    ]  # reports take a second each


def test_a_shard_that_never_gets_its_turn_fails_its_table_in_the_end() -> None:
    ctx = context(
        shards=2,
        link_shard=lambda task: (
            ShardOutcome(later_s=1.0, later_reason="held") if task["number"] else ShardOutcome(ROWS)
        ),
    )
    run(ctx)
    assert "held" in ctx.of("end_table")[0]["totals"]["failed"]


# ---- the first link ----


def test_shards_of_a_table_run_one_after_the_other_until_a_first_link_is_proved() -> None:
    def link_shard(task: Any) -> ShardOutcome:
        return ShardOutcome(ROWS, proven=task["number"] == 3)

    ctx = context(shards=20, plan_shards=lambda _: Shards(20, canary=True), link_shard=link_shard)
    run(ctx)
    starts = [at for at, name, _ in ctx.called if name == "link_shard"]
    assert [task["canary"] for task in ctx.of("link_shard")] == [True] * 4 + [False] * 16
    assert len(set(starts[:4])) == 4
    assert len(set(starts)) < 20
    assert shards_linked(ctx) == {("contact", number): 1 for number in range(20)}


ONE = Counts(rows_read=1, linked=1)


def gives_way(task: Any) -> ShardOutcome:
    """The activity as it proves a link with one row, and is called again for the rest of its shard."""
    if task["canary"] and task["number"] == 1:
        return ShardOutcome(ONE, later_s=0.05, later_reason="proved", proven=True, held=True)
    return ShardOutcome(ROWS)


def test_the_shard_that_proved_the_link_comes_first_among_the_others_and_counts_once() -> None:
    ctx = context(shards=20, plan_shards=lambda _: Shards(20, canary=True), link_shard=gives_way)
    run(ctx)
    assert [(task["number"], task["canary"]) for task in ctx.of("link_shard")][:4] == [
        (0, True),
        (1, True),
        (1, False),
        (2, False),
    ]
    begins = [at for at, name, _ in ctx.called if name == "link_shard"]
    assert begins[2] == begins[3], "it waits for none of them, nor they for it"
    assert shards_linked(ctx) == {("contact", number): 1 + (number == 1) for number in range(20)}
    assert ctx.of("end_table")[0]["totals"]["counts"]["linked"] == 20 * ROWS.linked
    assert ctx.of("end_table")[0]["totals"]["pages"] == 20


def test_a_run_that_is_canceled_right_after_the_proof_counts_the_row_that_was_written() -> None:
    def link_shard(task: Any) -> ShardOutcome:
        if len(ctx.of("link_shard")) > 2:
            return ShardOutcome(later_s=1.0, later_reason="The run is stopping.")
        return gives_way(task)

    def report(_: Any) -> Go:
        return Go(cancel=len(ctx.of("link_shard")) > 2)

    ctx = context(shards=20, plan_shards=lambda _: Shards(20, canary=True), link_shard=link_shard, report=report)
    run(ctx)
    end = ctx.of("end_table")[0]
    assert (end["canceled"], end["totals"]["counts"]["linked"]) == (True, ROWS.linked + ONE.linked)
    assert end["totals"]["pages"] == 1


def test_a_first_link_that_is_dead_stops_its_table_and_no_other() -> None:
    def link_shard(task: Any) -> ShardOutcome:
        return ShardOutcome(failed="dead link") if task["table"] == "contact" else ShardOutcome(ROWS, proven=True)

    ctx = context(tables=("contact", "lead"), plan_shards=lambda _: Shards(5, canary=True), link_shard=link_shard)
    run(ctx)
    assert [task["table"] for task in ctx.of("link_shard")].count("contact") == 1
    assert shards_linked(ctx).total() == 6
    assert {end["table"]: end["totals"]["failed"] for end in ctx.of("end_table")} == {
        "contact": "dead link",
        "lead": "",
    }


def test_a_generation_hands_on_which_tables_have_no_proved_link_yet() -> None:
    ctx = context(shards=GENERATION_SHARDS + 5, plan_shards=lambda _: Shards(GENERATION_SHARDS + 5, canary=True))
    run(ctx)
    assert all(task["canary"] for task in ctx.of("link_shard"))


# ---- a dry run ----


def test_a_dry_run_says_so_to_every_activity_that_could_write() -> None:
    ctx = context(link_shard=lambda _: ShardOutcome(ROWS, departed=1))
    run(ctx, replace(TICKET, request=RunRequest(dry_run=True)))
    writers = ("prepare_table", "plan_shards", "link_shard", "unlink_table", "end_table", "end_run")
    assert {task["dryRun"] for name in writers for task in ctx.of(name)} == {True}
