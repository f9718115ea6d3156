"""Jobs of a Customer Insights workflow: their life, their JSON in the API and the Azure Monitor events they emit.

Shapes: docs/reference/customer-insights.md 3 (GraphJobInfo, GraphTaskInfo, GraphNodeInfo) and 4 (WorkflowEvent records).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import orjson

from sandbox.database.documents import Document, Documents

WORKFLOW: Final = "main"
UNIFICATION: Final = ("map", "match", "merge", "profileStore")
"""What a unification runs, in this order; profileStore writes profiles and the mapping to Dataverse."""

JobType = Literal["full", "incremental"]
SubmissionKind = Literal["onDemand", "scheduled"]
Status = Literal["queued", "running", "successful", "failed", "skipped", "aborted"]

_FRIENDLY: Final = {"map": "Map", "match": "Match", "merge": "Merge", "profileStore": "Customer profile"}
_RESULT: Final = {"queued": "Running", "running": "Running", "successful": "Successful", "skipped": "Skipped"}
_SUBSCRIPTION: Final = "5D1F0C1E-0000-4000-8000-5A11DB0C5001"
_EVENTS: Final = "events"
_JOBS: Final = "jobs"


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A change that is requested of the workflow."""

    job_id: str
    job_type: JobType = "incremental"
    submission_kind: SubmissionKind = "onDemand"


class Workflow:
    """The workflow `main` of one instance: recent jobs and the events they emitted.

    `now` is in UTC; `push` takes each Event Hubs message as it arises; `show` takes a changed job and all nodes.
    """

    def __init__(
        self,
        documents: Documents,
        now: Callable[[], datetime],
        push: Callable[[Document], None],
        show: Callable[[Document, Iterable[Document]], None],
    ) -> None:
        self._documents = documents
        self._now = now
        self._push = push
        self._show = show

    def jobs(self) -> list[Document]:
        """Return recent jobs with their tasks, newest first."""
        return self._documents.listed(_JOBS)[::-1]

    def events(self) -> list[Document]:
        """Return the Event Hubs messages `{"records": [...]}` emitted so far, oldest first."""
        return self._documents.listed(_EVENTS)

    def submit(self, request: JobRequest) -> Document:
        """Start a job; all its tasks are queued."""
        now = _stamp(self._now())
        job: Document = {
            "jobId": request.job_id,
            "jobType": request.job_type,
            "jobSubmissionKind": request.submission_kind,
            "jobStatus": "running",
            "operationType": "all",
            "subType": "noSubType",
            "submittedTimestamp": now,
            "endTimestamp": None,
            "tasks": [_task(request.job_id, operation, now) for operation in UNIFICATION],
        }
        self._save(job)
        self._emit(_record(self._instance(), job, None, "Started", now))
        return job

    def start_task(self, job_id: str, operation: str) -> None:
        """Set a task to running."""
        self._move_task(job_id, operation, "running")

    def end_task(self, job_id: str, operation: str, status: Status = "successful") -> None:
        """End a task."""
        self._move_task(job_id, operation, status)

    def end(self, job_id: str, status: Status = "successful") -> Document:
        """End a job and the task that runs; tasks that did not start are skipped."""
        job, now = self._find(job_id), _stamp(self._now())
        job["jobStatus"], job["endTimestamp"] = status, now
        for task in job["tasks"]:
            if task["endTimestamp"] is None:
                task["taskStatus"] = status if task["taskStatus"] == "running" else "skipped"
                task["endTimestamp"] = now
                task["ciError"] = _failure(task["operationType"]) if task["taskStatus"] == "failed" else None
        self._save(job)
        self._emit(_record(self._instance(), job, None, "Completed", now))
        return job

    def abort_unfinished(self) -> None:
        """End the jobs that were running when the sandbox stopped: what they had not written is lost."""
        for job in self.jobs():
            if job["jobStatus"] == "running":
                self.end(job["jobId"], "aborted")

    def _move_task(self, job_id: str, operation: str, status: Status) -> None:
        job, now = self._find(job_id), _stamp(self._now())
        task = next(task for task in job["tasks"] if task["operationType"] == operation)
        task["taskStatus"] = status
        task["endTimestamp"] = None if status == "running" else now
        task["ciError"] = _failure(operation) if status == "failed" else None
        self._save(job)
        stage = "Started" if status == "running" else "Completed"
        self._emit(_record(self._instance(), job, task, stage, now))

    def _find(self, job_id: str) -> Document:
        return next(job for job in self._documents.listed(_JOBS) if job["jobId"] == job_id)

    def _save(self, job: Document) -> None:
        others = [other for other in self._documents.listed(_JOBS) if other["jobId"] != job["jobId"]]
        self._documents.replace_list(_JOBS, [*others, job])
        self._show(job, nodes(self.jobs()))

    def _emit(self, record: Document) -> None:
        message: Document = {"records": [record]}
        self._documents.replace_list(_EVENTS, [*self.events(), message])
        self._push(message)

    def _instance(self) -> str:
        return str(self._documents.get("instance").get("instanceId", ""))


