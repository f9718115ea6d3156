"""What the run lock keeps between two operations: who runs, who waits, what was answered before, and until when runs pause.

Pure. Many callers merge into one waiting run, so every part of a request has a bound: otherwise one caller could fill the lock
and stop all runs. Requests wait during a pause (docs/decisions/0040).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from linker.core.errors import ConflictError
from linker.core.model import MAX_ROWS, WIRE, RunRequest, Ticket, UnlinkAllowance

MAX_DAYS: Final = 30  # a pause that an operator forgets ends by itself
MAX_REASON: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class Pause:
    """No run begins before `until`. `by` asked for it at `since`. Times are ISO 8601 in UTC."""

    __pydantic_config__ = WIRE
    until: str
    since: str
    by: str
    reason: str = ""

    def lasts(self, now: float) -> bool:
        """Whether it has not ended at `now` (epoch s)."""
        return now < datetime.fromisoformat(self.until).timestamp()


def fault_of(until: float, now: float) -> str:
    """Return what is wrong with the end of a pause that begins `now` (both epoch s), "" for nothing."""
    if until <= now:
        return "The end of the pause is in the past."
    return f"A pause lasts {MAX_DAYS} days at most." if until > now + MAX_DAYS * 86_400 else ""


# ---- requests that become one ----

MAX_SERVED: Final = 50  # unification jobs remembered as served; late repeats of an event come within hours
MAX_TABLES: Final = 50  # that a run is asked for by name; more mean all tables
MAX_ALLOWED_TABLES: Final = 20  # that the allowances of a run name


def merge_requests(first: RunRequest, second: RunRequest) -> RunRequest:
    """Return the request that covers both; both are real or both are dry. The first one's trigger stays.

    Of very many jobs only the newest stay. Raises ConflictError when the allowances name too many tables: an allowance that
    was accepted is never dropped.
    """
    both = replace(
        first,
        mode=max(first.mode, second.mode, key=lambda mode: mode.strength),
        tables=_unite(first.tables, second.tables) if first.tables and second.tables else (),
        jobs=_unite(first.jobs, second.jobs),
        unlink_allowed=(*first.unlink_allowed, *second.unlink_allowed),
        job_start=max(first.job_start, second.job_start),
        nameless_job=first.nameless_job or second.nameless_job,
    )
    return bound_request(both)


def bound_request(request: RunRequest) -> RunRequest:
    """Return a request whose parts are bounded. Raises ConflictError when its allowances name too many tables."""
    tables = request.tables if len(request.tables) <= MAX_TABLES else ()
    allowed = _strongest(request.unlink_allowed)
    if len({one.table for one in allowed}) > MAX_ALLOWED_TABLES:
        raise ConflictError(
            f"One run clears links of {MAX_ALLOWED_TABLES} tables at most, and the waiting run would get more. Nothing was "
            "started. Ask again when the waiting run has begun."
        )
    return replace(request, tables=tables, jobs=request.jobs[-MAX_SERVED:], unlink_allowed=allowed)


def covers(done: RunRequest, wanted: RunRequest) -> bool:
    """Whether a run of `done` does everything that `wanted` asks for."""
    same_start = replace(wanted, job_start=done.job_start)  # not every trigger reports it
    try:
        return merge_requests(done, same_start) == done and done.dry_run == wanted.dry_run
    except ConflictError:
        return False


def _strongest(allowed: Iterable[UnlinkAllowance]) -> tuple[UnlinkAllowance, ...]:
    """Return the allowances without those that another one covers: at most one of each kind for a table.

    Of two that name other rows the later one stays: its caller has seen what left since.
    """
    most: dict[UnlinkAllowance, UnlinkAllowance] = {}
    for one in allowed:
        kind = replace(one, most_rows=0, seen="rows" if one.seen else "")
        capped = replace(one, most_rows=min(one.most_rows, MAX_ROWS))
        known = most.get(kind, capped)
        most[kind] = capped if known.seen != capped.seen or known.most_rows < capped.most_rows else known
    kept = tuple(most.values())
    return tuple(one for one in kept if not any(_is_within(one, other) for other in kept if other != one))


def _is_within(one: UnlinkAllowance, other: UnlinkAllowance) -> bool:
    """Whether another allowance allows all that this one does."""
    same = (one.table, one.orphans, one.seen) == (other.table, other.orphans, other.seen)
    return same and one.most_rows <= other.most_rows and one.empty_mapping <= other.empty_mapping


def _unite[T](first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    return tuple(dict.fromkeys((*first, *second)))


def slim_ticket(ticket: Ticket | None) -> Ticket | None:
    """Return a ticket whose request is bounded; what was allowed is left out when it does not fit."""
    if ticket is None:
        return None
    try:
        return replace(ticket, request=bound_request(ticket.request))
    except ConflictError:
        return replace(ticket, request=bound_request(replace(ticket.request, unlink_allowed=())))


def find_keyed(asked: Iterable[tuple[str, str]], key: str) -> str:
    """Return the run that a request with this key led to, empty when none did."""
    name, _, content = key.partition(".")
    for known, run in asked:
        known_name, _, known_content = known.partition(".")
        if known_name == name and known_content in ("", content):  # an earlier version kept no content
            return run
        if known_name == name:
            raise ConflictError(
                f"This Idempotency-Key came with another request before, which led to run {run}. Nothing was started. Send a "
                "new key with a new request."
            )
    return ""


# ---- the state ----


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
