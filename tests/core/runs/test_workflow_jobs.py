"""Unifications in the workflow tables: free text that nothing documents, so an unknown word means nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.runs.signals import Signal, SignalKind, receive, silent
from linker.core.runs.workflow_jobs import (
    RECENT_S,
    WorkflowJob,
    WorkflowRow,
    job_ids,
    newest_workflow_job,
    row_of,
    time_of,
)
from linker.core.serialization import iso

NOW = 1_795_000_000.0
BEGAN = "2026-11-18T10:00:00Z"


def task(job: str, ago_s: float = 60.0, operation: str = "merge", status: str = "successful") -> WorkflowRow:
    return row_of(
        {
            "operation": operation,
            "status": status,
            "msdyn_starttimestamp": BEGAN,
            "modifiedon": iso(NOW - ago_s),
        },
        (job,),
        ("operation", "status"),
    )


@pytest.mark.parametrize(
    ("tasks", "jobs", "found"),
    [
        pytest.param([], [], "", id="empty tables"),
        pytest.param([task("a")], [], "a", id="a merge"),
        pytest.param([task("a", 90), task("b", 60), task("c", 120)], [], "b", id="the newest one"),
        pytest.param([task("a", operation="MERGE", status="Successful")], [], "a", id="in capitals"),
        pytest.param([task("a", operation=" merge ", status="SUCCEEDED ")], [], "a", id="with blanks"),
        pytest.param([task("a", status="running")], [], "", id="it runs"),
        pytest.param([task("a", status="failed")], [], "", id="it failed"),
        pytest.param([task("a", status="vollendet")], [], "", id="an unknown word"),
        pytest.param([task("a", operation="match")], [], "", id="another operation"),
        pytest.param([task("a", RECENT_S + 1)], [], "", id="long ago"),
        pytest.param([], [task("a", operation="all")], "a", id="a job without tasks"),
        pytest.param([task("a", operation="map")], [task("b", operation="all")], "b", id="tasks that say nothing"),
        pytest.param([task("a", 90)], [task("b", 60, operation="all")], "a", id="tasks say more than jobs"),
    ],
)
def test_the_newest_unification(tasks: list[WorkflowRow], jobs: list[WorkflowRow], found: str) -> None:
    job = newest_workflow_job(tasks, jobs, NOW)
    assert (job.id if job else "") == found


def test_it_is_reported_with_its_beginning() -> None:
    assert newest_workflow_job([task("a")], [], NOW) == WorkflowJob("a", time_of(BEGAN))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ('["a","b"]', ("a", "b")),
        ("a", ("a",)),
        ('"a"', ("a",)),
        ("[]", ()),
        ('[{"x":1},null,"a"]', ("a",)),
        ("5", ("5",)),
        ('{"a":1}', ()),
        ("[" * 100_000, ()),
        ("x" * 300, ()),
        ("a\nb", ()),
        ("", ()),
        (None, ()),
        (["a"], ()),
    ],
    ids=lambda value: str(value)[:20],
)
def test_ids_of_jobs(text: object, ids: tuple[str, ...]) -> None:
    assert job_ids(text) == ids


anything: Any = st.none() | st.text() | st.integers() | st.floats() | st.lists(st.text()) | st.booleans()
names = st.sampled_from(["operation", "status", "msdyn_starttimestamp", "msdyn_submittedtimestamp", "modifiedon"])


@given(st.lists(st.dictionaries(names, anything)), anything)
def test_no_row_is_an_error(rows: list[dict[str, Any]], ids: Any) -> None:
    read = [row_of(row, job_ids(ids), ("operation", "status")) for row in rows]
    assert newest_workflow_job(read, read, NOW) is None


def test_a_signal_keeps_what_it_reported_last() -> None:
    first = receive(Signal(SignalKind.EVENTS), "Job a", "t1")
    assert (first.received_at, first.detail) == ("t1", "Job a")
    assert receive(first, "Job a", "t2") == first
    assert receive(first, "Job a", "t2", again=True).received_at == "t2"
    assert receive(first, "Job b", "t2").received_at == "t2"
    quiet = silent(first, "no answer", "t3")
    assert (quiet.received_at, quiet.detail, quiet.note, quiet.noted_at) == ("t1", "Job a", "no answer", "t3")
    assert silent(quiet, "no answer", "t4") == quiet
    assert receive(quiet, "Job a", "t5") == first
