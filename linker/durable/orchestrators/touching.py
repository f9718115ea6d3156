"""The touch of profiles in waves of as many parts at once as the pace allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from durabletask.task import OrchestrationContext, TaskFailedError, when_all

from linker.core.model import WIRE, Touches
from linker.core.runs.activity_values import Go, Trouble
from linker.core.runs.generation_values import TouchOutcome, TouchPlan, TouchRef, TouchReport, TouchTask
from linker.core.serialization import from_json, to_json
from linker.core.throttling.pace import Pace, next_pace
from linker.durable.orchestrators.activity_calls import (
    Room,
    RunFailedError,
    RunStopped,
    Steps,
    call,
    pause,
    stop_unless,
)

TOUCHING = "touch_waiting_profiles"
MAX_CALLS = 300  # activities and timers of one orchestration
PATIENCE = 10  # waves in which nothing was done


@dataclass(frozen=True, slots=True)
class Touching:
    """How far the touch is. `left` names the parts that are not done, each with the id it goes on after."""

    __pydantic_config__ = WIRE
    run: str
    parts: int
    pace: Pace
    dry_run: bool = False
    left: dict[int, str] = field(default_factory=dict)
    touches: Touches = Touches()
    idle: int = 0  # waves without a profile done
    left_out: str = ""
    again: bool = False  # what is left out may succeed in the next run
    refusal: str = ""
    stop: str = ""
    rest_s: float = 0.0  # what is left of a pause

    @property
    def goes_on(self) -> bool:
        """Whether there is something left to do, and nothing against it."""
        return bool(self.left) and not self.left_out and not self.stop


def touch(ctx: OrchestrationContext, run: str, pace: Pace, *, dry_run: bool) -> Steps[None]:
    """Touch the profiles that wait. Raises RunStopped; any other failure is left to the next run: the links are done."""
    state = Touching(run, 0, pace, dry_run)
    try:
        state = yield from _touch_part(ctx, state)
    except (RunFailedError, TaskFailedError) as error:
        state = replace(state, left_out=f"{error}"[:400], again=True)
    if state.stop:
        raise RunStopped(canceled=state.stop == "canceled")
    yield from _report(ctx, state, over=True)


def _touch_part(ctx: OrchestrationContext, state: Touching) -> Steps[Touching]:
    ref = TouchRef(state.run, state.dry_run)
    plan = yield from call(ctx, "plan_touch", ref, TouchPlan, renewing=state.run)
    left = dict.fromkeys(range(plan.parts), "")
    state = replace(state, parts=plan.parts, left=left, left_out=plan.left_out)
    number = 0
    while state.goes_on:
        child = f"{state.run}-t{number}"
        answer = yield ctx.call_sub_orchestrator(TOUCHING, input=to_json(state), instance_id=child)
        state, number = from_json(Touching, answer), number + 1
    return state


def touch_waiting_profiles(ctx: OrchestrationContext, request: dict[str, Any]) -> Steps[dict[str, Any]]:
    """A bounded share of the touch. Input and output: a Touching."""
    state, room = from_json(Touching, request), Room(MAX_CALLS)
    try:
        while state.goes_on and room.is_left:
            state = replace(state, rest_s=(yield from pause(ctx, state.run, state.rest_s, room=room)))
            if room.is_left:
                room.take(min(state.pace.width, len(state.left)) + 1)  # the report
                state = yield from _wave(ctx, state)
    except RunStopped as stopped:
        state = replace(state, stop="canceled" if stopped.canceled else "superseded")
    return to_json(state)


def _wave(ctx: OrchestrationContext, state: Touching) -> Steps[Touching]:
    """Process as many parts as the pace allows, each in one activity, and wait for all of them."""
    parts = list(state.left)[: state.pace.width]
    tasks = [TouchTask(state.run, part, state.parts, state.pace, state.dry_run, state.left[part]) for part in parts]
    answers = yield when_all([ctx.call_activity("touch_profiles", input=to_json(task)) for task in tasks])
    outcomes = [_outcome_of(answer, task) for answer, task in zip(answers, tasks, strict=True)]
    state = _after(state, dict(zip(parts, outcomes, strict=True)))
    wait_s = max(outcome.later_s for outcome in outcomes)
    yield from _report(ctx, state, paused_s=wait_s)
    return replace(state, rest_s=wait_s)


def _after(state: Touching, outcomes: dict[int, TouchOutcome]) -> Touching:
    """Return the state after a wave: parts that are not done come behind those that have not begun."""
    done = sum((outcome.touches for outcome in outcomes.values()), Touches())
    waiting = {part: after for part, after in state.left.items() if part not in outcomes}
    begun = {part: outcome.after for part, outcome in outcomes.items() if outcome.after is not None}
    idle = 0 if done.profiles or not begun else state.idle + 1
    reasons = [outcome.later_reason for outcome in outcomes.values() if outcome.later_reason]
    gave_up = reasons[0] if reasons and idle == PATIENCE else ""
    return replace(
        state,
        left=waiting | begun,
        touches=state.touches + done,
        pace=_pace_after(state.pace, list(outcomes.values())),
        idle=idle,
        left_out=next((outcome.left_out for outcome in outcomes.values() if outcome.left_out), gave_up),
        again=bool(gave_up),
        refusal=next((outcome.refusal for outcome in outcomes.values() if outcome.refusal), state.refusal),
    )


def _pace_after(pace: Pace, outcomes: Sequence[TouchOutcome]) -> Pace:
    for outcome in outcomes:
        pace = next_pace(pace, outcome.load)
    return pace


def _outcome_of(answer: dict[str, Any], task: TouchTask) -> TouchOutcome:
    """Return what became of a task, also when its activity could not begin its work."""
    if "trouble" not in answer:
        return from_json(TouchOutcome, answer)
    trouble = from_json(Trouble, answer)
    if trouble.wait_s:
        return TouchOutcome(after=task.after, later_s=trouble.wait_s, later_reason=trouble.trouble)
    return TouchOutcome(left_out=trouble.trouble)


def _report(ctx: OrchestrationContext, state: Touching, *, over: bool = False, paused_s: float = 0.0) -> Steps[None]:
    news = TouchReport(
        state.run,
        state.touches,
        state.dry_run,
        over,
        state.again,
        state.left_out if over else "",
        state.refusal,
        paused_s,
    )
    stop_unless((yield from call(ctx, "report_touch", news, Go, renewing=state.run)))
