"""What several requests for runs become together. Pure.

Many callers merge into one waiting run, so every part of a request has a bound: a run lock that everybody can fill is a run
lock that anybody can stop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from linker.core.errors import ConflictError
from linker.core.model import MAX_ROWS, RunRequest, Ticket, UnlinkAllowance

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
