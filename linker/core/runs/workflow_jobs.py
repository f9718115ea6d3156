"""Unifications as Customer Insights reports them: in events, and in the tables msdyn_ciworkflowjob and msdyn_ciworkflowtask.

An event hub delivers Azure Monitor records (docs/reference/customer-insights.md 4). A message body is {"records": [...]}. Any
other record is counted and never keeps the others from being read.

All columns of the tables are free text and nothing documents the words, so they are compared without letter case, and an
unknown word means nothing instead of an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field, Json, StringConstraints, TypeAdapter, ValidationError

from linker.core.serialization import find_time

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


HUB: Final = "insight-logs-operational"
GROUP: Final = "linker"  # the consumer group that infra/main.bicep makes: others may read the hub too
JOB_ID: Final = r"^[^\x00-\x1f\x7f]{1,200}$"
MAX_JOBS: Final = 20  # a run links what the mapping says now, so it serves older unifications too; values stay small
# Both end a unification for us: profiles are written after the merge, and the same job twice is one run.
_OPERATIONS: Final = frozenset({"merge", "profilestore"})
_STAGES: Final = frozenset({"taskcompleted", "workflowcompleted"})


@dataclass(frozen=True, slots=True)
class Unifications:
    """Jobs that ended well, oldest first; when the newest began (epoch s, 0 where unknown); records by what they were."""

    jobs: tuple[str, ...] = ()
    job_start: float = 0.0
    ignored: int = 0
    malformed: int = 0


class _Body(BaseModel):
    records: list[Any]


class _Record(BaseModel):
    operation_name: str = Field(alias="operationName")
    result_type: str = Field(alias="resultType")
    resource_id: str = Field("", alias="resourceId")
    properties: Any

    def ends_unification(self) -> bool:
        operation, _, stage = self.operation_name.casefold().partition(".")
        return operation in _OPERATIONS and stage in _STAGES and self.result_type.casefold() == "successful"


class _Properties(BaseModel):
    event_type: str = Field(alias="eventType")
    job: Annotated[str, StringConstraints(pattern=JOB_ID)] = Field(alias="workflowJobId")
    instance: str = Field("", alias="instanceId")
    start: str | None = Field(None, alias="startTimestamp")
    submitted: str | None = Field(None, alias="submittedTimestamp")

    def began(self) -> float:
        return find_time(self.start) or find_time(self.submitted)


_BODY: Final = TypeAdapter(Json[_Body])
_PROPERTIES: Final = TypeAdapter(Json[_Properties] | _Properties)


def read_events(bodies: Iterable[bytes], instance: str | None) -> Unifications:
    """Return the unifications that a batch of messages reports. Records of another instance are ignored, if one is given."""
    found: dict[str, float] = {}
    ignored = malformed = 0
    for record in _records(bodies):
        try:
            told = _unification(record, instance)
        except ValidationError:
            malformed += 1
            continue
        if told is None:
            ignored += 1
        else:
            found[told.job] = max(found.get(told.job, 0.0), told.began())
    jobs = sorted(found, key=lambda job: found[job])[-MAX_JOBS:]
    return Unifications(tuple(jobs), max(found.values(), default=0.0), ignored, malformed)


def _records(bodies: Iterable[bytes]) -> Iterator[Any]:
    """Yield all records; None for a body without records."""
    for body in bodies:
        try:
            yield from _BODY.validate_python(body).records
        except ValidationError:
            yield None


def _unification(data: Any, instance: str | None) -> _Properties | None:
    """Return what a record reports of a unification that ended well, None when it reports something else."""
    record = _Record.model_validate(data)
    if not record.ends_unification():
        return None
    told = _PROPERTIES.validate_python(record.properties)
    where = told.instance or record.resource_id.rpartition("/")[2]
    is_ours = instance is None or where.casefold() == instance.casefold()
    return told if is_ours and told.event_type == "WorkflowEvent" else None
