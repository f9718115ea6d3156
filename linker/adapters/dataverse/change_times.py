"""What Dataverse says of the last changes: the newest one of a table, and the newest unification in the workflow tables.

The newest change is its time, and which of the changes of that second it was, because times are whole seconds. It is asked
for with one `$orderby` column, which is all that elastic tables can sort by, and distinguished locally. The workflow tables
are optional: no answer is a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypedDict

from linker.adapters.dataverse import response_models
from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.response_models import Fields
from linker.core import odata
from linker.core.errors import DataverseError, LinkerError
from linker.core.runs.workflow_jobs import WorkflowJob, WorkflowRow, job_ids, newest_workflow_job, row_of

ROWS: Final = 50  # newest rows that are compared
MANY: Final = 2**62  # version of a second with more changes than were read: above every row version
_REFUSALS: Final = (400, 404, 405, 501)  # no such table, column or sorting


class _Row(TypedDict, total=False):
    modifiedon: str | None
    versionnumber: int | None
    _modifiedby_value: str | None


class Newest(NamedTuple):
    """When a table was last changed, in epoch seconds, and the order of the changes of that second.

    `version` is the highest row version of that second, where rows have no version their number, and MANY where the second has
    more changes than were read and rows cannot be sorted by version. It only serves to see that something
    else was changed since.
    """

    seconds: float
    version: int = 0


async def newest_change(dataverse: Dataverse, entity_set: str, *, besides: str = "") -> Newest | None:
    """Return the newest change of a table, None when that cannot be found out: the table, row or column does not exist, or
    Dataverse does not sort.

    Rows that the user `besides` wrote last are left out; second 0 without others.
    """
    for options in _questions(besides):
        try:
            rows = await dataverse.first(entity_set + options, _Row)
        except DataverseError as error:
            if error.status not in _REFUSALS:
                raise
            continue
        if "filter" in options or not besides:
            newest = _newest(rows) if rows or not besides else Newest(0.0)
            return await _told_apart(dataverse, entity_set, newest, besides)
        others = [row for row in rows if row.get("_modifiedby_value") != besides]
        return _newest(rows) and (_newest(others) if others else Newest(0.0))
    return None


async def _told_apart(dataverse: Dataverse, entity_set: str, newest: Newest | None, besides: str) -> Newest | None:
    """Return the newest change with its own version when its second has more changes than were read.

    A bulk write fills a second, so a later write in the same second shows only in the highest version.
    """
    if newest is None or newest.version != MANY:
        return newest
    options = odata.query(
        select="modifiedon,versionnumber", filter=_others(besides), orderby="versionnumber desc", top=1
    )
    try:
        rows = await dataverse.first(entity_set + options, _Row)
    except DataverseError as error:
        if error.status not in _REFUSALS:
            raise
        return newest
    found = _newest(rows)
    return found if found and rows[0].get("versionnumber") and found.seconds == newest.seconds else newest


def _others(besides: str) -> str:
    return f"_modifiedby_value ne {besides} or _modifiedby_value eq null" if besides else ""


def _questions(besides: str) -> Iterator[str]:
    """Yield the options of the best question first: not every table has versions, and not every one filters by a lookup."""
    others = _others(besides)
    order: dict[str, Any] = {"orderby": "modifiedon desc", "top": ROWS}
    yield odata.query(select="modifiedon,versionnumber", filter=others, **order)
    yield odata.query(select="modifiedon", filter=others, **order)
    if besides:
        yield odata.query(select="modifiedon,_modifiedby_value", **order)


def _newest(rows: Sequence[_Row]) -> Newest | None:
    stamps = [stamp for row in rows if (stamp := row.get("modifiedon"))]
    times = [response_models.time_in(stamp) for stamp in stamps]
    if not times or times != sorted(times, reverse=True):  # the order was ignored, so a newer row may exist
        return None
    latest = [row for row in rows if row.get("modifiedon") == stamps[0]]
    versions = [row.get("versionnumber") or 0 for row in latest]
    version = MANY if len(latest) == ROWS else max(versions) or len(latest)
    return Newest(times[0], version)


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
        notes.append(
            f"Dataverse has no table {entity_set}." if absent else f"{entity_set} cannot be read: {error}"[:300]
        )
    except LinkerError as error:
        notes.append(f"{entity_set} did not answer: {error}"[:300])
    return []


def _task(row: Fields) -> WorkflowRow:
    return row_of(row, job_ids(row.get("msdyn_jobidsserialized")), ("msdyn_operationtype", "msdyn_taskstatus"))


def _job(row: Fields) -> WorkflowRow:
    return row_of(row, job_ids(row.get("msdyn_jobid")), ("msdyn_operationtype", "msdyn_jobstatus"))
