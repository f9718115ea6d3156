"""How the touch of profiles is orchestrated: every part to its end, no more at once than the pace allows, nothing at risk."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from linker.adapters.storage.table_states import SLICES
from linker.core.model import Touches
from linker.core.runs.activity_values import Go, Trouble
from linker.core.runs.generation_values import TouchOutcome, TouchPlan
from linker.core.serialization import MAX_BYTES, to_json
from linker.core.throttling.pace import Load, Pace
from linker.durable.orchestrators.activity_calls import RunStopped
from linker.durable.orchestrators.touching import (
    MAX_CALLS,
    PATIENCE,
    TOUCHING,
    Touching,
    touch,
    touch_waiting_profiles,
)
from tests.fakes.durable import FakeContext

PACE = Pace(width=4, batch=500)
ID = "ffffffff-ffff-4fff-8fff-ffffffffffff"

type Answer = Callable[[dict[str, Any]], object]


def done(task: dict[str, Any]) -> TouchOutcome:
    return TouchOutcome(Touches(10, 10))


def touching(touch_profiles: Answer = done, *, parts: int = SLICES, report: Answer = lambda _: Go()) -> FakeContext:
    """Return the context of a touch that has run to its end."""
    answers: dict[str, Answer] = {
        "plan_touch": lambda _: TouchPlan(parts),
        "touch_profiles": touch_profiles,
        "report_touch": report,
        "renew": lambda _: Go(),
    }

    def jsonly(answer: Answer) -> Callable[[dict[str, Any]], dict[str, Any]]:
        return lambda task: to_json(answer(task))

    ctx = FakeContext({name: jsonly(answer) for name, answer in answers.items()}, {TOUCHING: touch_waiting_profiles})
    ctx.run(the_last_phase, {})
    return ctx


def the_last_phase(ctx: FakeContext, _: dict[str, Any]) -> Any:
    try:
        yield from touch(ctx, "run1", PACE, dry_run=False)  # type: ignore[arg-type]
    except RunStopped as stopped:
        return {"canceled": stopped.canceled}
    return {}


def last(ctx: FakeContext) -> dict[str, Any]:
    return ctx.of("report_touch")[-1]


def test_every_part_is_touched_once() -> None:
    ctx = touching()
    assert Counter(task["part"] for task in ctx.of("touch_profiles")) == dict.fromkeys(range(SLICES), 1)
    assert last(ctx)["over"]
    assert last(ctx)["touches"] == to_json(Touches(10 * SLICES, 10 * SLICES))


def test_a_part_goes_on_after_the_last_id_it_did() -> None:
    ctx = touching(
        lambda task: TouchOutcome(Touches(1, 1), after=None if task["after"] == "b" else task["after"] + "b"), parts=1
    )
    assert [task["after"] for task in ctx.of("touch_profiles")] == ["", "b"]


def test_as_many_parts_are_under_way_as_the_pace_that_the_last_ones_reported_allows() -> None:
    wider = Load(Pace(width=6, hint=6, at_s=1.0))
    ctx = touching(lambda task: replace(done(task), load=wider))
    at = Counter(started for started, name, _ in ctx.called if name == "touch_profiles")
    assert list(at.values())[:2] == [PACE.width, 6]


def test_a_throttle_that_a_whole_wave_felt_is_one_pause() -> None:
    felt: set[int] = set()

    def throttles(task: dict[str, Any]) -> TouchOutcome:
        if len(felt) < PACE.width:
            felt.add(task["part"])
            return TouchOutcome(after="", later_s=30.0, later_reason="pause", load=Load(throttled=True))
        return done(task)

    ctx = touching(throttles)
    times = list(Counter(started for started, name, _ in ctx.called if name == "touch_profiles"))
    assert 30.0 <= times[1] - times[0] < 40.0
    assert [task["pausedS"] for task in ctx.of("report_touch")][:2] == [30.0, 0.0]
    assert last(ctx)["touches"]["touched"] == 10 * SLICES


def test_what_gets_nowhere_is_given_up_and_left_to_the_next_run() -> None:
    ctx = touching(lambda _: TouchOutcome(after="", later_s=1.0, later_reason="503"), parts=1)
    assert len(ctx.of("touch_profiles")) == PATIENCE
    assert (last(ctx)["over"], last(ctx)["again"], last(ctx)["leftOut"]) == (True, True, "503")


def test_what_dataverse_refuses_for_good_is_left_out_and_forgotten() -> None:
    ctx = touching(lambda _: TouchOutcome(left_out="not allowed"))
    assert len(ctx.of("touch_profiles")) == PACE.width
    assert (last(ctx)["over"], last(ctx)["again"], last(ctx)["leftOut"]) == (True, False, "not allowed")


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        pytest.param(lambda _: Trouble("no storage", 1.0), True, id="that cannot begin its work for a while"),
        pytest.param(lambda _: Trouble("no such thing"), False, id="that can never begin its work"),
        pytest.param(lambda _: 1 / 0, True, id="that breaks"),
    ],
)
def test_an_activity_never_fails_the_run(answer: Answer, again: bool) -> None:
    ctx = touching(answer, parts=1)
    assert (last(ctx)["over"], last(ctx)["again"]) == (True, again)
    assert last(ctx)["leftOut"]


@pytest.mark.parametrize("go", [Go(cancel=True), Go(held=False)])
def test_a_run_that_is_stopped_keeps_what_waits(go: Go) -> None:
    ctx = touching(report=lambda _: go)
    assert len(ctx.of("touch_profiles")) == PACE.width
    assert not any(task["over"] for task in ctx.of("report_touch"))


def test_inputs_and_outputs_stay_small_and_histories_bounded() -> None:
    """Three calls for each of 64 parts, as ten million profiles need."""
    calls: Counter[int] = Counter()

    def long(task: dict[str, Any]) -> TouchOutcome:
        calls[task["part"]] += 1
        return TouchOutcome(Touches(10_000, 10_000), after=ID if calls[task["part"]] < 10 else None, refusal="x" * 300)

    ctx = touching(long)
    assert set(calls.values()) == {10}
    assert max(ctx.largest_bytes.values()) < MAX_BYTES
    state = Touching(
        "r" * 40, SLICES, PACE, left=dict.fromkeys(range(SLICES), ID), left_out="x" * 400, refusal="x" * 300
    )
    assert len(json.dumps(to_json(state))) < MAX_BYTES
    assert len(ctx.child_ids) == len(set(ctx.child_ids)) > 1
    assert len(ctx.of("touch_profiles")) + len(ctx.of("report_touch")) <= (MAX_CALLS + 65) * len(ctx.child_ids)


def test_waves_that_are_paused_make_more_orchestrations_and_no_longer_ones() -> None:
    ctx = touching(lambda _: TouchOutcome(Touches(1, 1), after=None, later_s=300.0, later_reason="pause"))
    timers = sum(1 for _, name, _ in ctx.called if name == "timer")
    waves = sum(1 for task in ctx.of("report_touch") if task["pausedS"])
    assert ctx.now_s >= (waves - 1) * 300.0
    assert len(ctx.child_ids) > 2 * timers / (MAX_CALLS + SLICES) > 1
    assert last(ctx)["touches"]["touched"] == SLICES
