"""What all orchestrators share: calling an activity until it did its work, and waiting without losing the lock.

Deterministic: no clock, no chance, no environment, no I/O; everything else is an activity.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from durabletask.task import OrchestrationContext, TaskFailedError

from linker.core.runs.activity_values import Beat, Go, Trouble
from linker.core.serialization import from_json, to_json

MAX_TRIES = 10  # of a step that failed for a passing reason: with the waits between them at least six minutes
LONGEST_WAIT_S = 60.0  # between two tries, unless more was asked for
BROKEN_OFF_S = 5.0
MAX_CALLS = 300  # activities and timers of one orchestration: about four events each, under 2,000 of them

type Steps[T] = Generator[Any, Any, T]


class RunFailedError(Exception):
    """A step of the run failed: for good, or too often for a reason that may pass (`passing`)."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class RunStopped(Exception):  # noqa: N818 - not a failure: the run stops
    """The run was cancelled, or another one holds the lock."""

    def __init__(self, *, canceled: bool) -> None:
        super().__init__("canceled" if canceled else "the lock went to another run")
        self.canceled = canceled


def call[T](ctx: OrchestrationContext, name: str, task: object, kind: type[T], *, renewing: str) -> Steps[T]:
    """Call an activity, again when it says so. `renewing` names the run whose lock is kept while waiting, if it is to be.

    Raises RunFailedError with the activity's own words.
    """
    for tries in range(MAX_TRIES):
        answer = yield from _answer(ctx, name, task)
        if not isinstance(answer, Trouble):
            if tries and renewing:
                yield from renew_lock(ctx, renewing, trouble="")
            return from_json(kind, answer)
        if not answer.wait_s or tries + 1 == MAX_TRIES:
            break
        wait_s = max(answer.wait_s, min(answer.wait_s * 2**tries, LONGEST_WAIT_S))
        if renewing:
            yield from pause(ctx, renewing, wait_s, trouble=answer.trouble)
        else:
            yield ctx.create_timer(timedelta(seconds=wait_s))
    raise RunFailedError(answer.trouble, passing=bool(answer.wait_s))


def call_child[T](ctx: OrchestrationContext, name: str, task: object, kind: type[T], *, instance: str) -> Steps[T]:
    """Call a child orchestration. Raises RunFailedError with its own words when a step of it failed; see as_trouble."""
    answer = yield ctx.call_sub_orchestrator(name, input=to_json(task), instance_id=instance)
    if "trouble" in answer:
        trouble = from_json(Trouble, answer)
        raise RunFailedError(trouble.trouble, passing=bool(trouble.wait_s))
    return from_json(kind, answer)


def as_trouble(steps: Steps[object]) -> Steps[dict[str, Any]]:
    """Return what the steps of a child orchestration come to, or the Trouble that a step failed with: an exception would
    reach the parent as a text that does not say whether the fault may pass.
    """
    try:
        return to_json((yield from steps))
    except RunFailedError as error:
        return to_json(Trouble(f"{error}"[:1000], BROKEN_OFF_S if error.passing else 0.0))


def _answer(ctx: OrchestrationContext, name: str, task: object) -> Steps[Any]:
    """Return what an activity answered. One that broke off is worth another try: its host may have died."""
    try:
        answer = yield ctx.call_activity(name, input=to_json(task))
    except TaskFailedError as error:
        return Trouble(f"{name} broke off: {error}"[:1000], BROKEN_OFF_S)
    return from_json(Trouble, answer) if isinstance(answer, dict) and "trouble" in answer else answer


@dataclass(slots=True)
class Room:
    """How many more activities and timers a history takes, four events each: fewer than 2,000 of them fit."""

    calls: int = 400

    @property
    def is_left(self) -> bool:
        """Whether there is room for one more; the few that follow without asking fit as well."""
        return self.calls > 0

    def take(self, calls: int = 1) -> None:
        """Use some of it."""
        self.calls -= calls


def pause(
    ctx: OrchestrationContext, run: str, wait_s: float, *, trouble: str | None = None, room: Room | None = None
) -> Steps[float]:
    """Wait in slices, before each of which the lock of `run` is renewed. Raises RunStopped when it is to end.

    `trouble` is shown meanwhile: what is tried again afterwards. Returns the seconds for which `room` was not enough.
    """
    until = ctx.current_utc_datetime + timedelta(seconds=wait_s)
    room = room or Room()
    while (left_s := (until - ctx.current_utc_datetime).total_seconds()) > 0 and room.is_left:
        go = yield from renew_lock(ctx, run, trouble=trouble)
        stop_unless(go)
        yield ctx.create_timer(timedelta(seconds=min(left_s, go.slice_s)))
        room.take(2)
    return max(left_s, 0.0)


def is_canceled(ctx: OrchestrationContext, run: str) -> Steps[bool]:
    """Return whether the run was canceled, rather than lost its lock."""
    go = yield from renew_lock(ctx, run)
    return go.held and go.cancel


def renew_lock(ctx: OrchestrationContext, run: str, *, trouble: str | None = None) -> Steps[Go]:
    """Keep the lock of a run; `trouble` see Beat."""
    return (yield from call(ctx, "renew", Beat(run, trouble), Go, renewing=""))


def stop_unless(go: Go) -> None:
    """Raise RunStopped when the run is to end."""
    if not go.held or go.cancel:
        raise RunStopped(canceled=go.held)
