"""Runs a simulated unification: records its job and tasks, and writes mapping and profiles, at once or gradually."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from sandbox.customer_insights.customer_links import fill_customer_links
from sandbox.customer_insights.unification import second_writer
from sandbox.customer_insights.unification.changes import RowChange, RowKey, apply_changes, rewrite_rows
from sandbox.customer_insights.unification.plan import Plan, plan_restore, plan_unification
from sandbox.customer_insights.unification.request import InvalidRequestError, UnificationRequest
from sandbox.customer_insights.workflow_jobs import JobRequest, Status, Workflow
from sandbox.database.collation import guid_key
from sandbox.database.documents import Document, Documents
from sandbox.database.staleness import keep_old_rows, stale_for_s
from sandbox.database.unification import all_keys, has_snapshot, save_snapshot
from sandbox.database.values import Row
from sandbox.runtime import Environment
from sandbox.schema.insights_tables import MAPPING, PROFILES

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

        It has ended on return, unless `hydration_s` lets it continue in the background.
        Raises BusyError while another one is writing, InvalidRequestError for an unknown snapshot or table.
        """
        if self.hydration is not None and not self.hydration.done():
            raise BusyError("A unification is still writing. Wait until its job has ended.")
        self.check(request)
        request = request.completed(self.environment.config)
        job_id = str(uuid4())
        plan = self._plan(request)  # before the job begins: it is not to run for ever because this breaks
        if request.snapshot is not None:
            save_snapshot(self.environment.database, request.snapshot)
        self.workflow.submit(JobRequest(job_id, request.job_type, request.submission_kind))
        if not self._merged(job_id, request):
            return {"jobId": job_id}
        self.hydration = asyncio.create_task(self._hydrate(job_id, request, plan))
        if not request.duration_s:
            await self.hydration
            await asyncio.sleep(stale_for_s(self.environment.database))  # until every reader sees what was written
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
            raise InvalidRequestError(f"restore: snapshot '{request.restore}' does not exist")
        unknown = [table for table in request.take_out if table not in database.schema.tables]
        if unknown:
            raise InvalidRequestError(f"take_out: table '{unknown[0]}' does not exist")

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
        environment = self.environment
        rewritten = self._unchanged(plan) if environment.config.hydration_writes == "all" else []
        pause_s = request.duration_s / request.steps / environment.config.time_scale
        for changes, keys in zip(_steps(request, plan.changes), _steps(request, rewritten), strict=True):
            with environment.database.transaction():
                self._keep_old(changes, keys)
                apply_changes(environment.database, changes)
                rewrite_rows(environment.database, keys)
                fill_customer_links(environment.database, environment.config.mapping_lookup)
            await asyncio.sleep(pause_s)
        self._save_stash([] if request.bring_back else self._stash(), plan.deleted)
        if environment.config.second_writer or self.documents.get("second_writer").get("enabled"):
            second_writer.fill_links(environment)

    def _keep_old(self, changes: Sequence[RowChange], rewritten: Sequence[RowKey]) -> None:
        """Keep the rows that are about to be written for readers of elastic tables who do not see new rows yet."""
        database, lag_s = self.environment.database, self.environment.config.stale_s
        ids = {name: table.primary_id for name, table in database.schema.tables.items()}
        keys = [*rewritten, *((one.table, guid_key(str(one.row[ids[one.table]]))) for one in changes)] if lag_s else []
        for table in {table for table, _ in keys}:
            keep_old_rows(database, database.schema.tables[table], [key for name, key in keys if name == table], lag_s)

    def _unchanged(self, plan: Plan) -> list[RowKey]:
        """Return the rows of profiles and mapping that a plan leaves alone."""
        database = self.environment.database
        ids = {table: database.schema.tables[table].primary_id for table in (PROFILES, MAPPING)}
        changed = {(c.table, guid_key(str(c.row[ids[c.table]]))) for c in plan.changes if c.table in ids}
        return [(table, key) for table in ids for key in all_keys(database, table) if (table, key) not in changed]

    def _end(self, job_id: str, status: Status = "successful") -> Document:
        self.workflow.end_task(job_id, "profileStore", status)
        return self.workflow.end(job_id, status)

    def _stash(self) -> list[Row]:
        rows: list[Row] = self.documents.get(_STASH).get("rows", [])
        return rows

    def _save_stash(self, kept: list[Row], deleted: Sequence[Row]) -> None:
        self.documents.put(_STASH, {"rows": [*kept, *deleted]})


def _steps[T](request: UnificationRequest, changes: Sequence[T]) -> list[list[T]]:
    """Return all changes at once, or a part for each step in a mixed order: Customer Insights promises none."""
    if not request.duration_s:
        return [list(changes)]
    mixed = random.Random(request.seed).sample(changes, len(changes))
    return [mixed[step :: request.steps] for step in range(request.steps)]
