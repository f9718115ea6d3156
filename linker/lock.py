"""The run lock: who runs, who waits and what each has to do (design decision 3). Pure: from one state to the next.

Every operation is one change of one value, which `lock_store` saves under an ETag. Times are epoch seconds. A state that
nothing happened to is returned as it is, so that nothing needs to be saved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from linker.model import WIRE, Mode, RunRequest, Ticket

MOST_SERVED: Final = 50  # unification jobs remembered as served; late repeats of an event come within hours
MOST_TABLES: Final = 50  # that a run is asked for by name; who wants more of them gets all
MOST_ASKED: Final = 20  # requests with a key that are remembered; who sends one again does so within minutes
MOST_INTERRUPTIONS: Final = 3  # without a newly saved page between them
# Pages renew all the time; a lease younger than this share of its length is left alone, which saves the writes.
_FRESH_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A dead run, and how its work goes on.

    `successor` is the run that does the work again, "" when it was canceled, parked, or a dry run that is given up.
    `next` is the run to start now: the successor, or another one that goes first.
    """

    __pydantic_config__ = WIRE
    ended: Ticket
    canceled: bool
    successor: str
    next: Ticket | None


@dataclass(frozen=True, slots=True)
class LockState:
    """Who runs and who waits. Somebody waits only while somebody runs."""

    __pydantic_config__ = WIRE
    holder: Ticket | None = None
    expires: float = 0.0  # the holder's lease, exclusive
    pending: Ticket | None = None  # the real run that comes next
    pending_dry: Ticket | None = None  # the dry run that comes after it
    parked: Ticket | None = None  # real work that was interrupted too often; the next real request takes it along
    cancel: str = ""  # run that was asked to stop
    previous: str = ""  # run that handed the lock to a holder which has not renewed yet
    taken: TakeOver | None = None  # the last one, for a watchdog that dies before it has told of it
    served: tuple[tuple[str, str], ...] = ()  # (unification job, run that served it), newest last
    asked: tuple[tuple[str, str], ...] = ()  # (key of a request, run that it led to), newest last


