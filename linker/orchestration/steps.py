"""What both orchestrators share: calling an activity until it did its work, and waiting without losing the lock.

Deterministic: no clock, no chance, no environment, no I/O; everything else is an activity.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

from durabletask.task import OrchestrationContext

from linker.activities.values import Go, RunRef, Trouble
from linker.wire import from_json, to_json

MOST_TRIES = 4  # of a step that failed for a passing reason

type Steps[T] = Generator[Any, Any, T]


class RunFailedError(Exception):
    """A step of the run failed, for good or too often."""


class RunStopped(Exception):  # noqa: N818 - not a failure: the run gives way
    """The run was cancelled, or another one holds the lock."""

    def __init__(self, *, canceled: bool) -> None:
        super().__init__("canceled" if canceled else "the lock went to another run")
        self.canceled = canceled


def call[T](ctx: OrchestrationContext, name: str, task: object, kind: type[T], *, renewing: str) -> Steps[T]:
    """Call an activity, again when it says so. `renewing` names the run whose lock is kept while waiting, if it is to be.

    Raises RunFailedError with the activity's own words.
    """
    for tries in range(MOST_TRIES):
        answer = yield ctx.call_activity(name, input=to_json(task))
        if not isinstance(answer, dict) or "trouble" not in answer:
            return from_json(kind, answer)
        trouble = from_json(Trouble, answer)
        if not trouble.wait_s or tries + 1 == MOST_TRIES:
            break
        if renewing:
            yield from pause(ctx, renewing, trouble.wait_s * 2**tries)
        else:
            yield ctx.create_timer(timedelta(seconds=trouble.wait_s))
    raise RunFailedError(trouble.trouble)


def pause(ctx: OrchestrationContext, run: str, wait_s: float) -> Steps[None]:
    """Wait in slices, before and after each of which the lock of `run` is renewed. Raises RunStopped when it is to end."""
    until = ctx.current_utc_datetime + timedelta(seconds=wait_s)
    while (left_s := (until - ctx.current_utc_datetime).total_seconds()) > 0:
        go = yield from renewed(ctx, run)
        stop_unless(go)
        yield ctx.create_timer(timedelta(seconds=min(left_s, go.slice_s)))


def asked_to_cancel(ctx: OrchestrationContext, run: str) -> Steps[bool]:
    """Return whether somebody asked to stop the run, rather than took its lock."""
    go = yield from renewed(ctx, run)
    return go.held and go.cancel


def renewed(ctx: OrchestrationContext, run: str) -> Steps[Go]:
    """Keep the lock of a run."""
    return (yield from call(ctx, "renew", RunRef(run), Go, renewing=""))


def stop_unless(go: Go) -> None:
    """Raise RunStopped when the run is to end."""
    if not go.held or go.cancel:
        raise RunStopped(canceled=go.held)
