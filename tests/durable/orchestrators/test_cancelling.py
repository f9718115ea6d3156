"""Cancelling a run and losing its lock: shards in flight finish, and no more begin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from linker.core.model import Mode, RunRequest, Status, Ticket
from linker.core.runs.activity_values import (
    Ended,
    Go,
    ShardOutcome,
)
from linker.core.serialization import to_json
from linker.core.throttling.pace import SPARE, Pace
from tests.durable.orchestrators.fake_activities import ROWS, context, run, shards_linked, throttles

# ---- cancelling and losing the lock ----


def stops_at(report: int, go: Go) -> Callable[[Any], Go]:
    told = Counter[str]()

    def answer(_: Any) -> Go:
        told["report"] += 1
        return go if told["report"] >= report else Go()

    return answer


def test_cancelling_lets_the_shards_in_flight_finish_and_starts_no_more() -> None:
    ctx = context(shards=100, report=stops_at(5, Go(cancel=True)))
    ended = run(ctx)
    assert ended["status"] == "Canceled"
    assert ctx.flying == 0
    assert 4 <= sum(shards_linked(ctx).values()) < 100
    end = ctx.of("end_table")[0]
    assert end["canceled"]
    assert end["totals"]["pages"] == sum(shards_linked(ctx).values())
    assert not ctx.of("unlink_table")


def test_cancelling_a_run_of_very_many_shards_starts_no_more_than_are_in_flight() -> None:
    """Its news are far apart: the first shard that stops brings the next ones."""
    begun: list[int] = []

    def page(task: Any) -> ShardOutcome:
        begun.append(task["number"])
        is_over = len(begun) > 50
        return ShardOutcome(later_s=1.0, later_reason="This run is stopping.") if is_over else ShardOutcome(ROWS)

    ctx = context(shards=5_000, link_shard=page, report=lambda _: Go(cancel=len(begun) > 50))
    assert run(ctx)["status"] == "Canceled"
    assert len(begun) <= 50 + 2 * (Pace().ceiling + SPARE)


def test_cancelling_during_a_pause_does_not_wait_for_its_end() -> None:
    ctx = context(
        shards=1, link_shard=throttles(at_shard=0, wait_s=3_600.0), report=stops_at(4, Go(cancel=True, slice_s=10.0))
    )
    assert run(ctx)["status"] == "Canceled"
    assert ctx.now_s < 120


def test_a_run_that_lost_the_lock_ends_nothing_and_starts_nothing() -> None:
    ctx = context(shards=50, report=stops_at(3, Go(held=False)))
    assert run(ctx) == {"run": "run1", "status": "superseded"}
    assert not ctx.of("end_run")


def test_a_run_that_does_not_hold_the_lock_does_nothing() -> None:
    ctx = context(begin_run=lambda _: Go(held=False))
    run(ctx)
    assert ctx.names() == ["begin_run"]


def test_the_run_that_waited_is_started_at_the_end() -> None:
    following = Ticket("run2", RunRequest(mode=Mode.FULL))
    ctx = context(end_run=lambda _: Ended(Status.SUCCESSFUL, following))
    run(ctx)
    assert ctx.of("start_run") == [to_json(following)]
