"""Runs a simulated unification: records its job and tasks, and writes mapping and profiles, at once or gradually."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from sandbox.dataset import Row
from sandbox.documents import Document, Documents
from sandbox.environment import Environment
from sandbox.unification import second_writer
from sandbox.unification.changes import RowChange, apply_changes
from sandbox.unification.plan import Plan, plan_restore, plan_unification
from sandbox.unification.request import InvalidRequestError, UnificationRequest
from sandbox.unification_sql import has_snapshot, save_snapshot
from sandbox.workflow import JobRequest, Status, Workflow

_STASH = "deleted_profiles"


class BusyError(Exception):
    """A unification is still running; nothing was started."""


@dataclass(slots=True)
class Simulator:
    """One workflow; one unification at a time."""

    environment: Environment
    documents: Documents
    workflow: Workflow
    hydration: "asyncio.Task[None] | None" = field(default=None)
    """The unification that is still writing."""

    async def run(self, request: UnificationRequest) -> Document:
        """Start a unification and return its job id and what it changes.

        It has ended on return, unless `hydration_s` lets it go on in the background.
        Raises BusyError while another one is writing, InvalidRequestError for an unknown snapshot or table.
        """
        if self.hydration is not None and not self.hydration.done():
            raise BusyError("A unification is still writing. Wait until its job has ended.")
        self.check(request)
        job_id = str(uuid4())
        plan = self._plan(request)  # before the job begins: it is not to run for ever because this breaks
        if request.snapshot is not None:
            save_snapshot(self.environment.database, request.snapshot)
        self.workflow.submit(JobRequest(job_id, request.job_type, request.submission_kind))
        if not self._merged(job_id, request):
            return {"jobId": job_id}
        self.hydration = asyncio.create_task(self._hydrate(job_id, request, plan))
        if not request.hydration_s:
            await self.hydration
        return {"jobId": job_id, **plan.counts}

    def publish(self) -> Document:
        """Record one successful full unification, as loading data does: nothing changes."""
        job_id = str(uuid4())
        self.workflow.submit(JobRequest(job_id, "full"))
        self._merged(job_id, UnificationRequest())
        self.workflow.start_task(job_id, "profileStore")
        return self._end(job_id)

    def check(self, request: UnificationRequest) -> None:
        """Raise InvalidRequestError if a request names a snapshot or a table that is not there."""
        database = self.environment.database
        if request.restore is not None and not has_snapshot(database, request.restore):
            raise InvalidRequestError(f"restore: there is no snapshot '{request.restore}'")
        unknown = [table for table in request.take_out if table not in database.schema.tables]
        if unknown:
            raise InvalidRequestError(f"take_out: there is no table '{unknown[0]}'")

    def _merged(self, job_id: str, request: UnificationRequest) -> bool:
        """Run map, match and merge; a failed merge ends the job."""
        for operation in ("map", "match", "merge"):
            failed = operation == "merge" and request.outcome == "failed"
            self.workflow.start_task(job_id, operation)
            self.workflow.end_task(job_id, operation, "failed" if failed else "successful")
        if request.outcome == "failed":
            self.workflow.end(job_id, "failed")
        return request.outcome == "successful"

    def _plan(self, request: UnificationRequest) -> Plan:
        database = self.environment.database
        if request.restore is not None:
            return plan_restore(database, request.restore)
        if not request.changes_rows or request.outcome == "failed":
            return Plan((), {})
        return plan_unification(database, request, self._stash())

    async def _hydrate(self, job_id: str, request: UnificationRequest, plan: Plan) -> None:
        self.workflow.start_task(job_id, "profileStore")
        if request.announce_first:
            self._end(job_id)
        try:
            await self._write(request, plan)
        except Exception:
            if not request.announce_first:
                self._end(job_id, "failed")
            raise
        if not request.announce_first:
            self._end(job_id)

    async def _write(self, request: UnificationRequest, plan: Plan) -> None:
        for changes in _steps(request, plan.changes):
            apply_changes(self.environment.database, changes)
            await asyncio.sleep(request.hydration_s / request.steps)
        self._save_stash([] if request.bring_back else self._stash(), plan.deleted)
        if self.documents.get("second_writer").get("enabled"):
            second_writer.fill_links(self.environment.database)

    def _end(self, job_id: str, status: Status = "successful") -> Document:
        self.workflow.end_task(job_id, "profileStore", status)
        return self.workflow.end(job_id, status)

    def _stash(self) -> list[Row]:
        rows: list[Row] = self.documents.get(_STASH).get("rows", [])
        return rows

    def _save_stash(self, kept: list[Row], deleted: Sequence[Row]) -> None:
        self.documents.put(_STASH, {"rows": [*kept, *deleted]})


def _steps(request: UnificationRequest, changes: Sequence[RowChange]) -> list[list[RowChange]]:
    """Return all changes at once, or a part for each step in a mixed order: Customer Insights promises none."""
    if not request.hydration_s:
        return [list(changes)]
    mixed = random.Random(request.seed).sample(changes, len(changes))
    return [mixed[step :: request.steps] for step in range(request.steps)]
