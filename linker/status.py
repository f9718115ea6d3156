"""States of a run and of a table, and the moves between them. The table is the rule; a test walks it."""

from __future__ import annotations

from collections.abc import Iterable

from linker.model import Status, TableRun

ENDED = frozenset({Status.SUCCESSFUL, Status.WARNINGS, Status.FAILED, Status.SKIPPED, Status.CANCELED})

MOVES: dict[Status, frozenset[Status]] = {
    Status.NOT_STARTED: frozenset({Status.QUEUED, Status.SKIPPED, Status.FAILED, Status.CANCELED}),
    Status.QUEUED: frozenset({Status.NOT_STARTED, Status.REFRESHING, Status.SKIPPED, Status.FAILED, Status.CANCELED}),
    Status.REFRESHING: frozenset({Status.QUEUED, Status.RETRYING, Status.NOT_STARTED, *ENDED}),
    Status.RETRYING: frozenset({Status.REFRESHING, *ENDED}),
    **{ended: frozenset() for ended in ENDED},
}


def may_move(now: Status, then: Status) -> bool:
    """Whether a status may follow another; the same status again is a refresh of its details. An ended run stays ended."""
    return now == then or then in MOVES[now]


def overall(tables: Iterable[TableRun]) -> Status:
    """Return how a run ended whose tables ended so.

    One failed table fails the run; tables skipped, or with rows that need a look, make it end with warnings; when every
    table was skipped, so was the run.
    """
    ends = [table.status for table in tables]
    if Status.FAILED in ends:
        return Status.FAILED
    if Status.CANCELED in ends:
        return Status.CANCELED
    if ends and all(end is Status.SKIPPED for end in ends):
        return Status.SKIPPED
    if Status.WARNINGS in ends or Status.SKIPPED in ends:
        return Status.WARNINGS
    return Status.SUCCESSFUL
