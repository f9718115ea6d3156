"""Unifications as the tables msdyn_ciworkflowjob and msdyn_ciworkflowtask show them.

All their columns are free text and nothing documents the words, so they are compared without letter case, and an unknown
word means nothing instead of an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

MERGES: Final = frozenset({"merge"})
UNIFICATIONS: Final = frozenset({"all", "merge", "unification"})
ENDED_WELL: Final = frozenset({"successful", "succeeded", "success", "completed"})
RECENT_S: Final = 2 * 86_400.0  # rows that did not change for longer say nothing about now
MAX_JOB_ID: Final = 200


@dataclass(frozen=True, slots=True)
class WorkflowJob:
    """A unification that ended well. `began` is in epoch seconds, 0 where the row does not say."""

    id: str
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkflowRow:
    """A row of either table, as text. `jobs` are the ids that it names; `changed` is in epoch seconds."""

    jobs: tuple[str, ...]
    operation: str
    status: str
    began: str
    changed: float


def newest_workflow_job(tasks: Iterable[WorkflowRow], jobs: Iterable[WorkflowRow], now: float) -> WorkflowJob | None:
    """Return the unification that ended last, None when no recent row shows one.

    A merge task that was successful is one; where tasks say nothing, a job that unifies and was successful as a whole.
    """
    for rows, operations in ((tasks, MERGES), (jobs, UNIFICATIONS)):
        ended = [row for row in rows if _is_end(row, operations) and abs(now - row.changed) < RECENT_S]
        if newest := max(ended, key=lambda row: row.changed, default=None):
            return WorkflowJob(newest.jobs[-1], time_of(newest.began))
    return None


def job_ids(text: object) -> tuple[str, ...]:
    """Return the ids in a serialized list; a text that is not a list is one id; other values give none."""
    if not isinstance(text, str) or not text.strip():
        return ()
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = text.strip()
    listed = found if isinstance(found, list) else [found]
    return tuple(str(one) for one in listed if isinstance(one, str | int) and _is_id(str(one)))


def row_of(row: Mapping[str, object], jobs: tuple[str, ...], names: tuple[str, str]) -> WorkflowRow:
    """Return a row with the columns `names` for its operation and its status; what is missing is empty."""
    operation, status = (_word(row.get(name)) for name in names)
    began = row.get("msdyn_starttimestamp") or row.get("msdyn_submittedtimestamp")
    return WorkflowRow(jobs, operation, status, str(began or ""), time_of(row.get("modifiedon")))


def time_of(stamp: object) -> float:
    """Return a time in epoch seconds, 0 for what is none. Without an offset it is UTC."""
    try:
        moment = datetime.fromisoformat(str(stamp or "").strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _is_end(row: WorkflowRow, operations: frozenset[str]) -> bool:
    return bool(row.jobs) and row.operation in operations and row.status in ENDED_WELL


def _word(value: object) -> str:
    return value.strip().casefold() if isinstance(value, str) else ""


def _is_id(text: str) -> bool:
    return 0 < len(text) <= MAX_JOB_ID and text.isprintable()