@dataclass(frozen=True, slots=True)
class Grant:
    """Answer to a request: the run that does it. `starts`: the requester starts it now. `served`: it is done already."""

    run: str
    starts: bool = False
    served: bool = False


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
    The same `key` again is the same request, sent twice: it leads where it led, for the last MOST_ASKED of them.
    """
    if key and (run := dict(state.asked).get(key)):
        return state, Grant(run)
    state, grant = _granted(state, _bounded(wanted), run_id=run_id, now=now, lease_s=lease_s)
    return (replace(state, asked=(*state.asked, (key, grant.run))[-MOST_ASKED:]) if key else state), grant


def _granted(
    state: LockState, wanted: RunRequest, *, run_id: str, now: float, lease_s: float
) -> tuple[LockState, Grant]:
    if run := _served_by(state, wanted):
        return state, Grant(run, served=True)
    if state.holder is not None and _is_serving(state, state.holder, wanted, now):
        return state, Grant(state.holder.run)
    state, ticket = _queued(state, wanted, run_id)
    if state.holder is not None:
        return state, Grant(ticket.run)
    state, _ = _handed_on(state, now, lease_s)
    return state, Grant(ticket.run, starts=True)


def renew(state: LockState, run: str, *, now: float, lease_s: float) -> tuple[LockState, Renewal]:
    """Extend the lease of `run` to `lease_s` from now, also one that ran out but was not taken over."""
    if not _holds(state, run):
        return state, Renewal(held=False, cancel=False)
    renewal = Renewal(held=True, cancel=state.cancel == run)
    if now + lease_s - state.expires < _FRESH_SHARE * lease_s and not state.previous:
        return state, renewal
    return replace(state, expires=max(state.expires, now + lease_s), previous=""), renewal


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
    return _handed_on(state, now, lease_s, previous=run)


def cancel(state: LockState, run: str) -> tuple[LockState, Cancellation]:
    """Ask the running run to stop, or drop a waiting one with everything that was merged into it."""
    if _holds(state, run):
        return replace(state, cancel=run), Cancellation.RUNNING
    for waiting in (state.pending, state.pending_dry):
        if waiting is not None and waiting.run == run:
            return _with_waiting(state, None, dry=waiting.request.dry_run), Cancellation.PENDING
    return state, Cancellation.UNKNOWN


def take_over(state: LockState, *, run_id: str, now: float, lease_s: float) -> tuple[LockState, TakeOver | None]:
    """End a run whose lease has run out; None when there is none.

    A canceled one just ends. The work of another one starts again as `run_id`, or together with a waiting run of its
    kind under that one's id, which was promised to somebody.
    """
    dead = state.holder
    if dead is None or now < state.expires:
        return state, None
    canceled = state.cancel == dead.run
    state, successor = (state, "") if canceled else _restarted(state, dead, run_id)
    state, following = _handed_on(state, now, lease_s)
    taken = TakeOver(dead, canceled, successor, following)
    return replace(state, taken=taken), taken


def progressed(state: LockState, run: str) -> LockState:
    """Forget interruptions: the run saved something new, so its work gets on."""
    if state.holder is None or state.holder.run != run or not state.holder.interruptions:
        return state
    return replace(state, holder=replace(state.holder, interruptions=0))


def merged(first: RunRequest, second: RunRequest) -> RunRequest:
    """Return the request that covers both; both are real or both are dry. The first one's trigger stays.

    It stays small, however many requests merge: of very many jobs only the newest are remembered as served.
    """
    both = replace(
        first,
        mode=max(first.mode, second.mode, key=lambda mode: mode.strength),
        tables=_united(first.tables, second.tables) if first.tables and second.tables else (),
        jobs=_united(first.jobs, second.jobs),
        unlink_allowed=_united(first.unlink_allowed, second.unlink_allowed),
        job_start=max(first.job_start, second.job_start),
        nameless_job=first.nameless_job or second.nameless_job,
    )
    return _bounded(both)


def covers(done: RunRequest, wanted: RunRequest) -> bool:
    """Whether a run of `done` does everything that `wanted` asks for."""
    same_start = replace(wanted, job_start=done.job_start)  # not every trigger tells it
    return merged(done, same_start) == done and done.dry_run == wanted.dry_run


def _served_by(state: LockState, wanted: RunRequest) -> str | None:
    served = dict(state.served)
    asks_for_more = wanted.dry_run or wanted.mode is not Mode.INCREMENTAL or wanted.unlink_allowed
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


def _queued(state: LockState, wanted: RunRequest, run_id: str) -> tuple[LockState, Ticket]:
    waiting, resumes = _waiting(state, dry=wanted.dry_run), ""
    if state.parked is not None and not wanted.dry_run:
        wanted, resumes = merged(wanted, state.parked.request), state.parked.run
        state = replace(state, parked=None)
    ticket = replace(waiting, request=merged(waiting.request, wanted)) if waiting else Ticket(run_id, wanted)
    ticket = replace(ticket, resumes=ticket.resumes or resumes)
    return _with_waiting(state, ticket, dry=wanted.dry_run), ticket


def _restarted(state: LockState, dead: Ticket, run_id: str) -> tuple[LockState, str]:
    """Let the work of a dead run wait again; return the id it waits under, "" when it was interrupted too often.

    What was allowed for the dead run ends with it (docs/decisions/0061).
    """
    dead = replace(dead, request=replace(dead.request, unlink_allowed=()))
    dry = dead.request.dry_run
    waiting = _waiting(state, dry=dry)
    interruptions = dead.interruptions + 1
    if interruptions >= MOST_INTERRUPTIONS:
        if waiting is None:
            return (state if dry else replace(state, parked=dead)), ""
        interruptions = 0  # who waits already is the next request, and takes the work along
    work = merged(waiting.request, dead.request) if waiting else dead.request
    resumes = dead.resumes or (waiting.resumes if waiting else "")
    ticket = Ticket(waiting.run if waiting else run_id, work, interruptions, resumes)
    return _with_waiting(state, ticket, dry=dry), ticket.run


def _handed_on(state: LockState, now: float, lease_s: float, *, previous: str = "") -> tuple[LockState, Ticket | None]:
    """Give the lock to who waits, or free it."""
    following = state.pending or state.pending_dry
    if following is not None:
        state = _with_waiting(state, None, dry=following.request.dry_run)
    expires = now + lease_s if following else 0.0
    return replace(state, holder=following, expires=expires, cancel="", previous=previous), following


def _with_served(served: tuple[tuple[str, str], ...], ticket: Ticket) -> tuple[tuple[str, str], ...]:
    if ticket.request.dry_run or ticket.request.tables:
        return served
    jobs = ticket.request.jobs
    return (*(pair for pair in served if pair[0] not in jobs), *((job, ticket.run) for job in jobs))[-MOST_SERVED:]


def _holds(state: LockState, run: str) -> bool:
    return state.holder is not None and state.holder.run == run


def _waiting(state: LockState, *, dry: bool) -> Ticket | None:
    return state.pending_dry if dry else state.pending


def _with_waiting(state: LockState, ticket: Ticket | None, *, dry: bool) -> LockState:
    return replace(state, pending_dry=ticket) if dry else replace(state, pending=ticket)


def _bounded(request: RunRequest) -> RunRequest:
    tables = request.tables if len(request.tables) <= MOST_TABLES else ()
    return replace(request, tables=tables, jobs=request.jobs[-MOST_SERVED:])


def _united[T](first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*first, *second)))
