"""Tables in which Customer Insights - Data keeps its workflow and its settings, with the names of Microsoft's reference.

Every status and type is free text there. What `mscipriv_` tables hold is not documented: their payload is opaque here.
"""

from collections.abc import Iterator
from typing import Final

from sandbox.schema.column_types import Column
from sandbox.schema.columns import T, flags, lookup, text
from sandbox.schema.definition import define_table
from sandbox.schema.model import Table

_MESSAGES: Final = ("Create", "Update", "Delete")  # the reference lists no bulk messages
_JOB: Final = """
msdyn_jobid msdyn_jobstatus msdyn_jobtype msdyn_jobsubmissionkind msdyn_operationtype msdyn_subtype
msdyn_inputrefreshmode msdyn_graphname msdyn_graphversion msdyn_submittedby msdyn_cancelledby
"""
_TASK: Final = """
msdyn_taskid msdyn_taskstatus msdyn_operationtype msdyn_subtype msdyn_identifier msdyn_friendlyname msdyn_nodeversion
msdyn_graphname msdyn_graphversion msdyn_jobtype msdyn_selectionreasoncode msdyn_selectionreasondetails
"""
_TASK_TEXTS: Final = """
msdyn_jobidsserialized msdyn_inputserialized msdyn_outputserialized msdyn_additionalinfosserialized
msdyn_cierrorserialized msdyn_cierrorsserialized
"""
PRIVATE: Final = (
    "mscipriv_datasourcemetadata",
    "mscipriv_conflationmetadata",
    "mscipriv_instancesettings",
    "mscipriv_profilestorestateinfo",
)
"""A few of about ninety."""


def workflow_tables() -> Iterator[Table]:
    """Yield jobs, tasks and nodes of the workflow."""
    times = _times("msdyn_starttimestamp", "msdyn_endtimestamp")
    job_texts = _memos("msdyn_idlistserialized msdyn_optionsserialized msdyn_taskidsserialized")
    job = [*_texts(_JOB), *times, *job_texts, *flags("msdyn_forcerunrequested")]
    yield _workflow_table("job", 10_901, job)
    task = [*_texts(_TASK), text("msdyn_nodename", length=1000), *_memos(_TASK_TEXTS), *times]
    task += _times("msdyn_submittedtimestamp")
    yield _workflow_table("task", 10_902, task)
    last = [*_times("msdyn_lastsuccessfultimestamp"), *_texts("msdyn_lastsuccesstaskid")]
    last += _memos("msdyn_lastsuccessjobidsserialized msdyn_selectionreasonserialized")
    yield _workflow_table("node", 10_903, [*task, *last])


def _workflow_table(kind: str, code: int, columns: list[Column]) -> Table:
    name = f"msdyn_ciworkflow{kind}"
    return define_table(
        name,
        columns,
        entity_set=f"{name}s",
        primary_name="msdyn_name",
        display_name=f"CI Workflow {kind.capitalize()}",
        object_type_code=code,
        ownership="None",
        messages=_MESSAGES,
    )


def private_tables() -> Iterator[Table]:
    """Yield a few tables with settings; all of them have the same columns."""
    for code, name in enumerate(PRIVATE, 10_911):
        columns = [
            *_texts("msdyn_partitionkey"),
            *_memos("mscipriv_payload1 mscipriv_payload2"),
            *flags("msdyn_isdeleted", "msdyn_ishistoryentry"),
            lookup("ownerid", "systemuser", schema_name="OwnerId"),
        ]
        yield define_table(name, columns, entity_set=f"{name}set", primary_name="msdyn_name", object_type_code=code)


def _texts(names: str) -> list[Column]:
    return [text(name, length=100) for name in names.split()]


def _memos(names: str) -> list[Column]:
    return [Column(name, T.MEMO, max_length=1_048_576) for name in names.split()]


def _times(*names: str) -> list[Column]:
    return [Column(name, T.DATETIME) for name in names]
