"""The unlinking pass: page after page, in the run's own history as long as that has room, then in children of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from durabletask.task import OrchestrationContext, TaskFailedError

from linker.core.model import WIRE, Counts
from linker.core.runs.generation_values import UnlinkOutcome, UnlinkTask
from linker.core.serialization import from_json, to_json
from linker.durable.orchestrators.activity_calls import Room, RunFailedError, RunStopped, Steps, call, pause

UNLINKING = "unlink_departed_rows"
PATIENCE = 30  # calls without a page done


@dataclass(frozen=True, slots=True)
class Unlinking:
    """How far the pass over one table is. `rest_s` is what is left of a pause."""

    __pydantic_config__ = WIRE
    task: UnlinkTask
    counts: Counts = Counts()
    held_back: str = ""
    guarded: bool = False
    lost: int = 0
    failed: str = ""
    passing: bool = False  # what failed may pass
    done: bool = False
    stop: str = ""
    tries: int = 0
    rest_s: float = 0.0

    @property
    def goes_on(self) -> bool:
        """Whether there is something left to do, and nothing against it."""
        return not (self.done or self.failed or self.stop)

    def after(self, outcome: UnlinkOutcome) -> Unlinking:
        """Return the state after one more call."""
        tries = self.tries + 1 if outcome.after == self.task.after else 0
        gave_up = "Departed rows could not be unlinked; Dataverse or storage kept failing." if tries == PATIENCE else ""
        return replace(
            self,
            task=replace(self.task, after=outcome.after or ""),
            counts=self.counts + outcome.counts,
            held_back=outcome.held_back or self.held_back,
            guarded=outcome.guarded or self.guarded,
            lost=self.lost + outcome.lost,
            failed=outcome.failed or (gave_up if outcome.after is not None else ""),
            passing=bool(gave_up) and not outcome.failed,
            done=outcome.after is None,
            tries=tries,
            rest_s=outcome.later_s,
        )


def unlink(ctx: OrchestrationContext, task: UnlinkTask, child: str, room: Room) -> Steps[Unlinking]:
    """Unlink the departed rows of a table. `child` begins the ids of the orchestrations for which `room` leaves no other way.

    What was done counts, however the pass ends.
    """
    state, number = (yield from _go_on(ctx, Unlinking(task), room)), 0
    while state.goes_on:
        try:
            answer = yield ctx.call_sub_orchestrator(UNLINKING, input=to_json(state), instance_id=f"{child}-{number}")
        except TaskFailedError as error:
            return replace(state, failed=f"{error}"[:1000], passing=True)
        state, number = from_json(Unlinking, answer), number + 1
    return state


def unlink_departed_rows(ctx: OrchestrationContext, request: dict[str, Any]) -> Steps[dict[str, Any]]:
    """A bounded share of the pass. Input and output: an Unlinking."""
    return to_json((yield from _go_on(ctx, from_json(Unlinking, request), Room())))


def _go_on(ctx: OrchestrationContext, state: Unlinking, room: Room) -> Steps[Unlinking]:
    try:
        while state.goes_on and room.is_left:
            rest_s = yield from pause(ctx, state.task.run, state.rest_s, room=room)
            state = replace(state, rest_s=rest_s)
            if room.is_left:
                room.take()
                outcome = yield from call(ctx, "unlink_table", state.task, UnlinkOutcome, renewing=state.task.run)
                state = state.after(outcome)
    except RunFailedError as error:
        return replace(state, failed=f"{error}"[:1000], passing=error.passing)
    except RunStopped as stopped:
        return replace(state, stop="canceled" if stopped.canceled else "superseded")
    return state
