"""The run lock: who runs, who waits and what each has to do. Pure: from one state to the next.

Every operation is one change of one value, which `lock_store` saves under an ETag. Times are epoch seconds. A state that
nothing happened to is returned as it is, so that nothing needs to be saved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf
from typing import Final

from linker.core.model import RunRequest, Ticket
from linker.core.runs.lock_state import (
    MAX_SERVED,
    LockState,
    TakeOver,
    bound_request,
    brief,
    covers,
    find_keyed,
    merge_requests,
    pause_at,
)

MAX_DROPPED: Final = 20  # waiting runs that were canceled and are remembered as such
MAX_ASKED: Final = 20  # requests with a key that are remembered; who sends one again does so within minutes
MAX_INTERRUPTIONS: Final = 3  # without a newly saved page between them
# Pages renew all the time; a lease younger than this share of its length is left alone, which saves the writes.
_FRESH_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Grant:
    """Answer to a request: the ticket of the run that does it, which may have more to do than was requested now.

    `served`: it is done already. `waits`: another run goes first, or runs are `paused`. `unstarted`: the run that holds the
    lock and has not renewed yet, which the requester starts; it can be another one than that of the ticket.
    """

    ticket: Ticket
    served: bool = False
    waits: bool = False
    unstarted: Ticket | None = None
    paused: bool = False

    @property
    def run(self) -> str:
        """The id of the run that does what was requested."""
        return self.ticket.run


@dataclass(frozen=True, slots=True)
class Renewal:
    """Whether the run still holds the lock, and whether it was asked to stop."""

    held: bool
    cancel: bool


class Cancellation(StrEnum):
    """What became of the run to cancel."""

    RUNNING = "running"  # it stops at its next renewal
    PENDING = "pending"  # it waited and never starts
    UNKNOWN = "unknown"  # it neither runs nor waits


def request(
    state: LockState, wanted: RunRequest, *, run_id: str, now: float, lease_s: float, key: str = ""
) -> tuple[LockState, Grant]:
    """Find the run that does what is wanted: one that did, one that runs, one that waits, or a new one named `run_id`.

    A free lock is taken; a lock that is held, also by a dead run, lets the request wait, merged with others of its kind.
    The same `key` again is the same request, sent twice: it leads where it led, for the last MAX_ASKED of them. After a
    dot the key names the content of the request. Raises ConflictError when the content is another one now, and when the
    request cannot be merged with the one that waits.
    """
    if key and (run := find_keyed(state.asked, key)):
        return state, find_grant(state, run, wanted)
    wanted = bound_request(wanted)
    if (done := _find_served(state, wanted)) is not None:
        grant = replace(find_grant(state, done, wanted), served=True)
    else:
        state, run = _place(state, wanted, run_id=run_id, now=now, lease_s=lease_s)
        grant = find_grant(state, run, wanted)
    return (replace(state, asked=(*state.asked, (key, grant.run))[-MAX_ASKED:]) if key else state), grant


def _place(state: LockState, wanted: RunRequest, *, run_id: str, now: float, lease_s: float) -> tuple[LockState, str]:
    """Find a place for a request that no run has served: with the run that works, with one that waits, or as a new one."""
    if state.holder is not None and _is_serving(state, state.holder, wanted, now):
        return state, state.holder.run
    state, ticket = _queue_request(state, wanted, run_id)
    state, _ = begin_waiting(state, now=now, lease_s=lease_s)
    return state, ticket.run


def begin_waiting(state: LockState, *, now: float, lease_s: float) -> tuple[LockState, Ticket | None]:
    """Give a free lock to the run that waits, and return it; None when none waits, one runs, or runs are paused."""
    is_free = state.holder is None and (state.pending or state.pending_dry) is not None
    return _hand_on(state, now, lease_s) if is_free and not pause_at(state, now) else (state, None)


def resume(state: LockState, *, now: float, lease_s: float) -> tuple[LockState, Ticket | None]:
    """End the pause, and return the run that waited for that and is to start now, if any."""
    return begin_waiting(replace(state, pause=None), now=now, lease_s=lease_s)


def find_grant(state: LockState, run: str, wanted: RunRequest) -> Grant:
    """Return what a requester learns of the run that its request leads to."""
    known = (state.holder, state.pending, state.pending_dry)
    ticket = next((each for each in known if each is not None and each.run == run), Ticket(run, wanted))
    unstarted = state.holder if state.holder is not None and state.unstarted == state.holder.run else None
    waits = ticket in (state.pending, state.pending_dry)
    return Grant(ticket, waits=waits, unstarted=unstarted, paused=waits and state.holder is None)


def renew(state: LockState, run: str, *, now: float, lease_s: float) -> tuple[LockState, Renewal]:
    """Extend the lease of `run` to `lease_s` from now, also one that ran out but was not taken over."""
    if not _holds(state, run):
        return state, Renewal(held=False, cancel=False)
    renewal = Renewal(held=True, cancel=state.cancel == run)
    # A lease that ends later than any right clock could have set it is set back: its host's clock was ahead.
    is_fresh = -_FRESH_SHARE * lease_s <= now + lease_s - state.expires < _FRESH_SHARE * lease_s
    if is_fresh and not (state.previous or state.unstarted):
        return state, renewal
    return replace(state, expires=now + lease_s, previous="", unstarted=""), renewal


def finish(
    state: LockState, run: str, *, completed: bool, now: float, lease_s: float
) -> tuple[LockState, Ticket | None]:
    """End `run` and return the run to start now: a waiting real one, else a waiting dry one, else none.

    Only a completed real run over all tables serves its unification jobs. Repeating it gives the same answer until the
    next run renews, because activities are delivered at least once. A run that does not hold the lock changes nothing.
    """
    if state.holder is None or state.holder.run != run:
        return state, state.holder if state.previous == run else None
    if completed:
        state = replace(state, served=_with_served(state.served, state.holder))
    return _hand_on(state, now, lease_s, previous=run)


def cancel(state: LockState, run: str) -> tuple[LockState, Cancellation]:
    """Ask the running run to stop, or drop a waiting one with everything that was merged into it."""
    if _holds(state, run):
        return replace(state, cancel=run), Cancellation.RUNNING
    for waiting in (state.pending, state.pending_dry):
        if waiting is not None and waiting.run == run:
            state = replace(state, dropped=(*state.dropped, run)[-MAX_DROPPED:])
            return _with_waiting(state, None, dry=waiting.request.dry_run), Cancellation.PENDING
    return state, Cancellation.UNKNOWN


def take_over(
    state: LockState, *, run_id: str, now: float, lease_s: float, unchanged_s: float = 0.0, oldest_s: float = inf
) -> tuple[LockState, TakeOver | None]:
    """End a run whose lease has run out; None when there is none.

    The lease was set by the clock of the holder's host, and either clock may be wrong. So a lease counts as run out, too,
    when the caller has watched it unchanged for its whole length (`unchanged_s`, by the caller's own stopwatch), and never
    when it was set within its length (`oldest_s`: since the caller's last look that found another one).

    A canceled one just ends. The work of another one starts again as `run_id`, or together with a waiting run of its
    kind under that one's id, which was promised to its requester.
    """
    dead, was_let_go = state.holder, not state.expires
    is_over = unchanged_s >= lease_s or (now >= state.expires and oldest_s >= lease_s)
    if dead is None or not (is_over or was_let_go):
        return state, None
    canceled, begun = state.cancel == dead.run, state.unstarted != dead.run
    state, successor = (state, "") if canceled else _restart_work(state, dead, run_id)
    state, following = _hand_on(state, now, lease_s)
    taken = TakeOver(dead, canceled, successor, following, begun)
    return replace(state, taken=brief(taken)), taken


def let_go(state: LockState, run: str) -> tuple[LockState, bool]:
    """Let the lease of `run` end now, so that the watchdog takes it over at its next look. Return whether it held the lock."""
    return (replace(state, expires=0.0), True) if _holds(state, run) else (state, False)


def note_progress(state: LockState, run: str) -> LockState:
    """Forget interruptions: the run saved something new, so its work continues."""
    if state.holder is None or state.holder.run != run or not state.holder.interruptions:
        return state
    return replace(state, holder=replace(state.holder, interruptions=0))


def _find_served(state: LockState, wanted: RunRequest) -> str | None:
    served = dict(state.served)
    asks_for_more = wanted.dry_run or wanted.mode.compares_all or wanted.unlink_allowed
    if asks_for_more or not _is_named(wanted) or not set(wanted.jobs) <= set(served):
        return None
    return served[wanted.jobs[-1]]


def _is_serving(state: LockState, holder: Ticket, wanted: RunRequest, now: float) -> bool:
    """Only a request with jobs can be served by a run that started before it: others may ask because of later changes."""
    alive = now < state.expires and state.cancel != holder.run
    return alive and _is_named(wanted) and covers(holder.request, wanted)


def _is_named(wanted: RunRequest) -> bool:
    """Whether every unification that the request follows is known by its job, and there is one."""
    return bool(wanted.jobs) and not wanted.nameless_job


def _queue_request(state: LockState, wanted: RunRequest, run_id: str) -> tuple[LockState, Ticket]:
    waiting, resumes = _waiting(state, dry=wanted.dry_run), ""
    if state.parked is not None and not wanted.dry_run:
        wanted, resumes = merge_requests(wanted, state.parked.request), state.parked.run
        state = replace(state, parked=None)
    ticket = replace(waiting, request=merge_requests(waiting.request, wanted)) if waiting else Ticket(run_id, wanted)
    ticket = replace(ticket, resumes=ticket.resumes or resumes)
    return _with_waiting(state, ticket, dry=wanted.dry_run), ticket


def _restart_work(state: LockState, dead: Ticket, run_id: str) -> tuple[LockState, str]:
    """Let the work of a dead run wait again; return the id it waits under, "" when it was interrupted too often.

    What was allowed for the dead run ends with it (docs/decisions/0019).
    """
    dead = replace(dead, request=replace(dead.request, unlink_allowed=()))
    dry = dead.request.dry_run
    waiting = _waiting(state, dry=dry)
    interruptions = dead.interruptions + 1
    if interruptions >= MAX_INTERRUPTIONS:
        if waiting is None:
            return (state if dry else replace(state, parked=dead)), ""
        interruptions = 0  # who waits already is the next request, and takes the work along
    work = merge_requests(waiting.request, dead.request) if waiting else dead.request
    resumes = dead.resumes or (waiting.resumes if waiting else "")
    ticket = Ticket(waiting.run if waiting else run_id, work, interruptions, resumes)
    return _with_waiting(state, ticket, dry=dry), ticket.run


def _hand_on(state: LockState, now: float, lease_s: float, *, previous: str = "") -> tuple[LockState, Ticket | None]:
    """Give the lock to who waits, or free it: also when who waits has to wait for the end of a pause."""
    following = None if pause_at(state, now) else state.pending or state.pending_dry
    if following is not None:
        state = _with_waiting(state, None, dry=following.request.dry_run)
    expires = now + lease_s if following else 0.0
    unstarted = following.run if following else ""
    state = replace(state, holder=following, expires=expires, cancel="", previous=previous, unstarted=unstarted)
    return state, following


def _with_served(served: tuple[tuple[str, str], ...], ticket: Ticket) -> tuple[tuple[str, str], ...]:
    if ticket.request.dry_run or ticket.request.tables:
        return served
    jobs = ticket.request.jobs
    return (*(pair for pair in served if pair[0] not in jobs), *((job, ticket.run) for job in jobs))[-MAX_SERVED:]


def _holds(state: LockState, run: str) -> bool:
    return state.holder is not None and state.holder.run == run


def _waiting(state: LockState, *, dry: bool) -> Ticket | None:
    return state.pending_dry if dry else state.pending


def _with_waiting(state: LockState, ticket: Ticket | None, *, dry: bool) -> LockState:
    return replace(state, pending_dry=ticket) if dry else replace(state, pending=ticket)
