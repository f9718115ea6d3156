"""What the run lock keeps between two operations: who runs, who waits, and what was answered before."""

from __future__ import annotations

from dataclasses import dataclass, replace

from linker.core.model import WIRE, Ticket
from linker.core.runs.pause import Pause
from linker.core.runs.request_merging import slim_ticket


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A dead run, and what becomes of its work.

    `successor` is the run that does the work again, "" when it was canceled, parked, or a dry run that is given up.
    `next` is the run to start now: the successor, or another one that goes first. `begun`: the dead run had renewed once.
    The lock keeps it without `next`, and without the lists of the dead run's request: both may be long.
    """

    __pydantic_config__ = WIRE
    ended: Ticket
    canceled: bool
    successor: str
    next: Ticket | None = None
    begun: bool = True


@dataclass(frozen=True, slots=True)
class LockState:
    """Who runs and who waits. A run waits only while another one runs, or while runs are paused."""

    __pydantic_config__ = WIRE
    holder: Ticket | None = None
    expires: float = 0.0  # the holder's lease, exclusive
    pending: Ticket | None = None  # the real run that comes next
    pending_dry: Ticket | None = None  # the dry run that comes after it
    parked: Ticket | None = None  # real work that was interrupted too often; the next real request takes it along
    cancel: str = ""  # run that was asked to stop
    previous: str = ""  # run that handed the lock to a holder which has not renewed yet
    taken: TakeOver | None = None  # the last one, so that a restarted watchdog can still report it
    served: tuple[tuple[str, str], ...] = ()  # (unification job, run that served it), newest last
    asked: tuple[tuple[str, str], ...] = ()  # (key of a request and its content, run that it led to), newest last
    unstarted: str = ""  # holder that has not renewed yet: the next request or tick starts it again
    dropped: tuple[str, ...] = ()  # waiting runs that were canceled, newest last
    pause: Pause | None = None  # one that is over has no effect


def pause_at(state: LockState, now: float) -> Pause | None:
    """Return the pause that lasts at `now`, None when runs may begin."""
    return state.pause if state.pause is not None and state.pause.lasts(now) else None


def brief(taken: TakeOver) -> TakeOver:
    """Return what the lock keeps of a takeover: neither the run to start nor the lists of the request."""
    request = replace(taken.ended.request, tables=(), jobs=(), unlink_allowed=())
    return replace(taken, ended=replace(taken.ended, request=request), next=None)


def slim_state(state: LockState) -> LockState:
    """Return a state as it was stored, with every part bounded: an earlier version let some of them grow.

    What no longer fits is left out, so that any state can be left: by its run, the watchdog, or a cancellation.
    """
    return replace(
        state,
        holder=slim_ticket(state.holder),
        pending=slim_ticket(state.pending),
        pending_dry=slim_ticket(state.pending_dry),
        parked=slim_ticket(state.parked),
        taken=state.taken and brief(state.taken),
    )