def nodes(jobs: Sequence[Document]) -> Iterator[Document]:
    """Yield the GraphNodeInfo of each operation: its newest task and its newest success. `jobs` are newest first."""
    tasks = [task for job in jobs for task in job["tasks"]]
    for operation in UNIFICATION:
        own = [task for task in tasks if task["operationType"] == operation]
        good = next((task for task in own if task["taskStatus"] == "successful"), None)
        if own:
            yield {
                "operationType": operation,
                "subType": "noSubType",
                "identifier": operation,
                "friendlyName": _FRIENDLY[operation],
                "jobIds": own[0]["jobIds"],
                "taskStatus": own[0]["taskStatus"],
                "endTimestamp": own[0]["endTimestamp"],
                "lastSuccessJobIds": good["jobIds"] if good else [],
                "lastSuccessfulTimestamp": good["endTimestamp"] if good else None,
                "ciError": own[0]["ciError"],
            }


def _failure(operation: str) -> Document:
    """Return why a task failed, in the shape of CIResult."""
    return {
        "exceptionCulprit": "system",
        "errorCode": f"{_pascal(operation)}Failed",
        "resultSeverity": "error",
        "message": f"{_FRIENDLY[operation]} failed.",
        "name": f"{_pascal(operation)}Failed",
        "params": {},
        "ciResults": [],
    }


def _task(job_id: str, operation: str, now: str) -> Document:
    return {
        "taskId": f"{job_id}-{operation}",
        "taskStatus": "queued",
        "operationType": operation,
        "subType": "noSubType",
        "friendlyName": _FRIENDLY[operation],
        "jobIds": [job_id],
        "submittedTimestamp": now,
        "endTimestamp": None,
        "ciError": None,
        "additionalInfo": None,
    }


def _record(instance: str, job: Document, task: Document | None, stage: str, now: str) -> Document:
    operation = "All" if task is None else _pascal(str(task["operationType"]))
    status = job["jobStatus"] if task is None else task["taskStatus"]
    resource = f"/SUBSCRIPTIONS/{_SUBSCRIPTION}/RESOURCEGROUPS/CONTOSO/PROVIDERS/MICROSOFT.D365CUSTOMERINSIGHTS"
    return {
        "time": now,
        "resourceId": f"{resource}/INSTANCES/{instance}".upper(),
        "operationName": f"{operation}.{'Workflow' if task is None else 'Task'}{stage}",
        "category": "Operational",
        "resultType": _RESULT.get(status, "Failure"),
        "durationMs": _elapsed_ms(str(job["submittedTimestamp"]), now),
        "level": "Informational",
        "properties": orjson.dumps(_properties(instance, job, task, operation)).decode(),
    }


def _properties(instance: str, job: Document, task: Document | None, operation: str) -> dict[str, Any]:
    common = {
        "eventType": "WorkflowEvent",
        "workflowJobId": job["jobId"],
        "operationType": operation,
        "tasksCount": len(job["tasks"]),
        "workflowType": job["jobType"],
        "workflowSubmissionKind": _pascal(str(job["jobSubmissionKind"])),
        "workflowStatus": _pascal(str(job["jobStatus"])),
        "submittedTimestamp": job["submittedTimestamp"],
        "startTimestamp": job["submittedTimestamp"],
        "endTimestamp": job["endTimestamp"] if task is None else task["endTimestamp"],
        "instanceId": instance,
    }
    if task is None:
        return common
    return {**common, "identifier": task["taskId"], "friendlyName": task["friendlyName"], "error": task["ciError"]}


def _pascal(word: str) -> str:
    return word[:1].upper() + word[1:]


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _elapsed_ms(start: str, end: str) -> int:
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000)
