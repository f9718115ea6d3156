"""The scan of a mapping: each stream slice after slice, bounded, throttled, failing, canceled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from linker.core.model import RunRequest, Ticket
from linker.core.runs.activity_values import (
    Go,
    Prepared,
    SliceOutcome,
)
from linker.core.serialization import MAX_BYTES
from linker.durable.orchestrators import scanning
from linker.durable.orchestrators.activity_calls import MAX_CALLS
from linker.durable.orchestrators.scanning import STREAMS_AT_ONCE
from tests.durable.orchestrators.fake_activities import context, run
from tests.fakes.durable import FakeContext

# ---- the scan ----


def slices(ctx: FakeContext) -> Counter[tuple[str, int]]:
    return Counter((task["table"], task["stream"]) for task in ctx.of("scan_slice"))


def streams(number: int) -> Callable[[Any], Prepared]:
    return lambda task: Prepared(task["table"], "s1", number)


def test_each_stream_is_read_slice_after_slice_to_its_end_before_any_shard_is_named() -> None:
    left = Counter({("contact", stream): 3 for stream in range(9)})

    def scan_slice(task: Any) -> SliceOutcome:
        left[task["table"], task["stream"]] -= 1
        return SliceOutcome(done=not left[task["table"], task["stream"]], rows=1)

    ctx = context(prepare_table=streams(9), scan_slice=scan_slice)
    assert run(ctx)["status"] == "Successful"
    assert slices(ctx) == {("contact", stream): 3 for stream in range(9)}
    assert max(at for at, name, _ in ctx.called if name == "scan_slice") < min(
        at for at, name, _ in ctx.called if name == "plan_shards"
    )


def test_a_table_without_streams_reads_nothing_and_names_its_shards() -> None:
    ctx = context(prepare_table=streams(0))
    assert run(ctx)["status"] == "Successful"
    assert not ctx.of("scan_slice")
    assert len(ctx.of("plan_shards")) == 1


def test_no_more_streams_are_read_at_once_than_dataverse_should_bear() -> None:
    ctx = context(prepare_table=streams(9))
    ctx.seconds = lambda name, _: 50.0 if name == "scan_slice" else 1.0
    run(ctx)
    starts = [at for at, name, _ in ctx.called if name == "scan_slice"]
    assert max(sum(1 for at in starts if 0 <= at - first < 50) for first in starts) == STREAMS_AT_ONCE


def test_a_slice_that_fails_for_a_while_is_tried_ever_later() -> None:
    fails = [SliceOutcome(later_s=5.0, later_reason="busy")] * 6
    ctx = context(scan_slice=lambda _: fails.pop() if fails else SliceOutcome(done=True))
    assert run(ctx)["status"] == "Successful"
    tries = [at for at, name, _ in ctx.called if name == "scan_slice"]
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (pytest.approx(5, abs=5), pytest.approx(scanning.LONGEST_WAIT_S, abs=5))


def test_a_throttled_slice_waits_as_long_as_dataverse_asked() -> None:
    answers = [SliceOutcome(later_s=300.0, later_reason="pause", throttled=True), SliceOutcome(done=True)]
    ctx = context(scan_slice=lambda _: answers.pop(0), renew=lambda _: Go(slice_s=20.0))
    assert run(ctx)["status"] == "Successful"
    first, second = [at for at, name, _ in ctx.called if name == "scan_slice"]
    assert second - first >= 300
    timers = [task for _, name, task in ctx.called if name == "timer"]
    assert max(timers) <= 20  # the lock is renewed meanwhile


def test_a_mapping_that_cannot_be_read_fails_its_table_and_leaves_the_others_alone() -> None:
    def scan_slice(task: Any) -> object:
        return SliceOutcome(later_s=1.0, later_reason="busy") if task["table"] == "contact" else SliceOutcome(done=True)

    ctx = context(tables=("contact", "lead"), scan_slice=scan_slice, prepare_table=streams(2))
    run(ctx)
    assert {end["table"]: end["failed"] for end in ctx.of("end_table")} == {
        "contact": "The mapping could not be read: busy", "lead": "",
    }  # fmt: skip
    assert {task["table"] for task in ctx.of("link_shard")} == {"lead"}


def test_a_stream_that_waits_when_another_one_of_its_table_fails_is_left_out() -> None:
    waits = SliceOutcome(later_s=30.0, later_reason="busy")
    ctx = context(
        prepare_table=streams(2), scan_slice=lambda task: SliceOutcome(failed="no") if task["stream"] else waits
    )
    run(ctx)
    assert [end["failed"] for end in ctx.of("end_table")] == ["no"]


@pytest.mark.parametrize(
    ("go", "ended"),
    [
        (Go(cancel=True), {"run": "run1", "status": "Canceled"}),
        (Go(held=False), {"run": "run1", "status": "superseded"}),
    ],
    ids=["canceled", "superseded"],
)
def test_a_run_that_is_to_stop_while_it_scans_stops_before_the_next_slice(go: Go, ended: dict[str, str]) -> None:
    ctx = context(
        scan_slice=lambda _: SliceOutcome(rows=1), renew=lambda _: go if len(ctx.of("scan_slice")) > 5 else Go()
    )
    assert run(ctx)["status"] == ended["status"]
    assert len(ctx.of("scan_slice")) == 6
    assert not ctx.of("plan_shards")


@pytest.mark.parametrize("number", [1, 9, 60])
def test_scans_of_many_tables_with_many_failures_stay_small_and_bounded(number: int) -> None:
    tables = tuple(f"contoso_quite_a_long_table_name_{n}" for n in range(number))
    read = Counter[tuple[str, int]]()

    def scan_slice(task: Any) -> SliceOutcome:
        read[task["table"], task["stream"]] += 1
        is_done = read[task["table"], task["stream"]] == 20
        return (
            SliceOutcome(failed="x" * 1_000) if is_done and task["stream"] == 5 else SliceOutcome(done=is_done, rows=1)
        )

    ctx = context(tables=tables, prepare_table=streams(6), scan_slice=scan_slice)
    run(ctx, Ticket("20261123T212534Z-0123abcd", RunRequest()))
    assert {name: size for name, size in ctx.largest_bytes.items() if size > MAX_BYTES} == {}
    assert all(end["failed"].startswith("xxx") for end in ctx.of("end_table"))
    assert len(ctx.child_ids) == len(set(ctx.child_ids)) >= len(ctx.of("scan_slice")) * 2 // MAX_CALLS
