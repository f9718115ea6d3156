"""Reads the workflow rows that Customer Insights may keep in Dataverse. Optional: no answer is a note."""

from __future__ import annotations

from typing import Any

from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.response_models import Fields
from linker.core import odata
from linker.core.errors import DataverseError, LinkerError
from linker.core.runs.workflow_jobs import WorkflowJob, WorkflowRow, job_ids, newest_workflow_job, row_of

JOBS, TASKS = "msdyn_ciworkflowjobs", "msdyn_ciworkflowtasks"
NEWEST = 50
_TIMES = "msdyn_starttimestamp,modifiedon"
_ORDER: dict[str, Any] = {"orderby": "modifiedon desc", "top": NEWEST}


async def workflow_job(dataverse: Dataverse, now: float) -> tuple[WorkflowJob | None, str]:
    """Return the newest unification of the workflow tables, None with the reason when they show none."""
    notes: list[str] = []
    tasks = await _rows(
        dataverse, TASKS, f"msdyn_operationtype,msdyn_taskstatus,msdyn_jobidsserialized,{_TIMES}", notes
    )
    jobs = await _rows(dataverse, JOBS, f"msdyn_operationtype,msdyn_jobstatus,msdyn_jobid,{_TIMES}", notes)
    found = newest_workflow_job(map(_task, tasks), map(_job, jobs), now)
    return found, "" if found else " ".join(notes) or "The tables show no unification of the last two days."


async def _rows(dataverse: Dataverse, entity_set: str, select: str, notes: list[str]) -> list[Fields]:
    try:
        return await dataverse.first(entity_set + odata.query(select=select, **_ORDER), Fields)
    except DataverseError as error:
        absent = error.status == 404
        notes.append(f"There is no table {entity_set}." if absent else f"{entity_set} cannot be read: {error}"[:300])
    except LinkerError as error:
        notes.append(f"{entity_set} did not answer: {error}"[:300])
    return []


def _task(row: Fields) -> WorkflowRow:
    return row_of(row, job_ids(row.get("msdyn_jobidsserialized")), ("msdyn_operationtype", "msdyn_taskstatus"))


def _job(row: Fields) -> WorkflowRow:
    return row_of(row, job_ids(row.get("msdyn_jobid")), ("msdyn_operationtype", "msdyn_jobstatus"))
