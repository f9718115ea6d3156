"""Shows the workflow of Customer Insights - Data as rows of Dataverse, and keeps its private tables.

Columns mirror the API's job and task (Microsoft's reference of msdyn_ciworkflowjob, -task and -node). Whether an
environment of today fills these tables, and with which words, is not proved: two switches decide.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from sandbox.data.generator import digest, guid
from sandbox.database import Database, Stamp, bulk_load, count_rows
from sandbox.database.collation import guid_key
from sandbox.database.documents import Document
from sandbox.identity.accounts import VENDOR
from sandbox.runtime import Environment
from sandbox.schema.model import Table
from sandbox.schema.workflow_tables import PRIVATE, private_tables, workflow_tables

_GRAPH: Final = {"msdyn_graphname": "main", "msdyn_graphversion": "1"}
_WORDS: Final = ("status", "type", "kind")
"""Endings of the columns that hold a word of the API."""


@dataclass(frozen=True, slots=True)
class WorkflowRows:
    """Writes jobs as rows, as the vendor's account would."""

    environment: Environment

    def prepare(self) -> None:
        """Create the tables that the switches ask for, and remove those that they deny."""
        database = self.environment.database
        present = self.environment.config.workflow_tables != "absent"
        with database.transaction():
            for table in workflow_tables():
                _set_presence(database, table, present=present)
            for table in private_tables():
                _set_presence(database, table, present=True)
            for name in PRIVATE:
                if not count_rows(database, database.schema.tables[name]):
                    bulk_load(database, name, [_private_row(name)], self._stamp())

    def save(self, job: Document, nodes: Iterable[Document]) -> None:
        """Write a job with its tasks and nodes as they are now; rows that exist are replaced."""
        if self.environment.config.workflow_tables != "filled":
            return
        rows = {
            "job": [_job_row(job)],
            "task": [_task_row(job, task) for task in job["tasks"]],
            "node": [_node_row(job, node) for node in nodes],
        }
        for kind, documents in rows.items():
            worded = [{name: self._worded(name, value) for name, value in row.items()} for row in documents]
            bulk_load(self.environment.database, f"msdyn_ciworkflow{kind}", worded, self._stamp())

    def _worded(self, name: str, value: object) -> object:
        """Return a word of the API in the letter case that the switch asks for; other values as they are."""
        if not isinstance(value, str) or not name.endswith(_WORDS):
            return value
        words = self.environment.config.workflow_words
        return {"camel": value, "pascal": value[:1].upper() + value[1:], "upper": value.upper()}[words]

    def _stamp(self) -> Stamp:
        return Stamp(self.environment.clock(), guid_key(VENDOR.systemuser_id))


def _set_presence(database: Database, table: Table, *, present: bool) -> None:
    known = database.schema.tables.get(table.logical_name)
    if present and known is None:
        database.create_table(table)
    elif known is not None and not present:
        database.drop_table(known)


def _job_row(job: Document) -> Mapping[str, object]:
    return {
        "msdyn_ciworkflowjobid": job["jobId"],
        "msdyn_name": job["jobId"],
        "msdyn_jobid": job["jobId"],
        "msdyn_jobstatus": job["jobStatus"],
        "msdyn_jobtype": job["jobType"],
        "msdyn_jobsubmissionkind": job["jobSubmissionKind"],
        "msdyn_operationtype": job["operationType"],
        "msdyn_subtype": job["subType"],
        "msdyn_starttimestamp": job["submittedTimestamp"],
        "msdyn_endtimestamp": job["endTimestamp"],
        "msdyn_taskidsserialized": _serialized([task["taskId"] for task in job["tasks"]]),
        "msdyn_forcerunrequested": False,
        "createdon": job["submittedTimestamp"],
        **_GRAPH,
    }


def _task_row(job: Document, task: Document) -> Mapping[str, object]:
    return {
        "msdyn_ciworkflowtaskid": guid(0, f"task/{task['taskId']}", 0),
        "msdyn_taskid": task["taskId"],
        "msdyn_submittedtimestamp": task["submittedTimestamp"],
        "createdon": task["submittedTimestamp"],
        "msdyn_starttimestamp": None if task["taskStatus"] == "queued" else task["submittedTimestamp"],
        **_task_columns(job, task),
    }


def _node_row(job: Document, node: Document) -> Mapping[str, object]:
    return {
        "msdyn_ciworkflownodeid": guid(0, f"node/{node['identifier']}", 0),
        "msdyn_lastsuccessfultimestamp": node["lastSuccessfulTimestamp"],
        "msdyn_lastsuccessjobidsserialized": _serialized(node["lastSuccessJobIds"]),
        **_task_columns(job, node),
    }


def _task_columns(job: Document, task: Document) -> Mapping[str, object]:
    return {
        "msdyn_name": task["friendlyName"],
        "msdyn_friendlyname": task["friendlyName"],
        "msdyn_identifier": task["operationType"],
        "msdyn_nodename": task["operationType"],
        "msdyn_taskstatus": task["taskStatus"],
        "msdyn_operationtype": task["operationType"],
        "msdyn_subtype": task["subType"],
        "msdyn_jobtype": job["jobType"],
        "msdyn_jobidsserialized": _serialized(task["jobIds"]),
        "msdyn_endtimestamp": task["endTimestamp"],
        "msdyn_cierrorserialized": _serialized(task["ciError"]) if task["ciError"] else None,
        **_GRAPH,
    }


def _private_row(table: str) -> Mapping[str, object]:
    return {
        f"{table}id": guid(0, table, 0),
        "msdyn_name": table.removeprefix("mscipriv_"),
        "mscipriv_payload1": _serialized({"v": digest(0, table, 1)}),
        "mscipriv_payload2": digest(0, table, 2),
        "msdyn_partitionkey": digest(0, table, 3),
        "msdyn_isdeleted": False,
        "msdyn_ishistoryentry": False,
    }


def _serialized(value: object) -> str:
    return orjson.dumps(value).decode()
